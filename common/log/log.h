/* One place to format log lines: `level program message key=value ...`, to the journal when stderr is the journal
 * (JOURNAL_STREAM), else to stderr as one write(2) a line. Usable from any thread after log_open(). No memory content,
 * query text, path of a user or secret is ever logged: ids and counts only. */
#ifndef COMMON_LOG_LOG_H
#define COMMON_LOG_LOG_H

#define LOG_LEVELS(X) X(ERROR, "error") X(WARN, "warn") X(INFO, "info") X(DEBUG, "debug")
enum log_level {
#define X(id, name) LOG_LEVEL_##id,
	LOG_LEVELS(X)
#undef X
	LOG_NLEVELS
};

/* The level of that name ("info"); -1 if there is none. */
int log_level_find(const char *name);

/* name: borrowed for the life of the process, e.g. "memory-jr". */
void log_open(const char *name, enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
