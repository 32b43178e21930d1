/* The OpenAPI document of this API, made at build time by openapi-doc; served at /openapi.json. */
#ifndef JRS_EXECUTIVE_OPENAPI_OPENAPI_H
#define JRS_EXECUTIVE_OPENAPI_OPENAPI_H
#include <stddef.h>

extern const unsigned char openapi_json[], openapi_gzip[]; /* the same as one gzip stream */
extern const size_t openapi_json_n, openapi_gzip_n;
extern const char openapi_tag[]; /* names the content */

#endif
