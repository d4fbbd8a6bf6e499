/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mutate.h -- every truncation and every single-bit flip of a valid sample, for tests of decoders.
 *
 * fn gets the mutant in memory of exactly its size (so that a sanitizer sees a read beyond it), which may
 * not be kept. what is "cut" or "flip", at the length or the bit's number.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/slice.h"

typedef void (*mutate_fn)(struct slice mutant, const char *what, size_t at, void *arg);

/* Returns how many mutants there were. */
static inline size_t mutate_each(struct slice sample, mutate_fn fn, void *arg)
{
    size_t n = 0;

    for (size_t len = 0; len < sample.len; len++) {
        uint8_t *copy = malloc(len > 0 ? len : 1);

        if (!copy) {
            abort();
        }
        if (len > 0) {
            memcpy(copy, sample.data, len);
        }
        fn(slice_of(copy, len), "cut", len, arg);
        free(copy);
        n++;
    }
    for (size_t bit = 0; bit < sample.len * 8; bit++) {
        uint8_t *copy = malloc(sample.len);

        if (!copy) {
            abort();
        }
        memcpy(copy, sample.data, sample.len);
        copy[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        fn(slice_of(copy, sample.len), "flip", bit, arg);
        free(copy);
        n++;
    }
    return n;
}
