/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first byte says how many reads follow, the next ones which; the rest is the input. Whatever cursor.h
 * reads without an error, buf.h writes back byte for byte: each value has one encoding.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/cursor.h"

static void read_and_write(uint8_t what, struct cursor *c, struct buf *b)
{
    switch (what % 12) {
    case 0:
        buf_u8(b, cursor_u8(c));
        break;
    case 1:
        buf_u16le(b, cursor_u16le(c));
        break;
    case 2:
        buf_u32le(b, cursor_u32le(c));
        break;
    case 3:
        buf_u64le(b, cursor_u64le(c));
        break;
    case 4:
        buf_u16be(b, cursor_u16be(c));
        break;
    case 5:
        buf_u32be(b, cursor_u32be(c));
        break;
    case 6:
        buf_u64be(b, cursor_u64be(c));
        break;
    case 7:
        buf_varint(b, cursor_varint(c));
        break;
    case 8:
        buf_svarint(b, cursor_svarint(c));
        break;
    case 9:
        buf_varbytes(b, cursor_varbytes(c, 1000));
        break;
    case 10:
        buf_str32be(b, cursor_str32be(c, 1000));
        break;
    default:
        buf_append(b, cursor_bytes(c, what));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor program = cursor_of(slice_of(data, size));
    struct slice reads = cursor_bytes(&program, cursor_u8(&program));
    struct slice input = cursor_rest(&program);
    struct cursor c = cursor_of(input);
    struct buf b = BUF_INIT(1 << 20);

    for (size_t i = 0; i < reads.len; i++) {
        size_t before = b.len;

        read_and_write(reads.data[i], &c, &b);
        if (c.err != 0) {
            buf_truncate(&b, before);
            break;
        }
    }
    if (b.err != 0 || input.len - cursor_left(&c) != b.len || (b.len > 0 && memcmp(input.data, b.data, b.len) != 0)) {
        abort();
    }
    buf_free(&b);
    return 0;
}
