/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sha256.h -- SHA-256, in one call or in pieces. Thin over OpenSSL, which fetches the algorithm once per process.
 *
 * sha256() is thread-safe; a struct sha256 has one owner.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

#define SHA256_SIZE      32
#define SHA256_TEXT_SIZE 65 /* hex and NUL */

struct sha256 {
    void *ctx;
};

/* One shot. POFR_ENOMEM is the only error; out is then untouched. */
POFR_MUST_USE int sha256(struct slice data, uint8_t out[SHA256_SIZE]);

/* Begin. May be called again on the same struct to begin anew, which costs no allocation. Zero the struct before the first. */
POFR_MUST_USE int sha256_init(struct sha256 *h);
POFR_MUST_USE int sha256_update(struct sha256 *h, struct slice data);
/* The digest of all that was fed. Then only sha256_init() or sha256_fini(). */
POFR_MUST_USE int sha256_final(struct sha256 *h, uint8_t out[SHA256_SIZE]);
/* Give the memory back; harmless when repeated. */
void sha256_fini(struct sha256 *h);
