/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * move_rows.h -- the rows of one slot, in all tables of ctl/move.def: copied to another shard, compared, deleted.
 *
 * Both connections are to database pofr_store, and the caller's; which shard may be written to is known by the caller alone.
 */
#pragma once

#include "ctl/ctl.h"

/* db_run(), and again where the server gave the statement up for another that waited for it, or that it waited for. */
POFR_MUST_USE int move_run(struct db *db, const char *sql, const struct db_value *values, size_t count,
                           struct db_result **out, struct pofr_err *err);

/* The shard has a table with rows of hosts or slots that is not in move.def: POFR_EREFUSED. Nothing of it would be copied. */
POFR_MUST_USE int move_rows_known(struct db *shard, struct pofr_err *err);

/*
 * to has no row of the slot. Ids of strings become those that the same texts have there. What was copied before an error is
 * left for move_rows_delete().
 */
POFR_MUST_USE int move_rows_copy(struct db *from, struct db *to, unsigned slot, uint64_t *out_rows,
                                 struct pofr_err *err);

/* The first table in which they differ; NULL: none. */
POFR_MUST_USE int move_rows_compare(struct db *a, struct db *b, unsigned slot, const char **out_table,
                                    struct pofr_err *err);

/* In small steps. Its hosts are those that the shard knows, and that more (NULL: nobody else) knows. */
POFR_MUST_USE int move_rows_delete(struct db *shard, struct db *more, unsigned slot, uint64_t *out_rows,
                                   struct pofr_err *err);
