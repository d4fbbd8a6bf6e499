/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_parts.h -- what the files of store share. Not for others.
 */
#pragma once

#include "common/base/hashmap.h"
#include "common/db/db.h"
#include "workers/bulk.h"
#include "workers/rows.h"
#include "workers/store.h"
#include "workers/strings.h"
#include "workers/world.h"

#define STORE_KEYS_MAX                                                                                                 \
    256u /* next keys told in one transaction: a bundle tells one at most, and there are no more of these */

struct world { /* one transaction's view of the shard */
    struct db *db;
    struct rows *rows;
    struct arena arena;
    struct changes taken; /* of one host, carried out before the rest */
    struct bulk *ledger;  /* rows pend until someone reads the ledger, or the end */
    int64_t now_us;       /* wall clock: stored, noted */
    int64_t received_us;  /* of the bundle at hand */
    struct pofr_err *err;
    unsigned error; /* the server's number of the failure, 0: none */
    struct store_key keys[STORE_KEYS_MAX];
    size_t keys_count;
};

/* db_run() with the world's error. out may be NULL. */
POFR_MUST_USE int world_run(struct world *w, const char *sql, const struct db_value *values, size_t count,
                            struct db_result **out);
/* Write the ledger rows that pend. */
POFR_MUST_USE int world_write_ledger(struct world *w);

int64_t world_i64(const struct db_result *r, size_t row, size_t column); /* 0 for NULL */
struct db_value world_time(int64_t wall_us,
                           char text[32]); /* as DATETIME(6) text; text must live until the statement ran */

struct store_host { /* in the cache; valid while its slot's offset is where we left it */
    struct host h;
    unsigned slot;
    bool touched; /* by the transaction at hand */
    struct store_host *next_touched;
};

struct store {
    struct store_options o;
    struct db *db;  /* the transaction's connection */
    struct db *aux; /* texts */
    struct strings *strings;
    struct world w;
    struct bulk *aside;
    struct store_host_statements *host_statements;
    struct changes changes;
    struct hashmap hosts; /* host_id -> store_host */
    int64_t oldest_read_us;
};

struct store_batch_state {
    struct store *s;
    struct store_report *report;
    struct store_host *touched;
};

/* store.c */
void store_clear(struct store_report *report);
POFR_MUST_USE int store_prepare(struct store *s, struct pofr_err *err); /* before each transaction */
POFR_MUST_USE int store_begin(struct store *s, struct pofr_err *err);
void store_roll_back(struct store *s);
#define STORE_POSITION                                                                                                 \
    "SELECT incarnation, generation, revision, state = 'owned', next_offset, before_digest FROM ingest_offset WHERE "  \
    "slot = ?"
POFR_MUST_USE int store_read_position(struct store *s, unsigned slot, const char *sql, struct store_position *out,
                                      struct pofr_err *err);
/* The slot's row is where we thought, and becomes next. *out_same false: it is not. */
POFR_MUST_USE int store_move(struct store *s, const struct store_position *at, const struct store_position *next,
                             bool *out_same, struct pofr_err *err);
POFR_MUST_USE int store_host_of(struct store *s, const struct keys_host *k, struct store_host **touched,
                                struct store_host **out);
enum store_outcome store_outcome_of(struct store *s, int code, struct store_report *report);

/* store_items.c */
POFR_MUST_USE int store_apply_item(struct store_batch_state *b, struct store_item *item);
POFR_MUST_USE int store_take_items(struct store_batch_state *b, const struct store_slot *slot);
POFR_MUST_USE int store_write_all(struct store_batch_state *b);
void store_untouch(struct store_batch_state *b);

/* store_host.c: read and write what a shard knows of a host beside rows. */
POFR_MUST_USE int store_host_load(struct world *w, const struct keys_host *k, struct store_host **out);
void store_host_free(struct store_host *h);
struct store_host_statements;
POFR_MUST_USE int store_host_write(struct world *w, struct store_host_statements **s, struct store_host *first);
void store_host_statements_free(struct store_host_statements *s);
