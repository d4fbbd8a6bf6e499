/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * head.h -- the analysts' server: one Spider table per view of the shards, partitioned by slot (host_id
 * MOD 1024), one partition per shard. Columns are taken from the first shard's information_schema, so a
 * view is described in one place (sql/shard/).
 */
#pragma once

#include "ctl/ctl.h"

/*
 * Build or rebuild everything on the head: servers, databases pofr and pofr_compat, Spider tables, the
 * analyst's account, the databases of hosts that are exposed; a server that is none of these shards is dropped. Readers see old or new, table by table. Also checks Spider's settings: refuses where
 * one is such that answers would be wrong.
 */
POFR_MUST_USE int head_build(struct ctl *c, struct db *catalog, const struct ctl_shard *shards, size_t count,
                             struct pofr_err *err);

/* Can head_build() be done? The head is there, with Spider and the right settings; nothing is changed. */
POFR_MUST_USE int head_check(struct ctl *c, struct pofr_err *err);

/* POFR_EREFUSED where the shard would be on the head's own server: both have databases, and views or tables, of one name. */
POFR_MUST_USE int head_is_another(struct ctl *c, const struct ctl_shard *s, struct pofr_err *err);

/*
 * POFR_ENOTFOUND where the head gets no answer of one of them, said in words for people. Each is asked through a Spider table
 * that is made for it and dropped; it has its tables already.
 */
POFR_MUST_USE int head_reaches(struct ctl *c, const struct ctl_shard *shards, size_t count, struct pofr_err *err);

/* max_statement_time of the reading accounts, on a head or a shard. */
POFR_MUST_USE int head_limit_statements(const struct ctl *c, struct db *db, struct pofr_err *err);
