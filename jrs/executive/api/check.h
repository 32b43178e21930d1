/* What a request's headers must say. Pure. */
#ifndef JRS_EXECUTIVE_API_CHECK_H
#define JRS_EXECUTIVE_API_CHECK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the name in a Host header "name[:port]" (brackets of an IPv6 address included); 0: malformed. */
size_t check_host_name(const char *host);
/* Host header "name[:port]": localhost, 127.0.0.1, [::1] or `also` (may be NULL), any port: a page on another name that
 * resolves to this machine (DNS rebinding) is turned away. */
bool check_host(const char *host, const char *also);
/* Origin header: http or https on one of those hosts. */
bool check_origin(const char *origin, const char *also);

/* Media types as bits. */
enum media {
	MEDIA_JSON = 1,
	MEDIA_NDJSON = 2,
	MEDIA_TEXT = 4,
	MEDIA_PROBLEM = 8,
	MEDIA_EVENTS = 16,
	MEDIA_HTML = 32,
	MEDIA_CSS = 64,
	MEDIA_SCRIPT = 128,
	MEDIA_PICTURE = 256,
	MEDIA_ASSET = MEDIA_CSS | MEDIA_SCRIPT | MEDIA_PICTURE /* what a page is made of */
};
const char *check_media_name(unsigned bit); /* of one bit */
/* Content-Type: its bit, charset only utf-8; 0: none that is known here. */
unsigned check_content_type(const char *value);
/* Does Accept (NULL: absent) allow at least one of these? The most specific range counts, q=0 forbids. */
bool check_accept(const char *value, unsigned media);

/* How many values a JSON text may hold at most, told without building any: a parsed value takes up to a hundred times
 * its text. */
#define VALUES_MAX 250000
/* The longest text that may be said takes so many bytes, each as an escape. */
#define STRING_MAX (6 * WIRE_CONTENT_MAX)
size_t check_values(const char *p, size_t n, size_t *longest); /* longest: bytes of a string as it is written */

#define KEY_MAX 128
/* Last-Event-ID -> the number it must be. TR_EINVAL: it is none. */
int check_event_id(const char *text, uint64_t *out);

/* Idempotency-Key -> request id on the wire: "key:" and the key, or its SHA-256 in hex when that would be too long.
 * TR_EINVAL unless it is 1..128 visible ASCII characters. */
int check_key(const char *key, size_t n, char out[KEY_MAX + 1]);

#endif
