/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/hex.h"

#include "common/base/err.h"

char *hex_encode(struct slice in, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < in.len; i++) {
        out[2 * i] = digits[in.data[i] >> 4];
        out[2 * i + 1] = digits[in.data[i] & 15];
    }
    out[2 * in.len] = '\0';
    return out;
}

#define NO_DIGIT 16U

static unsigned digit(uint8_t c, bool upper)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned)c - 'a' + 10;
    }
    if (upper && c >= 'A' && c <= 'F') {
        return (unsigned)c - 'A' + 10;
    }
    return NO_DIGIT;
}

static int decode(struct slice text, bool upper, uint8_t *out, size_t out_len)
{
    if (text.len % 2 != 0 || text.len / 2 != out_len) {
        return POFR_EFORMAT;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (digit(text.data[i], upper) == NO_DIGIT) {
            return POFR_EFORMAT;
        }
    }
    for (size_t i = 0; i < out_len; i++) {
        out[i] = (uint8_t)(digit(text.data[2 * i], true) << 4 | digit(text.data[2 * i + 1], true));
    }
    return 0;
}

int hex_decode(struct slice text, uint8_t *out, size_t out_len)
{
    return decode(text, true, out, out_len);
}

int hex_decode_lower(struct slice text, uint8_t *out, size_t out_len)
{
    return decode(text, false, out, out_len);
}
