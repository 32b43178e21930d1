/* One table of settings (settings.def) -> struct, YAML file, --set, help, dump. */
#ifndef COMMON_CONFIG_CONFIG_H
#define COMMON_CONFIG_CONFIG_H
#include <stdbool.h>
#include <stdint.h>
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/roles.h"

#define CFG_STR_MAX 1025
typedef uint32_t cfg_u32;
typedef bool cfg_bool;
typedef char cfg_str[CFG_STR_MAX];
typedef uint32_t cfg_roles[TR_NROLES];
#define CFG_UNDERSTUDIES_MAX 7 /* of one role */

enum cfg_origin { CFG_DEFAULT, CFG_FILE, CFG_COMMAND_LINE };

struct tr_config {
#define S(type, member, key, def, min, max, doc) cfg_##type member;
#include "common/config/settings.def"
#undef S
};

/* Where each value came from, in table order. */
#define S(type, member, key, def, min, max, doc) +1
enum { CFG_NSETTINGS = 0
#include "common/config/settings.def"
};
#undef S
struct cfg_origins {
	unsigned char of[CFG_NSETTINGS]; /* enum cfg_origin */
	uint32_t line[CFG_NSETTINGS];    /* in the file; 0: not from a file */
	char file[256];                  /* the file last loaded, for messages */
};

/* Why a configuration was refused, ready to print: "tribe.yaml:3: heartbeat_ms: must be a whole number from 10 to 60000". */
struct cfg_error {
	char text[512];
};

/* All functions: 0, or TR_ECONFIG with *err filled; cfg may then be half-changed and must not be used. */
void cfg_defaults(struct tr_config *cfg, struct cfg_origins *origins);
/* YAML: nested mappings or dotted keys; unknown and repeated keys, anchors, a second document are refused with the line. */
int cfg_load_file(struct tr_config *cfg, struct cfg_origins *origins, const char *path, struct cfg_error *err);
int cfg_load_text(struct tr_config *cfg, struct cfg_origins *origins, const char *text, size_t n, const char *name,
		  struct cfg_error *err);
/* "KEY=VALUE" of --set. */
int cfg_set(struct tr_config *cfg, struct cfg_origins *origins, const char *assignment, struct cfg_error *err);
/* The rules between settings, and what this version cannot do yet (one clear line each); call once after the last change. */
int cfg_check(const struct tr_config *cfg, struct cfg_error *err);
/* The same, and the message names the file and line the value came from. origins may be NULL. */
int cfg_check_at(const struct tr_config *cfg, const struct cfg_origins *origins, struct cfg_error *err);
/* Does archive.url name a PostgreSQL server? */
bool cfg_archive_is_postgres(const struct tr_config *cfg);
/* The three Ed25519 public keys of governance, in the order of cfg_governors. */
#define CFG_NGOVERNORS 3
#define CFG_KEY_LEN    32
extern const char *const cfg_governors[CFG_NGOVERNORS]; /* "war_chief" ... */
/* Has it such keys? Then out (may be NULL) gets their bytes. cfg has been checked. */
bool cfg_governance_keys(const struct tr_config *cfg, unsigned char out[CFG_NGOVERNORS][CFG_KEY_LEN]);
/* What the files of this machine must be like: archive.url leads into a directory that is there. Relative paths are
 * below state, which itself may still be missing. Makes nothing; for the start only. origins may be NULL. */
int cfg_check_places(const struct tr_config *cfg, const struct cfg_origins *origins, const char *state,
		     struct cfg_error *err);
/* http.listen as an address: "127.0.0.1:8000", "[::1]:8000" or "localhost:8000". TR_EINVAL when it is none. */
struct sockaddr_storage;
int cfg_listen_parse(const char *text, struct sockaddr_storage *out);
/* Beyond loopback nothing is served without TLS and tokens. */
bool cfg_is_loopback(const struct sockaddr_storage *ss);
/* YAML with every setting. Without origins: as it is, passwords too, so that cfg_load_text() takes it back to the same struct;
 * this is how tribed hands the configuration to a Jr. With origins it is for a person: each line says where the value came from
 * and what it means, and secrets are masked. */
int cfg_dump(const struct tr_config *cfg, const struct cfg_origins *origins, struct buf *out);
/* The value of row i as --set and YAML take it, not yet quoted. */
int cfg_value_print(const struct tr_config *cfg, int i, struct buf *out);
/* The same for a person's eyes: the password of a URL and what looks like a key in it are "***". The only way in which a value
 * may be printed, logged or sent to a user's tool. */
int cfg_value_show(const struct tr_config *cfg, int i, struct buf *out);
int cfg_text_show(const char *text, struct buf *out); /* the same of any text that may hold a URL, such as an error's */
const char *cfg_origin_word(unsigned char origin); /* enum cfg_origin: "default", "file", "command line" */
/* One row of the table, for help and documents; false past the end. Texts are static. */
struct cfg_setting {
	const char *key, *type, *def, *doc;
	double min, max;
};
bool cfg_setting_at(unsigned i, struct cfg_setting *out);
/* Is the value of that row the same in both? i < CFG_NSETTINGS */
bool cfg_same(const struct tr_config *a, const struct tr_config *b, unsigned i);

/* The directories and files a program works with, by the rules of systemd (STATE_DIRECTORY, RUNTIME_DIRECTORY) and --dev. */
struct tr_paths {
	char state[4096];   /* default $STATE_DIRECTORY, else /var/lib/tribe; --dev DIR: DIR/state */
	char runtime[4096]; /* default $RUNTIME_DIRECTORY, else /run/tribe; --dev DIR: DIR/run */
	char config[4096];  /* --config, else DIR/tribe.yaml or /etc/tribe/tribe.yaml if that exists; empty: none */
	char config_place[4096]; /* the same, whether it exists or not */
};
/* dev, state, runtime, config: the flags as given, or NULL. Relative paths are made absolute against the working directory.
 * TR_ECONFIG when a path would be too long (a socket path must fit 107 bytes). */
int cfg_paths(struct tr_paths *out, const char *dev, const char *state, const char *runtime, const char *config,
	      struct cfg_error *err);

#endif
