/* A guard, and samples of what it finds and what it does not: for test_guard.c and test_guard_ways.c. Every sample is
 * made up, and put together here, so that nobody's scanner takes this file for a leak. */
#ifndef TESTS_UNIT_GUARD_KIT_H
#define TESTS_UNIT_GUARD_KIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jrs/memory/guard/scan.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct guard *g;

static inline int setup(void **state)
{
	const struct guard_policy policy = {GUARD_REFUSE, false};
	struct tr_fault fault = {0};

	(void)state;
	if (guard_new(&g, &policy, &fault) == 0)
		return 0;
	print_error("%s\n", fault.rule);
	return -1;
}

static inline int teardown(void **state)
{
	(void)state;
	guard_free(&g);
	return 0;
}

/* class "": nothing is found. what, in brackets: the bytes that are found. \1 is replaced by 40 random-looking
 * characters, \2 by nothing: it parts what must not stand in this file in one piece. */
static const struct {
	const char *class, *text;
} cases[] = {
	{"private_key", "[-----BEGIN RSA\2 PRIVATE KEY-----\nMIIE\1\n\1\n-----END RSA\2 PRIVATE KEY-----]\nregards"},
	{"private_key", "key: [-----BEGIN OPENSSH\2 PRIVATE KEY-----\nb3Bl\1\n-----END OPENSSH\2 PRIVATE KEY-----]"},
	{"private_key", "[-----BEGIN\2 PRIVATE KEY-----\nMIIE\1\n]"},
	{"private_key", "[-----BEGIN PGP\2 PRIVATE KEY BLOCK-----\n\nlQ\1\n-----END PGP\2 PRIVATE KEY BLOCK-----]"},
	{"private_key", "\"[-----BEGIN EC\2 PRIVATE KEY-----\\nMHc\1\\n-----END EC\2 PRIVATE KEY-----]\\n\""},
	{"", "-----BEGIN CERTIFICATE-----\nMIIE\1\n-----END CERTIFICATE-----"},
	{"", "-----BEGIN PUBLIC KEY-----\nMIIE\1\n-----END PUBLIC KEY-----"},
	{"cloud_key", "id [AKIA\2ABCDEFGHIJKLMNOP] here"},
	{"cloud_key", "[ASIA\2ABCDEFGHIJ234567]"},
	{"", "AKIA\2ABCDEFGH and the AKIAs of it"},
	{"cloud_key", "maps: [AIza\2SyA0123456789abcdefghijklmnopqrstuv]."},
	{"code_token", "use [ghp\2_0123456789abcdefghijABCDEFGHIJ456789] for it"},
	{"code_token", "[github\2_pat_11ABCDEFG0abcdefghij_0123456789]"},
	{"code_token", "[glpat\2-0123456789abcdefghij]"},
	{"code_token", "[npm\2_0123456789abcdefghijABCDEFGHIJ456789]"},
	{"chat_token", "[xoxb\2-123456789012-abcdefABCDEF]"},
	{"chat_token", "post to https://[hooks.slack\2.com/services/T0000000/B0000000/abcdefghijklmnop]"},
	{"chat_token", "bot [12345678\2:AA0123456789abcdefghijABCDEFGHIJ012]"},
	{"payment_key", "[sk_live\2_0123456789abcdefghijABCD]"},
	{"payment_key", "[rk_test\2_0123456789abcdefghijABCD]"},
	{"api_key", "[sk-\2proj-a8Kx0qLw93mZbT51RvYc77Hd] is theirs"},
	{"api_key", "[hf\2_abcdefghijklmnopqrstuvwxyzABCDEFGH]"},
	{"api_key", "[gsk\2_\1abcd]"},
	{"api_key", "[lin_api\2_\1]"},
	{"api_key", "[xai\2-\1]"},
	{"cloud_key", "vault [hvs\2.abcdefghijABCDEFGHIJ012345]"},
	{"cloud_key", "[dapi\2"
		      "0123456789abcdef0123456789abcdef]"},
	{"payment_key", "[shpat\2_0123456789abcdef0123456789abcdef]"},
	{"password", "DB_PASS=[Tr0ub4dor&3xx]"},
	{"", "hf_hub_download, gsk_test, the xai-toolkit, a compass: 12345678"},
	{"", "sk-learn-and-the-other-libraries-that-we-use"},
	{"jwt", "cookie [eyJ\2hbGciOiJIUzI1NiJ9.eyJ\2zdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P]!"},
	{"", "the eyJhbGciOiJIUzI1NiJ9 part alone"},
	{"bearer_token", "Authorization: Bearer [a8Kx0qLw93mZbT51RvYc77Hd]"},
	{"bearer_token", "authorization: basic [QWxhZGRpbjpvcGVuIHNlc2FtZQ==]"},
	{"", "the bearer understandably-misunderstood the message"},
	{"", "a basic misunderstanding of it"},
	{"tribe_token", "with [tribe\2_a8Kx0qLw93mZbT51RvYc77Hda8Kx0qLw93mZbT51RvY]"},
	{"", "call tribe_backup_thermal_memory_archive_now() for it"},
	{"password", "password=[hunter2hunter]"},
	{"password", "Password: [Tr0ub4dor&3], changed on Monday"},
	{"password", "the password is [correct7horse]."},
	{"password", "db_password = '[s3cr3t with words]'"},
	{"password", "{\"api_key\": \"[a8Kx0qLw93mZbT51]\"}"},
	{"password", "client_secret=>[a8Kx0qLw93mZbT51]"},
	{"password", "export AWS_SECRET_ACCESS_KEY=[wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzzzz]"},
	{"password", "postgresql://tribe:[pa55word]@db.local/x"},
	{"password", "redis://:[longpass]@cache:6379"},
	{"", "the password policy: tokens expire after 90 days"},
	{"", "password: changed yesterday by the team"},
	{"", "secret: the recipe of the house"},
	{"", "token=$TOKEN password=${DB_PASSWORD} api_key=<your key here1>"},
	{"", "password = getpass1234() and secret = os.environ[\"X1234567\"]"},
	{"", "token: 2026-03-14T15:30:00Z"},
	{"", "see https://example.org/a:b/c and http://localhost:8000/x@y"},
	{"", "key = value, monkey=banana12"},
	{"card", "pay with [4111 1111 1111 1111] please"},
	{"card", "[5555555555554444]"},
	{"card", "3 boxes, 12 cables, [3782-822463-10005], done"},
	{"card", "[6011111111111117]."},
	{"", "4111 1111 1111 1112 is not one"},
	{"", "order 9999999999999995, and 41111111111111111111111"},
	{"", "0.4111111111111111 of it; a4111111111111111; id 1764371000123"},
	{"iban", "to [DE89 3704 0044 0532 0130 00] by Friday"},
	{"iban", "[GB82WEST12345698765432]"},
	{"", "DE88 3704 0044 0532 0130 00"},
	{"email", "ask [anna.b+x@mail.example.org]."},
	{"", "see @anna and user@host"},
	{"phone", "call [+49 (30) 1234-5678] or"},
	{"phone", "call [415-555-0132] now"},
	{"", "+1 and +12 34"},
	{"national_id", "ssn [123-45-6789]"},
	{"", "000-45-6789 and 2026-03-14"},
	{"national_id", "QQ 12 34 56 A no, [AB 12 34 56 C]"},
	{"national_id", "dni [12345678Z]"},
	{"", "dni 12345678A"},
	{"ip", "from [203.0.113.9] again"},
	{"", "127.0.0.1, 10.0.0.8, 192.168.1.1, version 1.2.3.4.5, 999.1.1.1"},
	{"ip", "host [2001:db8::8a2e:370:7334] there"},
	{"", "at 15:30:45, std::vector::a1, ::1 and fe80::1"},
	{"", "Yesterday Anna told me that the second cluster was moved to Thursday, 2026-03-14, 15:30, room 4.12."},
};

/* The text of a case without its marks. */
static inline size_t unmark(const char *from, char *to, size_t *begin, size_t *end)
{
	static const char random[] = "a8Kx0qLw93mZbT51RvYc77HdP2sJ46uEoNfGi8Qy";
	size_t n = 0;

	*begin = *end = 0;
	for (; *from != '\0'; from++) {
		if (*from == '\1') {
			memcpy(to + n, random, 40);
			n += 40;
		} else if (*from == '[' && *end == 0) {
			*begin = n;
		} else if (*from == ']' && *end == 0) {
			*end = n;
		} else if (*from != '\2') {
			to[n++] = *from;
		}
	}
	to[n] = '\0';
	return n;
}

#endif
