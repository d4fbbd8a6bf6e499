/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/uuid.h"

#include <errno.h>
#include <sys/random.h>

#include "common/base/err.h"
#include "common/base/hex.h"

static const uint8_t group_len[5] = { 8, 4, 4, 4, 12 };

int uuid_parse(struct slice text, struct uuid *out)
{
    uint8_t digits[32];
    size_t n = 0, at = 0;

    if (text.len != UUID_TEXT_LEN) {
        return POFR_EFORMAT;
    }
    for (size_t g = 0; g < 5; g++) {
        if (g > 0 && text.data[at++] != '-') {
            return POFR_EFORMAT;
        }
        memcpy(digits + n, text.data + at, group_len[g]);
        n += group_len[g];
        at += group_len[g];
    }
    return hex_decode(slice_of(digits, sizeof(digits)), out->b, sizeof(out->b));
}

char *uuid_format(const struct uuid *u, char out[UUID_TEXT_SIZE])
{
    char digits[HEX_TEXT_SIZE(16)];
    size_t n = 0, at = 0;

    (void)hex_encode(slice_of(u->b, sizeof(u->b)), digits); /* returns digits */
    for (size_t g = 0; g < 5; g++) {
        if (g > 0) {
            out[at++] = '-';
        }
        memcpy(out + at, digits + n, group_len[g]);
        n += group_len[g];
        at += group_len[g];
    }
    out[at] = '\0';
    return out;
}

int uuid_random(struct uuid *out)
{
    struct uuid u;
    ssize_t n;

    do { /* 16 bytes come whole or not at all */
        n = getrandom(u.b, sizeof(u.b), 0);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(u.b)) {
        return POFR_ESYSTEM;
    }
    u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x40);
    u.b[8] = (uint8_t)((u.b[8] & 0x3f) | 0x80);
    *out = u;
    return 0;
}
