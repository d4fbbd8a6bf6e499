/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * migrate.h -- bring catalog, shards and head to this version's schema. Forward only, repeatable: each
 * numbered file of sql/<part>/ is run once per database, in order, and noted in its table
 * schema_version. A lock (GET_LOCK) keeps two runs apart.
 */
#pragma once

#include "ctl/ctl.h"

/* Everything: the catalog, each shard it lists, the head. */
int migrate_main(struct ctl *c, int argc, char **argv);

POFR_MUST_USE int migrate_catalog(struct ctl *c, struct pofr_err *err);
POFR_MUST_USE int migrate_shard(struct ctl *c, const struct ctl_shard *s, struct pofr_err *err);
/* The numbered files of sql_dir/part that database does not have yet. out_applied counts them. */
POFR_MUST_USE int migrate_files(struct ctl *c, struct db *db, const char *part, const char *database,
                                unsigned *out_applied, struct pofr_err *err);
/* Load the time zone tables where they are empty; fails where they stay empty. */
POFR_MUST_USE int migrate_time_zones(struct ctl *c, struct db *db, struct pofr_err *err);
/*
 * CREATE USER IF NOT EXISTS 'name'@'%', then its password from the file (empty path: account is left without one), and what
 * [accounts] require asks of its connections.
 */
POFR_MUST_USE int migrate_account(const struct ctl *c, struct db *db, const char *name, const char *password_file,
                                  struct pofr_err *err);
