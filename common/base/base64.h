/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * base64.h -- RFC 4648 base64, as OpenSSH writes it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct buf;

/* Append the text, padded with '='. wrap > 0: a newline after each wrap characters, and at the end. 0: one line, no newline. */
void base64_encode(struct slice in, size_t wrap, struct buf *out);

/*
 * Append the decoded bytes. Strict: full padding, no spare bits set, nothing but the alphabet; with
 * newlines true, LF (and CR before LF) are skipped. On error nothing was appended.
 * POFR_EFORMAT, or the error of the buffer.
 */
POFR_MUST_USE int base64_decode(struct slice text, bool newlines, struct buf *out);
