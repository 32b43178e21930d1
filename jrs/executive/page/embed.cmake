# web/dist -> one C file: cmake -DDIST=... -DOUT=... -DWORK=... -P embed.cmake
# The same bytes from any directory at any time: gzip -n keeps neither name nor time, the tag is of the content alone.
set(page_files
	"/|index.html|text/html" "/docs|docs.html|text/html"
	"/assets/app.js|app.js|text/javascript" "/assets/docs.js|docs.js|text/javascript"
	"/assets/theme.js|theme.js|text/javascript" "/assets/style.css|style.css|text/css"
	"/assets/icon.svg|icon.svg|image/svg+xml")

# bytes(NAME FILE): appends an array to `arrays`
function(bytes name file)
	file(READ ${file} hex HEX)
	string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
	string(APPEND arrays "static const unsigned char ${name}[] = {${hex}};\n")
	set(arrays "${arrays}" PARENT_SCOPE)
endfunction()

set(arrays "")
set(rows "")
set(i 0)
foreach(row ${page_files})
	string(REPLACE "|" ";" row "${row}")
	list(GET row 0 path)
	list(GET row 1 name)
	list(GET row 2 type)
	execute_process(COMMAND gzip -9n INPUT_FILE ${DIST}/${name} OUTPUT_FILE ${WORK}/${name}.gz RESULT_VARIABLE failed)
	if(failed)
		message(FATAL_ERROR "gzip of ${name} failed: ${failed}")
	endif()
	file(SHA256 ${DIST}/${name} sum)
	string(SUBSTRING ${sum} 0 32 sum)
	bytes(body_${i} ${DIST}/${name})
	bytes(gzip_${i} ${WORK}/${name}.gz)
	string(APPEND rows "\t{\"${path}\", {\"${type}; charset=utf-8\", \"${sum}\", PAGE_HEADERS, body_${i}, sizeof(body_${i}), gzip_${i}, sizeof(gzip_${i})}},\n")
	math(EXPR i "${i} + 1")
endforeach()
file(WRITE ${OUT} "/* Written by embed.cmake from web/dist. */\n#include \"jrs/executive/page/page.h\"\n\n${arrays}\nconst struct page_asset page_assets[] = {\n${rows}};\nconst size_t page_nassets = ${i};\n")
