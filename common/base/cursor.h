/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cursor.h -- bounded reader over bytes that we did not write.
 *
 * The error is sticky: the first read that does not fit sets c->err (POFR_ETRUNCATED, POFR_EFORMAT,
 * POFR_ETOOBIG) and from then on every read returns 0 or an empty slice and moves nothing. So read a whole message, then
 * look at c->err (or cursor_done()) once, before anything read is believed. A loop over a count that was
 * read must also stop on c->err.
 *
 * Slices that it returns point into the input and live as long as that does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/slice.h"

struct cursor {
    const uint8_t *pos;
    const uint8_t *end;
    int err;
};

static inline struct cursor cursor_of(struct slice s)
{
    /* not NULL, so that arithmetic on pos is always defined */
    const uint8_t *start = s.data ? s.data : (const uint8_t *)"";

    return (struct cursor){ start, start + s.len, 0 };
}

/* Bytes not yet read (also after an error). */
static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->pos);
}

/* Set the error unless there is one: for a value that makes no sense to the caller. */
static inline void cursor_fail(struct cursor *c, int code)
{
    if (c->err == 0) {
        c->err = code;
    }
}

/* n bytes, borrowed; empty on error. */
static inline struct slice cursor_bytes(struct cursor *c, size_t n)
{
    struct slice s = { c->pos, n };

    if (pofr_unlikely(c->err != 0 || n > cursor_left(c))) {
        cursor_fail(c, POFR_ETRUNCATED);
        return SLICE_EMPTY;
    }
    c->pos += n;
    return s;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    struct slice s = cursor_bytes(c, 1);

    return s.len ? s.data[0] : 0;
}

/* The next byte without moving; 0 at the end or after an error. */
static inline uint8_t cursor_peek_u8(const struct cursor *c)
{
    return c->err == 0 && c->pos < c->end ? *c->pos : 0;
}

uint16_t cursor_u16le(struct cursor *c);
uint32_t cursor_u32le(struct cursor *c);
uint64_t cursor_u64le(struct cursor *c);
uint16_t cursor_u16be(struct cursor *c);
uint32_t cursor_u32be(struct cursor *c);
uint64_t cursor_u64be(struct cursor *c);

/*
 * LEB128. POFR_EFORMAT: more than 10 bytes, more than 64 bits, or longer than needed (a last byte of 0), so
 * each number has one encoding only.
 */
uint64_t cursor_varint(struct cursor *c);
int64_t cursor_svarint(struct cursor *c); /* zigzag */

/* A varint that must not exceed max (POFR_ETOOBIG): for counts and enums. */
uint64_t cursor_varint_max(struct cursor *c, uint64_t max);

/* What buf_varbytes() and buf_str32be() write; a length above max is POFR_ETOOBIG. */
struct slice cursor_varbytes(struct cursor *c, size_t max);
struct slice cursor_str32be(struct cursor *c, size_t max);

/* Take all that is left; empty after an error. */
struct slice cursor_rest(struct cursor *c);

/* 0 if all was read without error; the error; POFR_EFORMAT if bytes are left over. */
POFR_MUST_USE int cursor_done(const struct cursor *c);
