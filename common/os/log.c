/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * THREADS  One mutex guards the counts and the sink, and is held while a line is written, so lines never mix
 *          and stand in the order of their times. The level is atomic, so a line that is not wanted costs one load.
 *
 * COST     A table of 64 events; where more are alive in one minute, the oldest gives way (its summary first).
 */
#include "common/os/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/os/clock.h"

#define WINDOW_US (60 * CLOCK_US_PER_S)
#define EVENTS    64U
#define NAME_SIZE 48U

struct seen {
    int64_t since_us; /* start of its minute */
    uint32_t count;   /* 0: this place is free */
    enum log_level level;
    char area[NAME_SIZE];
    char event[NAME_SIZE];
};

static atomic_int current_level = LOG_LEVEL_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects all below */
static struct seen seen[EVENTS];
static int64_t next_due_us; /* no minute ends before this */
static log_sink_fn sink;
static void *sink_arg;

const char *const log_level_names[] = { "error", "warn", "info", "debug", NULL };
static const int priorities[] = { 3, 4, 6, 7 }; /* of syslog(3) */

void log_set_level(enum log_level level)
{
    atomic_store(&current_level, (int)level);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

/* JOURNAL_STREAM names the stream that the service manager gave us; a redirected stderr is another one. */
static bool to_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char ours[64];
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st) != 0) {
        return false;
    }
    (void)snprintf(ours, sizeof(ours), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    return strcmp(stream, ours) == 0;
}

struct line {
    char text[LOG_LINE_MAX];
    size_t len;
    bool cut;
};

static void put(struct line *l, const char *s, size_t n)
{
    if (l->cut || n > sizeof(l->text) - 5 - l->len) { /* room for "...", newline, NUL */
        l->cut = true;
        return;
    }
    memcpy(l->text + l->len, s, n);
    l->len += n;
}

/* Whatever a caller forgot to escape can't begin a new line nor move a terminal's cursor. */
static void put_clean(struct line *l, const char *s)
{
    for (; *s != '\0' && !l->cut; s++) {
        unsigned char c = (unsigned char)*s;

        if (c >= ' ' && c < 0x7f) {
            put(l, s, 1);
        } else {
            char escaped[5];

            (void)snprintf(escaped, sizeof(escaped), "\\x%02x", c);
            put(l, escaped, 4);
        }
    }
}

#define QUOTE_OPEN  '\x01' /* in a format, around what stands there as "%s" */
#define QUOTE_CLOSE '\x02'
#define FORMAT_MAX  512

/*
 * Every "%s" of fmt with marks for its quotes, so that a quote within the value can be told from those around it. A format
 * that does not fit stays as it is.
 */
static const char *mark_quotes(const char *fmt, char marked[FORMAT_MAX])
{
    size_t n = 0;

    for (const char *c = fmt; *c != '\0'; c++) {
        if (n + 5 > FORMAT_MAX) {
            return fmt;
        }
        if (strncmp(c, "\"%s\"", 4) == 0) {
            marked[n++] = QUOTE_OPEN;
            marked[n++] = '%';
            marked[n++] = 's';
            marked[n++] = QUOTE_CLOSE;
            c += 3;
        } else {
            marked[n++] = *c;
        }
    }
    marked[n] = '\0';
    return marked;
}

/* The values, with a backslash before each quote in a quoted one that has none yet (log_escape() has given it one). */
static void put_values(struct line *l, const char *s)
{
    bool quoted = false, escaped = false;

    put(l, " ", *s != '\0');
    for (; *s != '\0' && !l->cut; s++) {
        char one[2] = { *s, '\0' };

        if (*s == QUOTE_OPEN || *s == QUOTE_CLOSE) {
            put(l, "\\", escaped); /* a value that ends in one must not escape its quote */
            quoted = *s == QUOTE_OPEN;
            escaped = false;
            put(l, "\"", 1);
            continue;
        }
        if (quoted && *s == '"' && !escaped) {
            put(l, "\\", 1);
        }
        escaped = *s == '\\' && !escaped;
        put_clean(l, one);
    }
}

/* "2026-08-22T10:11:12.123456Z warn ", or "<4>" for the journal, or "warn " for a test. */
static void put_head(struct line *l, enum log_level level)
{
    char text[CLOCK_TEXT_SIZE];

    if (!sink && to_journal()) {
        (void)snprintf(text, sizeof(text), "<%d>", priorities[level]);
        put(l, text, strlen(text));
        return;
    }
    if (!sink) {
        (void)clock_format(clock_wall_us(), text); /* returns text */
        put(l, text, strlen(text));
        put(l, " ", 1);
    }
    put(l, log_level_names[level], strlen(log_level_names[level]));
    put(l, " ", 1);
}

static void put_word(struct line *l, const char *s)
{
    if (s && *s != '\0') {
        put(l, " ", 1);
        put_clean(l, s);
    }
}

/* One write, so that lines of several processes on one stderr do not mix. */
static void emit(struct line *l, enum log_level level)
{
    ssize_t n;

    if (l->cut) {
        memcpy(l->text + l->len, "...", 3);
        l->len += 3;
    }
    if (sink) {
        l->text[l->len] = '\0';
        sink(level, l->text, sink_arg);
        return;
    }
    l->text[l->len++] = '\n';
    do {
        n = write(STDERR_FILENO, l->text, l->len);
    } while (n < 0 && errno == EINTR);
    /* A log that can't be written has nowhere to say so. */
}

static void write_summary(struct seen *s)
{
    if (s->count > LOG_BURST) {
        struct line l = { .len = 0 };
        char count[32];

        put_head(&l, s->level);
        put_clean(&l, s->area);
        put_word(&l, s->event);
        (void)snprintf(count, sizeof(count), "suppressed=%u", s->count - LOG_BURST);
        put_word(&l, count);
        emit(&l, s->level);
    }
    s->count = 0;
}

/* End the minutes that are over at now. */
static void end_windows(int64_t now)
{
    int64_t next = INT64_MAX;

    if (now < next_due_us) {
        return;
    }
    for (size_t i = 0; i < EVENTS; i++) {
        if (seen[i].count > 0 && now - seen[i].since_us >= WINDOW_US) {
            write_summary(&seen[i]);
        }
        if (seen[i].count > 0 && seen[i].since_us + WINDOW_US < next) {
            next = seen[i].since_us + WINDOW_US;
        }
    }
    next_due_us = next;
}

static struct seen *place_of(const char *area, const char *event)
{
    struct seen *oldest = &seen[0];

    for (size_t i = 0; i < EVENTS; i++) {
        if (seen[i].count > 0 && strncmp(seen[i].event, event, NAME_SIZE - 1) == 0 &&
            strncmp(seen[i].area, area, NAME_SIZE - 1) == 0) {
            return &seen[i];
        }
        if (oldest->count > 0 && (seen[i].count == 0 || seen[i].since_us < oldest->since_us)) {
            oldest = &seen[i];
        }
    }
    write_summary(oldest);
    (void)snprintf(oldest->area, NAME_SIZE, "%s", area); /* a cut name is compared cut */
    (void)snprintf(oldest->event, NAME_SIZE, "%s", event);
    return oldest;
}

/* Count the event; may this line be written? */
static bool passes(enum log_level level, const char *area, const char *event)
{
    int64_t now = clock_mono_us();
    struct seen *s;

    end_windows(now);
    if (level == LOG_LEVEL_DEBUG) {
        return true;
    }
    s = place_of(area, event);
    if (s->count == 0) {
        s->since_us = now;
        s->level = level;
        if (now + WINDOW_US < next_due_us) {
            next_due_us = now + WINDOW_US;
        }
    }
    if (s->count < UINT32_MAX) {
        s->count++;
    }
    return s->count <= LOG_BURST;
}

POFR_PRINTF(5, 0)
static void log_v(const char *context, enum log_level level, const char *area, const char *event, const char *fmt,
                  va_list ap)
{
    char values[LOG_LINE_MAX], marked[FORMAT_MAX];
    int saved = errno;

    if (!log_enabled(level)) {
        return;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the caller's, checked there, with other quotes */
    (void)vsnprintf(values, sizeof(values), mark_quotes(fmt, marked), ap); /* cut values are still cut in the line */
#pragma GCC diagnostic pop
    (void)pthread_mutex_lock(&lock); /* can't fail on a plain mutex */
    if (passes(level, area, event)) {
        struct line l = { .len = 0 };

        put_head(&l, level);
        put_clean(&l, area);
        put_word(&l, event);
        put_word(&l, context);
        put_values(&l, values);
        emit(&l, level);
    }
    (void)pthread_mutex_unlock(&lock); /* as above */
    errno = saved;
}

void log_error(const char *area, const char *event, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_v(NULL, LOG_LEVEL_ERROR, area, event, fmt, ap);
    va_end(ap);
}

void log_warn(const char *area, const char *event, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_v(NULL, LOG_LEVEL_WARN, area, event, fmt, ap);
    va_end(ap);
}

void log_info(const char *area, const char *event, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_v(NULL, LOG_LEVEL_INFO, area, event, fmt, ap);
    va_end(ap);
}

void log_debug(const char *area, const char *event, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_v(NULL, LOG_LEVEL_DEBUG, area, event, fmt, ap);
    va_end(ap);
}

void log_with(const char *context, enum log_level level, const char *area, const char *event, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_v(context, level, area, event, fmt, ap);
    va_end(ap);
}

void log_flush(void)
{
    (void)pthread_mutex_lock(&lock); /* can't fail on a plain mutex */
    for (size_t i = 0; i < EVENTS; i++) {
        write_summary(&seen[i]);
    }
    (void)pthread_mutex_unlock(&lock); /* as above */
}

void log_set_sink(log_sink_fn fn, void *arg)
{
    (void)pthread_mutex_lock(&lock); /* can't fail on a plain mutex */
    sink = fn;
    sink_arg = arg;
    memset(seen, 0, sizeof(seen));
    next_due_us = 0;
    (void)pthread_mutex_unlock(&lock); /* as above */
}

char *log_escape(struct slice s, char *out, size_t out_size)
{
    size_t at = 0;
    size_t safe = 0; /* here "..." still fits */

    if (out_size == 0) {
        return out;
    }
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        char piece[5];
        size_t n = 1;

        if (c == '"' || c == '\\') {
            n = (size_t)snprintf(piece, sizeof(piece), "\\%c", c);
        } else if (c >= ' ' && c < 0x7f) {
            piece[0] = (char)c;
        } else {
            n = (size_t)snprintf(piece, sizeof(piece), "\\x%02x", c);
        }
        if (at + n >= out_size) {
            for (at = safe; at < out_size - 1 && at < safe + 3; at++) {
                out[at] = '.';
            }
            break;
        }
        memcpy(out + at, piece, n);
        at += n;
        if (at + 3 < out_size) {
            safe = at;
        }
    }
    out[at] = '\0';
    return out;
}
