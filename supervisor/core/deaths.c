#include "supervisor/core/deaths.h"
#include <signal.h>

const char *const death_names[NDEATHS] = {
#define X(id, name, doc) name,
	DEATHS(X)
#undef X
};

const char *const detection_names[NDETECTIONS] = {
#define X(id, name, cause, doc) name,
	DETECTIONS(X)
#undef X
};

enum death detection_death(enum detection d)
{
	static const enum death of[NDETECTIONS] = {
#define X(id, name, cause, doc) DEATH_##cause,
		DETECTIONS(X)
#undef X
	};
	return of[d];
}

enum detection detection_of_end(bool exited, int value, bool short_of_memory)
{
	if (exited)
		return value == EXIT_NO_MEMORY ? DETECTED_OOM : DETECTED_EXIT;
	return value == SIGKILL && short_of_memory ? DETECTED_OOM : DETECTED_SIGNAL;
}
