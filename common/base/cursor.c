/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/cursor.h"

static uint64_t read_le(struct cursor *c, size_t n)
{
    struct slice s = cursor_bytes(c, n);
    uint64_t v = 0;

    for (size_t i = s.len; i > 0; i--) {
        v = v << 8 | s.data[i - 1];
    }
    return v;
}

static uint64_t read_be(struct cursor *c, size_t n)
{
    struct slice s = cursor_bytes(c, n);
    uint64_t v = 0;

    for (size_t i = 0; i < s.len; i++) {
        v = v << 8 | s.data[i];
    }
    return v;
}

uint16_t cursor_u16le(struct cursor *c)
{
    return (uint16_t)read_le(c, 2);
}

uint32_t cursor_u32le(struct cursor *c)
{
    return (uint32_t)read_le(c, 4);
}

uint64_t cursor_u64le(struct cursor *c)
{
    return read_le(c, 8);
}

uint16_t cursor_u16be(struct cursor *c)
{
    return (uint16_t)read_be(c, 2);
}

uint32_t cursor_u32be(struct cursor *c)
{
    return (uint32_t)read_be(c, 4);
}

uint64_t cursor_u64be(struct cursor *c)
{
    return read_be(c, 8);
}

uint64_t cursor_varint(struct cursor *c)
{
    const uint8_t *at = c->pos;
    uint64_t v = 0;

    if (c->err != 0) {
        return 0;
    }
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte;

        if (at == c->end) {
            cursor_fail(c, POFR_ETRUNCATED);
            return 0;
        }
        byte = *at++;
        if (shift == 63 && byte > 1) { /* more than 64 bits, or an eleventh byte to come */
            break;
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            if (byte == 0 && shift > 0) { /* longer than needed */
                break;
            }
            c->pos = at;
            return v;
        }
    }
    cursor_fail(c, POFR_EFORMAT);
    return 0;
}

int64_t cursor_svarint(struct cursor *c)
{
    uint64_t v = cursor_varint(c);

    return (int64_t)((v >> 1) ^ ((v & 1) ? UINT64_MAX : 0));
}

uint64_t cursor_varint_max(struct cursor *c, uint64_t max)
{
    const uint8_t *before = c->pos;
    uint64_t v = cursor_varint(c);

    if (v > max) {
        c->pos = before;
        cursor_fail(c, POFR_ETOOBIG);
        return 0;
    }
    return v;
}

/* The length is read already; a failure moves back to before it. */
static struct slice sized(struct cursor *c, const uint8_t *before, uint64_t len, size_t max)
{
    struct slice s;

    if (c->err != 0) {
        return SLICE_EMPTY;
    }
    if (len > max) {
        c->pos = before;
        cursor_fail(c, POFR_ETOOBIG);
        return SLICE_EMPTY;
    }
    s = cursor_bytes(c, (size_t)len);
    if (c->err != 0) {
        c->pos = before;
    }
    return s;
}

struct slice cursor_varbytes(struct cursor *c, size_t max)
{
    const uint8_t *before = c->pos;
    uint64_t len = cursor_varint(c);

    return sized(c, before, len, max);
}

struct slice cursor_str32be(struct cursor *c, size_t max)
{
    const uint8_t *before = c->pos;
    uint64_t len = cursor_u32be(c);

    return sized(c, before, len, max);
}

struct slice cursor_rest(struct cursor *c)
{
    return cursor_bytes(c, cursor_left(c));
}

int cursor_done(const struct cursor *c)
{
    if (c->err != 0) {
        return c->err;
    }
    return c->pos == c->end ? 0 : POFR_EFORMAT;
}
