/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * parse_num.h -- whole text -> number, strictly: digits only, no blanks, no sign but '-' where it is allowed, within bounds.
 *
 * POFR_EFORMAT: empty or another character. POFR_ETOOBIG: outside the bounds. Output is written only on success.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

POFR_MUST_USE int parse_u64(struct slice text, uint64_t max, uint64_t *out);
POFR_MUST_USE int parse_u32(struct slice text, uint32_t max, uint32_t *out);
POFR_MUST_USE int parse_i64(struct slice text, int64_t min, int64_t max, int64_t *out);

/* Hex digits of either case, without 0x. */
POFR_MUST_USE int parse_hex_u64(struct slice text, uint64_t max, uint64_t *out);

/* As parse_u64, but "007" is POFR_EFORMAT: for text that has one canonical form. */
POFR_MUST_USE int parse_canonical_u64(struct slice text, uint64_t max, uint64_t *out);
