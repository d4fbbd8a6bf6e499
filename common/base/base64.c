/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/base64.h"

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void put(struct buf *out, char c, size_t wrap, size_t *column)
{
    buf_u8(out, (uint8_t)c);
    if (wrap > 0 && ++*column == wrap) {
        buf_u8(out, '\n');
        *column = 0;
    }
}

void base64_encode(struct slice in, size_t wrap, struct buf *out)
{
    size_t column = 0;

    for (size_t i = 0; i < in.len && out->err == 0; i += 3) {
        size_t n = in.len - i < 3 ? in.len - i : 3;
        uint32_t v = (uint32_t)in.data[i] << 16 | (uint32_t)(n > 1 ? in.data[i + 1] : 0) << 8 |
                     (uint32_t)(n > 2 ? in.data[i + 2] : 0);

        put(out, alphabet[v >> 18], wrap, &column);
        put(out, alphabet[v >> 12 & 63], wrap, &column);
        put(out, n > 1 ? alphabet[v >> 6 & 63] : '=', wrap, &column);
        put(out, n > 2 ? alphabet[v & 63] : '=', wrap, &column);
    }
    if (column > 0) {
        buf_u8(out, '\n');
    }
}

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '+') {
        return 62;
    }
    return c == '/' ? 63 : -1;
}

/* Four characters -> one to three bytes; returns how many, or 0 where they are not valid. */
static size_t decode_group(const uint8_t c[4], uint8_t bytes[3])
{
    size_t pads = c[3] != '=' ? 0 : c[2] != '=' ? 1 : 2;
    uint32_t v = 0;

    for (size_t i = 0; i < 4; i++) {
        int d = i >= 4 - pads ? 0 : value_of(c[i]);

        if (d < 0) {
            return 0;
        }
        v = v << 6 | (uint32_t)d;
    }
    if ((pads == 1 && (v & 0xff) != 0) || (pads == 2 && (v & 0xffff) != 0)) {
        return 0; /* spare bits: two texts for the same bytes */
    }
    bytes[0] = (uint8_t)(v >> 16);
    bytes[1] = (uint8_t)(v >> 8);
    bytes[2] = (uint8_t)v;
    return 3 - pads;
}

int base64_decode(struct slice text, bool newlines, struct buf *out)
{
    size_t before = out->len;
    uint8_t group[4];
    size_t have = 0;
    bool ended = false;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        uint8_t bytes[3];
        size_t n;

        if (newlines && (c == '\n' || (c == '\r' && i + 1 < text.len && text.data[i + 1] == '\n'))) {
            continue;
        }
        if (ended) {
            goto format;
        }
        group[have++] = c;
        if (have < 4) {
            continue;
        }
        have = 0;
        n = decode_group(group, bytes);
        if (n == 0) {
            goto format;
        }
        ended = n < 3;
        buf_bytes(out, bytes, n);
        if (out->err != 0) {
            out->len = before;
            return out->err;
        }
    }
    if (have == 0 && out->err == 0) {
        return 0;
    }
format:
    out->len = before;
    return out->err != 0 ? out->err : POFR_EFORMAT;
}
