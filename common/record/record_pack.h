/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record_pack.h -- one entity record as a few bytes that stand alone, texts in place: for keeping many in
 * memory. Not for files: the form may change with any version.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/record/record.h"

/* Append what a SIGHT of r would carry. r is of a known entity. Look at out->err. */
void rec_pack(const struct record *r, struct buf *out);

/* What rec_pack() wrote -> record of kind SIGHT; its slices point into bytes. */
void rec_unpack(struct slice bytes, struct record *out);
