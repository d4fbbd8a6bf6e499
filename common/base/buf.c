/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/buf.h"

#include <assert.h>
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf)BUF_INIT(max_bytes);
}

void buf_free(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->err = 0;
}

void buf_truncate(struct buf *b, size_t len)
{
    assert(len <= b->len);
    b->len = len;
}

void buf_consume(struct buf *b, size_t n)
{
    assert(n <= b->len);
    if (n > 0) {
        memmove(b->data, b->data + n, b->len - n);
        b->len -= n;
    }
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
    size_t need, cap;
    uint8_t *data;

    if (b->err != 0) {
        return NULL;
    }
    if (n > b->max || b->len > b->max - n) {
        b->err = POFR_ETOOBIG;
        return NULL;
    }
    need = b->len + n;
    if (need <= b->cap && b->data) {
        return b->data + b->len;
    }
    cap = b->cap < 64 ? 64 : b->cap + b->cap / 2; /* half again: big buffers shall not double */
    if (cap < need) {
        cap = need;
    }
    if (cap > b->max && need <= b->max) {
        cap = b->max > 0 ? b->max : 1;
    }
    data = realloc(b->data, cap);
    if (!data) {
        b->err = POFR_ENOMEM;
        return NULL;
    }
    b->data = data;
    b->cap = cap;
    return b->data + b->len;
}

void buf_advance(struct buf *b, size_t n)
{
    assert(n <= b->cap - b->len);
    b->len += n;
}

void buf_bytes(struct buf *b, const void *data, size_t len)
{
    uint8_t *to;

    if (len == 0) {
        return;
    }
    to = buf_reserve(b, len);
    if (to) {
        memcpy(to, data, len);
        b->len += len;
    }
}

void buf_append(struct buf *b, struct slice s)
{
    buf_bytes(b, s.data, s.len);
}

void buf_str(struct buf *b, const char *cstr)
{
    buf_bytes(b, cstr, strlen(cstr));
}

void buf_u8(struct buf *b, uint8_t v)
{
    buf_bytes(b, &v, 1);
}

static inline void append_le(struct buf *b, uint64_t v, size_t n)
{
    uint8_t *to = buf_reserve(b, n);

    if (to) {
        v = htole64(v);
        memcpy(to, &v, n);
        b->len += n;
    }
}

static void append_be(struct buf *b, uint64_t v, size_t n)
{
    uint8_t *to = buf_reserve(b, n);

    if (to) {
        for (size_t i = 0; i < n; i++) {
            to[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
        }
        b->len += n;
    }
}

void buf_u16le(struct buf *b, uint16_t v)
{
    append_le(b, v, 2);
}

void buf_u32le(struct buf *b, uint32_t v)
{
    append_le(b, v, 4);
}

void buf_u64le(struct buf *b, uint64_t v)
{
    append_le(b, v, 8);
}

void buf_u16be(struct buf *b, uint16_t v)
{
    append_be(b, v, 2);
}

void buf_u32be(struct buf *b, uint32_t v)
{
    append_be(b, v, 4);
}

void buf_u64be(struct buf *b, uint64_t v)
{
    append_be(b, v, 8);
}

void buf_decimal(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_bytes(b, digits + at, sizeof(digits) - at);
}

void buf_varint(struct buf *b, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;

    while (v >= 0x80) {
        bytes[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    bytes[n++] = (uint8_t)v;
    buf_bytes(b, bytes, n);
}

void buf_svarint(struct buf *b, int64_t v)
{
    buf_varint(b, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

/* Length and bytes together or not at all. */
void buf_varbytes(struct buf *b, struct slice s)
{
    size_t before = b->len;

    buf_varint(b, s.len);
    buf_append(b, s);
    if (b->err != 0) {
        b->len = before;
    }
}

void buf_str32be(struct buf *b, struct slice s)
{
    size_t before = b->len;

    if (s.len > UINT32_MAX) {
        b->err = b->err ? b->err : POFR_ETOOBIG;
        return;
    }
    buf_u32be(b, (uint32_t)s.len);
    buf_append(b, s);
    if (b->err != 0) {
        b->len = before;
    }
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    int n;
    uint8_t *to;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->err = b->err ? b->err : POFR_ENOMEM;
        return;
    }
    /* vsnprintf wants room for its NUL, which the maximum does not count */
    if (b->err == 0 && ((size_t)n > b->max || b->len > b->max - (size_t)n)) {
        b->err = POFR_ETOOBIG;
        return;
    }
    b->max++;
    to = buf_reserve(b, (size_t)n + 1);
    b->max--;
    if (to) {
        va_start(ap, fmt);
        (void)vsnprintf((char *)to, (size_t)n + 1, fmt, ap); /* the length is known from the first round */
        va_end(ap);
        b->len += (size_t)n;
    }
}

void buf_patch(struct buf *b, size_t at, const void *data, size_t len)
{
    if (b->err != 0 || len == 0) {
        return;
    }
    assert(at <= b->len && len <= b->len - at);
    memcpy(b->data + at, data, len);
}

void buf_patch_u32be(struct buf *b, size_t at, uint32_t v)
{
    uint8_t bytes[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };

    buf_patch(b, at, bytes, sizeof(bytes));
}

void buf_patch_u32le(struct buf *b, size_t at, uint32_t v)
{
    uint8_t bytes[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) };

    buf_patch(b, at, bytes, sizeof(bytes));
}

const char *buf_cstr(struct buf *b)
{
    uint8_t *to;

    b->max++; /* the NUL is not counted */
    to = buf_reserve(b, 1);
    b->max--;
    if (!to) {
        return NULL;
    }
    *to = '\0';
    return (const char *)b->data;
}
