/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log.h -- one line is one event, on stderr:
 *
 *   2026-08-22T10:11:12.123456Z warn spool segment_repaired file=00000007 kept=12 cut_bytes=311
 *
 * Under systemd (JOURNAL_STREAM is set) the time is left out and "<N>" with the syslog priority stands in
 * front. The event's name never changes, so alerts can rely on it. Levels: error = someone must act;
 * warn = we coped; info = life cycle; debug = off. Nothing per record above debug.
 *
 * The same area and event more than LOG_BURST times in a minute (debug excepted): the rest is counted, and one
 * line "area event suppressed=N" follows when the minute is over (at the next log call, or log_flush()).
 *
 * Control and non-ASCII bytes never reach the line: they are written as \xNN. Values with blanks are put in quotes by
 * the caller: error="%s". Bytes of a peer go through log_escape() first.
 *
 * Thread-safe. The sink and the level are process-wide: the one global that CODING.md allows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

/* "error", "warn", "info", "debug", NULL: the choices of a CONF_ENUM whose value is an enum log_level. */
extern const char *const log_level_names[];

#define LOG_BURST    20   /* of one event per minute */
#define LOG_LINE_MAX 2048 /* longer lines are cut and end in "..." */

/* fmt gives key=value pairs; "" for none. errno is kept. */
void log_error(const char *area, const char *event, const char *fmt, ...) POFR_PRINTF(3, 4);
void log_warn(const char *area, const char *event, const char *fmt, ...) POFR_PRINTF(3, 4);
void log_info(const char *area, const char *event, const char *fmt, ...) POFR_PRINTF(3, 4);
void log_debug(const char *area, const char *event, const char *fmt, ...) POFR_PRINTF(3, 4);

/* The same with a context made once per connection ("host=web1 peer=192.0.2.7:4711"), or NULL. */
void log_with(const char *context, enum log_level level, const char *area, const char *event, const char *fmt, ...)
    POFR_PRINTF(5, 6);

/* Default: info. */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* Write the "suppressed" lines that are due now, whether their minute is over or not. At the end of a program. */
void log_flush(void);

/* Printable ASCII without quote and backslash as it is, the rest as \xNN, \" or \\; cut to fit out with "..." at its end. Returns out. */
char *log_escape(struct slice s, char *out, size_t out_size);

/*
 * For tests: lines ("warn area event key=value", without time and newline) go to fn instead of stderr; NULL:
 * stderr again. Forgets all counts. fn must not log.
 */
typedef void (*log_sink_fn)(enum log_level level, const char *line, void *arg);
void log_set_sink(log_sink_fn fn, void *arg);
