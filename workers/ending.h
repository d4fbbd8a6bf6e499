/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ending.h -- many open rows of one table taken away by one statement: their keys go into a table of the connection's own,
 * in one bulk insert, and the rows that have them are deleted.
 *
 * Belongs to its connection; not thread-safe.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "workers/tables.h"

struct bulk;
struct db;
struct ending;

#define ENDING_MANY 8u /* fewer are cheaper one by one */

POFR_MUST_USE int ending_new(struct db *db, const struct table *t, struct ending **out, struct pofr_err *err);
void ending_free(struct ending *e); /* NULL is allowed; also after the connection was lost */

/* Where keys are put: those of TABLE_END. */
struct bulk *ending_keys(struct ending *e);
/* Delete the rows of the keys that were put, and forget these. */
POFR_MUST_USE int ending_run(struct ending *e, uint64_t *out_affected, struct pofr_err *err);
/* The server's number of the last failure, 0: none. */
unsigned ending_error(const struct ending *e);
