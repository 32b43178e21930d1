/* What the page at / is made of, compiled in: executive-jr opens no files. The bytes are made from web/dist by
 * embed.cmake. Pure. */
#ifndef JRS_EXECUTIVE_PAGE_PAGE_H
#define JRS_EXECUTIVE_PAGE_PAGE_H
#include "jrs/executive/http/http.h"

/* no-cache: kept by the browser and asked for again by its ETag, so that a new version is seen at once. Only our own
 * files run, style or are asked; nothing written in the HTML runs; nobody frames it. */
#define PAGE_HEADERS                                                                                         \
	"Cache-Control: no-cache\r\n"                                                                        \
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " \
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"                \
	"Cross-Origin-Opener-Policy: same-origin\r\n"                                                        \
	"Cross-Origin-Resource-Policy: same-origin\r\n"                                                      \
	"Referrer-Policy: no-referrer\r\n"

struct page_asset {
	const char *path;
	struct http_static what;
};
extern const struct page_asset page_assets[];
extern const size_t page_nassets;

/* NULL: there is no such path. */
const struct page_asset *page_find(const char *path);

#endif
