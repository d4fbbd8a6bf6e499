/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uuid.h -- 128-bit identities (hosts, runs, boots) and their text 8-4-4-4-12.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct uuid {
    uint8_t b[16];
};

#define UUID_TEXT_LEN  36
#define UUID_TEXT_SIZE 37

/* Any UUID, either case. POFR_EFORMAT: not 8-4-4-4-12 hex digits. */
POFR_MUST_USE int uuid_parse(struct slice text, struct uuid *out);

/* Lower-case with a NUL. Returns out. */
char *uuid_format(const struct uuid *u, char out[UUID_TEXT_SIZE]);

/* A random one (version 4) from the kernel. POFR_ESYSTEM: the kernel gave no random bytes. */
POFR_MUST_USE int uuid_random(struct uuid *out);

static inline bool uuid_eq(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline bool uuid_is_zero(const struct uuid *u)
{
    static const struct uuid zero;

    return uuid_eq(u, &zero);
}
