# The page's one library of others, from npm by web/package-lock.json: cmake -DWEB=... -DWORK=... -P library.cmake
# -> WORK/uplot.js, WORK/uplot.css. Where npm, or its registry, is not to be had the build goes on: both are empty but for a comment, and the page shows
# its tables in the place of two plots.
file(MAKE_DIRECTORY ${WORK})
file(COPY ${WEB}/package.json ${WEB}/package-lock.json DESTINATION ${WORK})
execute_process(COMMAND npm ci --omit=dev --ignore-scripts --no-audit --no-fund --prefer-offline WORKING_DIRECTORY ${WORK}
	RESULT_VARIABLE failed OUTPUT_QUIET ERROR_VARIABLE said TIMEOUT 120)
set(from ${WORK}/node_modules/uplot)
if(failed OR NOT EXISTS ${from}/dist/uPlot.iife.min.js)
	message(WARNING "the page is built without its two plots: npm cannot bring uplot (${failed})")
	file(WRITE ${WORK}/uplot.js "/* none */\n")
	file(WRITE ${WORK}/uplot.css "/* none */\n")
	return()
endif()
file(READ ${from}/LICENSE licence) # MIT: the notice goes where the code goes
file(READ ${from}/dist/uPlot.iife.min.js code)
file(READ ${from}/dist/uPlot.min.css style)
file(WRITE ${WORK}/uplot.js "/*!\n${licence}*/\n${code}")
file(WRITE ${WORK}/uplot.css "/*!\n${licence}*/\n${style}")
