/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move_strings.h -- which id the text of an id of one shard has at another; texts that are not there yet are put there.
 *
 * Not thread-safe: one owner.
 */
#pragma once

#include "common/db/db.h"

struct strings;

POFR_MUST_USE int strings_new(struct db *from, struct db *to, struct strings **out, struct pofr_err *err);
void strings_free(struct strings *s); /* NULL is allowed */

/* Other rows: what was learned before may be forgotten. */
void strings_begin(struct strings *s);

/* What strings_learn() is to look up. 0, which no text has, is nothing. */
POFR_MUST_USE int strings_want(struct strings *s, uint64_t id, struct pofr_err *err);
POFR_MUST_USE int strings_learn(struct strings *s, struct pofr_err *err);

/* One that was learned. 0: it has no text (it was used by rows that are older than what is kept). */
uint64_t strings_id(const struct strings *s, uint64_t id);
