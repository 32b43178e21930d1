# Build rules shared by every folder.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

option(TRIBE_TESTS "build the tests" OFF)
option(TRIBE_FULL_TESTS "register the long tests too (label full): drills, test hosts, fuzzing" OFF)
option(TRIBE_WERROR "warnings are errors" OFF)
option(TRIBE_SANITIZE "build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)

# The same bytes from any directory (docs/adr/0001-build.md).
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}=./build)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
	-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wformat=2 -Wvla
	-Wimplicit-fallthrough -Wdouble-promotion -Wnull-dereference -Werror=date-time)
add_compile_options(-fno-common -fstack-protector-strong -fvisibility=hidden)
add_compile_definitions(_GNU_SOURCE)
add_link_options(-Wl,--build-id=sha1 -Wl,--as-needed -Wl,-z,relro,-z,now)
if(TRIBE_WERROR)
	add_compile_options(-Werror)
endif()
if(TRIBE_SANITIZE)
	add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
	add_link_options(-fsanitize=address,undefined)
else()
	add_compile_definitions($<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(MSGPACK REQUIRED IMPORTED_TARGET msgpack>=4)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd>=252)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto>=3)
pkg_check_modules(SSL REQUIRED IMPORTED_TARGET openssl>=3)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.40)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib>=1.2.11)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(MD4C REQUIRED IMPORTED_TARGET md4c)
pkg_check_modules(HS REQUIRED IMPORTED_TARGET libhs>=5.4)
find_library(STEMMER_LIBRARY stemmer REQUIRED)

# tribe_library(NAME [PUBLIC lib...] [PRIVATE lib...]): every .c of the calling folder becomes one static library.
# Headers are included by their path from the top ("common/base/err.h"). Links are private, so a folder can only
# call what it names; PUBLIC is for a library whose header shows another's types.
function(tribe_library name)
	cmake_parse_arguments(ARG "" "" "PUBLIC;PRIVATE" ${ARGN})
	file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
	list(FILTER sources EXCLUDE REGEX "/main\\.c$")
	add_library(${name} STATIC ${sources})
	target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
	target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

# tribe_program(NAME LIBS lib...): main.c of the calling folder.
function(tribe_program name)
	cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
	add_executable(${name} main.c)
	target_link_libraries(${name} PRIVATE ${ARG_LIBS})
endfunction()
