/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * expose.h -- a host's own database on the head: POFR's tables, as its analysts know them, of that host alone.
 *
 * Views over pofr_compat with the host's number in them, so a question reaches its shard only; they have POFR's columns
 * and no others. The catalog's table `exposed` says which there are to be. The database's comment says that it is ours and
 * whose: one without it, or with another's, is never written to nor dropped. The verbs are in nouns.h.
 */
#pragma once

#include "ctl/ctl.h"

/* All that the catalog names, made or made again; for head_build(). One that is refused is said on stderr and passed over. */
POFR_MUST_USE int expose_all(struct ctl *c, struct db *catalog, struct db *head, struct pofr_err *err);

/* The host's, taken away where there is one; *out_database is then its name, else "". POFR_EREFUSED: it holds somebody's tables. */
POFR_MUST_USE int expose_end(struct ctl *c, struct db *catalog, uint64_t host_id, char out_database[65],
                             struct pofr_err *err);
