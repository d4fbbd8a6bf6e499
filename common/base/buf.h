/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buf.h -- growable bytes with a maximum given at birth.
 *
 * The error is sticky: after the first append that does not fit (POFR_ETOOBIG) or gets no memory
 * (POFR_ENOMEM), b->err is set, nothing more is appended, and the buffer holds what it held before.
 * So write a whole message, then look at b->err once.
 *
 * Not thread-safe: one owner. Names mirror cursor.h, which reads what this writes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t max;
    int err; /* 0, POFR_ETOOBIG or POFR_ENOMEM */
};

/* In place of buf_init(): struct buf b = BUF_INIT(65536); allocates nothing. */
#define BUF_INIT(max_bytes)                                                                                            \
    {                                                                                                                  \
        NULL, 0, 0, (max_bytes), 0                                                                                     \
    }

void buf_init(struct buf *b, size_t max_bytes);

/* Give the memory back; b is then as after buf_init() with the same maximum. */
void buf_free(struct buf *b);

/* Empty and without error; the memory is kept. */
void buf_reset(struct buf *b);

/* Cut to len bytes (len <= b->len). Does not clear an error. */
void buf_truncate(struct buf *b, size_t len);

/* Remove the first n bytes (n <= b->len), moving the rest down. */
void buf_consume(struct buf *b, size_t n);

/* Room for n more bytes: where to write them, or NULL with b->err set. buf_advance() then counts what was written. */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_advance(struct buf *b, size_t n);

/* A view of what is there; valid until the next append, reset or free. */
static inline struct slice buf_slice(const struct buf *b)
{
    return slice_of(b->data, b->len);
}

void buf_bytes(struct buf *b, const void *data, size_t len);
void buf_append(struct buf *b, struct slice s);
void buf_str(struct buf *b, const char *cstr); /* without the NUL */
void buf_u8(struct buf *b, uint8_t v);
void buf_u16le(struct buf *b, uint16_t v);
void buf_u32le(struct buf *b, uint32_t v);
void buf_u64le(struct buf *b, uint64_t v);
void buf_u16be(struct buf *b, uint16_t v);
void buf_u32be(struct buf *b, uint32_t v);
void buf_u64be(struct buf *b, uint64_t v);
void buf_decimal(struct buf *b, uint64_t v);      /* as text */
void buf_varint(struct buf *b, uint64_t v);       /* LEB128, 1 to 10 bytes */
void buf_svarint(struct buf *b, int64_t v);       /* zigzag, then LEB128 */
void buf_varbytes(struct buf *b, struct slice s); /* varint length, then the bytes */
void buf_str32be(struct buf *b, struct slice s);  /* an SSH "string": u32 big-endian length, then the bytes */
void buf_printf(struct buf *b, const char *fmt, ...) POFR_PRINTF(2, 3); /* without the NUL */

/* Overwrite bytes that are there already (at + len <= b->len), for a length known later. Nothing after an error. */
void buf_patch(struct buf *b, size_t at, const void *data, size_t len);
void buf_patch_u32be(struct buf *b, size_t at, uint32_t v);
void buf_patch_u32le(struct buf *b, size_t at, uint32_t v);

/* The bytes with a NUL behind them (not counted in len), as a C string; NULL with b->err set where that does not fit. */
const char *buf_cstr(struct buf *b);
