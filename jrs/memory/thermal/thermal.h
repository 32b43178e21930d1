/* The thermal model: how hot a memory is. Pure: time comes in as an argument, in milliseconds since 1970 (any double).
 *
 * Every access adds a quantum that halves each half-life h; the first access is being remembered. With
 *   heat_key = log2(sum over accesses i of 2^(t_i / h))
 * the raw temperature at time t is base + k * (heat_key - t/h). heat_key changes only when somebody accesses the memory
 * and orders memories by raw temperature for ever, so cooling costs no write. docs/THERMAL_ENTROPY_MODEL.md has the
 * story. */
#ifndef JRS_MEMORY_THERMAL_THERMAL_H
#define JRS_MEMORY_THERMAL_THERMAL_H
#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
/*        member        key in table settings    first value */
#define THERMAL_SETTINGS(X)                                                                                   \
	X(base,         "thermal.base",          40.0)        /* degrees of one access, now */              \
	X(k,            "thermal.k",             10.0)        /* degrees for twice the accesses */          \
	X(half_life_ms, "thermal.half_life_ms",  604800000.0) /* 7 days */                                   \
	X(sacred_floor, "thermal.sacred_floor",  40.0)        /* a sacred memory is never colder */          \
	X(max,          "thermal.max",           100.0)       /* nothing is hotter; the coldest is 0 */

/*        id          name         key in table settings     first value: from this temperature on, hottest first */
#define THERMAL_STAGES(X)                                                                                     \
	X(WHITE_HOT, white_hot, "thermal.stage.white_hot", 90.0)                                             \
	X(RED_HOT,   red_hot,   "thermal.stage.red_hot",   70.0)                                             \
	X(WARM,      warm,      "thermal.stage.warm",      30.0)                                             \
	X(COOL,      cool,      "thermal.stage.cool",      15.0)                                             \
	X(COLD,      cold,      "thermal.stage.cold",      5.0)                                              \
	X(EMBER,     ember,     "thermal.stage.ember",     0.0)
/* clang-format on */

enum thermal_stage {
#define X(id, name, key, from) THERMAL_##id,
	THERMAL_STAGES(X)
#undef X
		THERMAL_NSTAGES
};

/* From at_ms on a half-life is so long, and tau of them had passed by then. */
struct thermal_clock {
	double at_ms, tau, half_life_ms;
};
#define THERMAL_CLOCKS_MAX 64

/* The constants. They live in the archive (tables settings and thermal_clock); nobody else has its own. Where the
 * half-life has been changed, t/h above is read off the clock: how many half-lives have passed since 1970, each as long
 * as it was then. So a change makes no memory hotter or colder at its moment, keeps every order, and rewrites no row.
 */
struct thermal_model {
#define X(member, key, first) double member;
	THERMAL_SETTINGS(X)
#undef X
	double stage_from[THERMAL_NSTAGES];
	unsigned nclocks; /* 0: half_life_ms always; else the last one's is half_life_ms */
	struct thermal_clock clock[THERMAL_CLOCKS_MAX];
};

void thermal_first(struct thermal_model *m); /* the values a new archive starts with */
/* Usable? Everything finite, half-life >= 1 ms, 0 < k, 0 <= floor <= max, stages falling to 0. */
bool thermal_ok(const struct thermal_model *m);

bool thermal_same(const struct thermal_model *a, const struct thermal_model *b);
/* What an act may make of the constants: NULL, or the rule that `want` breaks; *field: the member's name. The floor is
 * never under 40, nothing is hotter than 100. */
const char *thermal_objection(const struct thermal_model *want, const char **field);
/* m gets want's constants at t; want's clocks do not count. TR_ETOOBIG: the half-life has been changed too often, m is
 * untouched. */
int thermal_change(struct thermal_model *m, const struct thermal_model *want, double t_ms);
/* A heat_key by the clock of the first values, as exports have it, and back: accesses count as they did at the last
 * one. */
double thermal_export(const struct thermal_model *m, double heat_key, double last_access_ms);
double thermal_import(const struct thermal_model *m, double heat_key, double last_access_ms);

/* heat_key of a memory remembered at t and not accessed since. */
double thermal_born(const struct thermal_model *m, double t_ms);
/* heat_key after one more access at t. Never below heat_key; the order of accesses does not matter. */
double thermal_access(const struct thermal_model *m, double heat_key, double t_ms);
/* Not clamped to 0..max, but always finite. */
double thermal_raw(const struct thermal_model *m, double heat_key, double t_ms);
/* 0..max, for a sacred memory sacred_floor..max. */
double thermal_at(const struct thermal_model *m, double heat_key, bool sacred, double t_ms);

enum thermal_stage thermal_stage_of(const struct thermal_model *m, double temperature);
const char *thermal_stage_name(enum thermal_stage s); /* "white_hot"; static */

/* calculate_entropy() of the seed: Shannon entropy of the distribution over the six stages / log2(6), so 0..1; 0 when
 * everything is in one stage or nothing is there. */
double thermal_entropy(const uint64_t count[THERMAL_NSTAGES]);

#endif
