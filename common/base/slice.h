/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slice.h -- a borrowed view of bytes that someone else owns.
 *
 * Whoever hands out a slice says in the contract how long it lives. An empty slice may have data == NULL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data;
    size_t len;
};

#define SLICE_EMPTY ((struct slice){ NULL, 0 })

/* A string literal without its NUL; usable in static initialisers. */
#define SLICE_LITERAL(s)                                                                                               \
    {                                                                                                                  \
        (const uint8_t *)(s), sizeof("" s) - 1                                                                         \
    }

/* For printf: "%.*s". Only for text that is known to be clean; peer bytes go through log_escape(). */
#define SLICE_FMT(s) (int)((s).len > 4096 ? 4096 : (s).len), (const char *)((s).data ? (s).data : (const uint8_t *)"")

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){ (const uint8_t *)data, len };
}

/* NULL gives an empty slice. */
static inline struct slice slice_str(const char *cstr)
{
    return (struct slice){ (const uint8_t *)cstr, cstr ? strlen(cstr) : 0 };
}

static inline bool slice_empty(struct slice s)
{
    return s.len == 0;
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_eq_str(struct slice a, const char *cstr)
{
    return slice_eq(a, slice_str(cstr));
}

/* As memcmp; where one is the beginning of the other, the shorter comes first. */
static inline int slice_cmp(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;

    if (c != 0) {
        return c;
    }
    return (a.len > b.len) - (a.len < b.len);
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

/* Bytes from..from+len of s, cut to what s has. */
static inline struct slice slice_sub(struct slice s, size_t from, size_t len)
{
    if (from >= s.len) {
        return SLICE_EMPTY;
    }
    return (struct slice){ s.data + from, len < s.len - from ? len : s.len - from };
}

/* Index of the first byte c, or s.len. */
static inline size_t slice_find(struct slice s, uint8_t c)
{
    const uint8_t *at = s.len ? (const uint8_t *)memchr(s.data, c, s.len) : NULL;

    return at ? (size_t)(at - s.data) : s.len;
}

/* Without blanks and tabs (and CR, LF) at both ends. */
static inline struct slice slice_trim(struct slice s)
{
    while (s.len && (s.data[0] == ' ' || s.data[0] == '\t' || s.data[0] == '\r' || s.data[0] == '\n')) {
        s.data++;
        s.len--;
    }
    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t' || s.data[s.len - 1] == '\r' ||
                     s.data[s.len - 1] == '\n')) {
        s.len--;
    }
    return s;
}

/* Cut off and return what is before the first byte c; *s keeps what is after it (empty when there was no c). */
static inline struct slice slice_split(struct slice *s, uint8_t c)
{
    size_t at = slice_find(*s, c);
    struct slice first = slice_sub(*s, 0, at);

    *s = at < s->len ? slice_sub(*s, at + 1, SIZE_MAX) : SLICE_EMPTY;
    return first;
}
