/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hex.h -- bytes <-> hexadecimal text.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

/* Room for the text of n bytes and its NUL. */
#define HEX_TEXT_SIZE(n) (2 * (n) + 1)

/* Lower-case text with a NUL into out, which has room for HEX_TEXT_SIZE(in.len). Returns out. */
char *hex_encode(struct slice in, char *out);

/*
 * Exactly out_len bytes from 2 * out_len digits of either case.
 * POFR_EFORMAT (out untouched): another length or another character.
 */
POFR_MUST_USE int hex_decode(struct slice text, uint8_t *out, size_t out_len);

/* As hex_decode(), but lower-case digits only: for text that has one canonical form. */
POFR_MUST_USE int hex_decode_lower(struct slice text, uint8_t *out, size_t out_len);
