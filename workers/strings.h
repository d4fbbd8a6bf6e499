/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * strings.h -- text -> id of the shard's table string, and back never: two different texts never share an id.
 *
 * New texts are stored in a transaction of their own, sorted, before the rows that name them, on a connection of their own:
 * a rolled-back batch leaves nothing but texts that nobody uses, which the merger removes. An id enters the cache after that
 * commit; the cache lives as long as its connection, and an entry is trusted for the day of last_used that it was written with.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/slice.h"

struct db;
struct strings;

/* db is used by nobody else until strings_free(). max_bytes bounds the cache. */
POFR_MUST_USE int strings_new(struct db *db, size_t max_bytes, struct strings **out);
void strings_free(struct strings *s); /* NULL is allowed; does not close db */

/* Before the first strings_want() of a batch. today: days since 1970. */
void strings_begin(struct strings *s, int32_t today);
/* A text that will be asked for; POFR_ENOMEM. */
POFR_MUST_USE int strings_want(struct strings *s, struct slice text);
/* All wanted texts have ids now. POFR_EDBBUSY …: none of the wanted ones can be counted on. */
POFR_MUST_USE int strings_resolve(struct strings *s, struct pofr_err *err);
/* Of a text that was wanted since strings_begin(), and resolved. */
uint64_t strings_id(const struct strings *s, struct slice text);

struct strings_figures {
    uint64_t hits, stored, cached_bytes;
};
void strings_figures(const struct strings *s, struct strings_figures *out);
