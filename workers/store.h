/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.h -- one shard as a worker sees it: the one transaction that stores bundles and moves the offset.
 *
 * The offset row is changed first, by compare-and-set on all that it holds, so two workers of one slot wait for each
 * other and the one that comes too late finds nothing to change. Not thread-safe: one owner, one transaction at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/catalog/keys.h"
#include "common/db/db.h"
#include "common/record/record.h"
#include "workers/decode.h"
#include "workers/message.h"
#include "workers/rows.h"
#include "workers/verify.h"

struct store;

struct store_options {
    struct db_address address;
    const char *worker;   /* name, for ingest_offset.worker */
    size_t strings_bytes; /* of the cache of texts */
    size_t changes_max;   /* of one transaction, in memory */
};

struct store_position { /* a row of ingest_offset */
    unsigned slot;
    uint32_t incarnation, generation, revision;
    bool owned;
    int64_t next_offset;
    uint8_t before_digest[32]; /* of the value of the message before next_offset */
};

struct store_item { /* one message, verified and decoded */
    struct message *message;
    struct verdict verdict;
    struct decoded decoded; /* GOOD */
    uint8_t digest[32];     /* SHA-256 of the value */
    size_t records;
};

struct store_slot {           /* one slot's part of a batch: items in order, offsets without holes */
    struct store_position at; /* where the slot stands; after a commit: where it stands now */
    struct store_item **items;
    size_t count;
};

enum store_outcome {
    STORE_COMMITTED,
    STORE_FENCED, /* a slot is not where we thought: nothing was stored; .fenced says which */
    STORE_RETRY,  /* the shard asks to come again, or is away: nothing was stored */
    STORE_POISON, /* something in the batch is refused: nothing was stored */
    STORE_BROKEN, /* schema or rights do not fit, or memory is out: nothing was stored, someone must act */
};

struct store_key { /* a host's next key */
    uint64_t host_id;
    uint8_t public_key[32];
};

struct store_report { /* of a committed batch; ages is the caller's, the rest is set */
    unsigned fenced;
    unsigned error; /* the server's number of what went wrong, 0: none */
    bool conflict;  /* POISON: a duplicate key, or what is in the tables contradicts it */
    struct rows_figures rows;
    uint64_t bundles, duplicates, late, branches, gaps, findings, dropped, records, unknown, slow;
    uint64_t keyframes_equal, keyframes_compared, keyframes_wrong;
    uint64_t aside[REASON_END];
    struct store_key keys[16];
    size_t keys_count;
    int64_t
        *ages; /* given by the caller, room for one per item, or NULL: microseconds from a bundle's last look to now */
    size_t ages_count;
};

/* Does not connect yet. */
POFR_MUST_USE int store_new(const struct store_options *o, struct store **out);
void store_free(struct store *s);

/* Connect if it is not connected. POFR_EDBBUSY …: not now. */
POFR_MUST_USE int store_connect(struct store *s, struct pofr_err *err);
void store_disconnect(struct store *s);
bool store_is_connected(const struct store *s);

/* The slot's row, read with a lock that waits out whoever is changing it. POFR_ENOTFOUND: no such row. */
POFR_MUST_USE int store_load(struct store *s, unsigned slot, struct store_position *out, struct pofr_err *err);
/* Forget what is cached of a slot's hosts. */
void store_forget(struct store *s, unsigned slot);

/*
 * Store the slots' items in one transaction; slots ascending. After COMMITTED their positions are the new ones.
 * After RETRY the connection may be gone: store_connect() again. A COMMIT whose answer was lost is resolved before this
 * returns, or it is RETRY with the position unknown: *out_doubt true, store_load() says where the slots stand.
 */
enum store_outcome store_batch(struct store *s, struct store_slot *slots, size_t count, struct store_report *report,
                               bool *out_doubt, struct pofr_err *err);

/* A slot starts again at the log's beginning (CORRECTNESS 6.2). */
POFR_MUST_USE int store_reincarnate(struct store *s, const struct store_position *at, int64_t low,
                                    struct store_position *out, struct pofr_err *err);
/* The log begins behind our offset: a gap row, and the slot goes on at low. */
POFR_MUST_USE int store_skip(struct store *s, const struct store_position *at, int64_t low, struct store_position *out,
                             struct pofr_err *err);

/* A message that was set aside and is to be tried again, one at a time: a transaction of its own. */
enum store_outcome store_replay(struct store *s, struct store_slot *slot, struct store_report *report,
                                struct pofr_err *err);
/* Those that someone asked for, of a slot; in message form. *out NULL: none. */
POFR_MUST_USE int store_requested(struct store *s, const struct store_position *at, struct message **out,
                                  struct pofr_err *err);

/* slots[i] becomes true where slot i has a message to replay or to relay. slots: 1024. */
POFR_MUST_USE int store_rounds(struct store *s, bool *slots, struct pofr_err *err);

/* Rows of set_aside that are not relayed yet, of a slot: a list of at most max messages. */
struct store_aside {
    struct message *message;
    char reason[33];
    struct store_aside *next;
};
POFR_MUST_USE int store_unrelayed(struct store *s, unsigned slot, size_t max, struct store_aside **out,
                                  struct pofr_err *err);
void store_aside_free(struct store_aside *list);
POFR_MUST_USE int store_mark_relayed(struct store *s, const struct message *m, struct pofr_err *err);

/* Names, groups and states of the slot's hosts as the catalog has them; closes what is open of retired ones. */
POFR_MUST_USE int store_sync_hosts(struct store *s, struct store_position *at, const struct keys *k,
                                   size_t *out_changed, struct pofr_err *err);
