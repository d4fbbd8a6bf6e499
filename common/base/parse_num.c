/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/parse_num.h"

#include "common/base/err.h"

static int parse(struct slice text, unsigned radix, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    bool over = false;

    if (text.len == 0) {
        return POFR_EFORMAT;
    }
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        unsigned d;

        if (c >= '0' && c <= '9') {
            d = (unsigned)c - '0';
        } else if (radix == 16 && c >= 'a' && c <= 'f') {
            d = (unsigned)c - 'a' + 10;
        } else if (radix == 16 && c >= 'A' && c <= 'F') {
            d = (unsigned)c - 'A' + 10;
        } else {
            return POFR_EFORMAT;
        }
        over = over || __builtin_mul_overflow(v, (uint64_t)radix, &v) || __builtin_add_overflow(v, (uint64_t)d, &v);
    }
    if (over || v > max) {
        return POFR_ETOOBIG;
    }
    *out = v;
    return 0;
}

int parse_u64(struct slice text, uint64_t max, uint64_t *out)
{
    return parse(text, 10, max, out);
}

int parse_u32(struct slice text, uint32_t max, uint32_t *out)
{
    uint64_t v;
    int rc = parse(text, 10, max, &v);

    if (rc == 0) {
        *out = (uint32_t)v;
    }
    return rc;
}

int parse_i64(struct slice text, int64_t min, int64_t max, int64_t *out)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t v;
    int64_t result;
    int rc = parse(negative ? slice_sub(text, 1, SIZE_MAX) : text, 10,
                   negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX, &v);

    if (rc != 0) {
        return rc;
    }
    result = negative && v > 0 ? -(int64_t)(v - 1) - 1 : (int64_t)v;
    if (result < min || result > max) {
        return POFR_ETOOBIG;
    }
    *out = result;
    return 0;
}

int parse_hex_u64(struct slice text, uint64_t max, uint64_t *out)
{
    return parse(text, 16, max, out);
}

int parse_canonical_u64(struct slice text, uint64_t max, uint64_t *out)
{
    if (text.len > 1 && text.data[0] == '0') {
        return POFR_EFORMAT;
    }
    return parse(text, 10, max, out);
}
