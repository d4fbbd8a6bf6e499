/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writer_parts.h -- what the files of writer share. Not for others.
 *
 * Threads: lock guards inbox, outbox, aside, aside_out, stopping, ended; beats is atomic. Everything else is the thread's own.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "common/os/retry.h"
#include "workers/writer.h"

#define WRITER_BATCH_ITEMS 256u

enum command_kind {
    COMMAND_LOAD,
    COMMAND_SKIP,
    COMMAND_REINCARNATE,
    COMMAND_APPEND,
    COMMAND_DROP,
    COMMAND_SYNC,
    COMMAND_RELAYED
};

struct command {
    enum command_kind kind;
    unsigned slot;
    uint64_t epoch;
    int64_t low;
    struct message *message;
    struct store_aside *aside;
    struct command *next;
};

struct event_node {
    struct writer_event e;
    struct event_node *next;
};

struct lane { /* a slot's queue */
    uint64_t epoch;
    bool ready;               /* at is known */
    enum command_kind wanted; /* LOAD, SKIP, REINCARNATE: to be done; APPEND: nothing */
    int64_t low;
    bool sync;             /* its hosts are to be compared with the catalog's copy */
    bool rounds;           /* replay and relay are to be looked for */
    int64_t held_until_us; /* 0: not held */
    struct store_position at;
    struct message *first, *last;
};

struct work { /* a message of the batch */
    struct store_item item;
    struct arena arena;
    uint64_t epoch;
    uint64_t memory; /* of the arena, and of the texts that its rows will have */
};

struct writer {
    struct writer_options o;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct command *inbox, **inbox_end;
    struct event_node *outbox, **outbox_end;
    struct store_aside *aside; /* to be relayed; NULL: none, or they are under way */
    bool aside_out;
    bool stopping, ended;
    atomic_uint_fast64_t beats; /* rounds of the thread, and statements within one */

    struct store *store;
    struct lane *lanes[KEYS_SLOTS_MAX];
    struct work *batch[WRITER_BATCH_ITEMS]; /* in use: the first batch_count */
    size_t batch_count;
    size_t batch_records;
    uint64_t batch_bytes;
    uint64_t batch_memory;
    int64_t batch_since_us;
    size_t limit;      /* of items in a transaction: less than all while a refused one is looked for */
    unsigned tries;    /* of one item, for an error that we do not know */
    unsigned poisoned; /* in a row */
    struct retry retry;
    int64_t retry_at_us; /* 0: now */
    int64_t rounds_at_us;
    bool up, said;      /* does the shard answer, and was anyone told? */
    char down_why[240]; /* what was logged of that it does not; a struct pofr_err holds no more */
    unsigned next_lane;
};

/* writer_mail.c */
_Noreturn void writer_out_of_memory(void);
void writer_emit(struct writer *w, const struct writer_event *e);
void writer_emit_slot(struct writer *w, enum writer_event_kind kind, unsigned slot, uint64_t epoch,
                      const struct store_position *at);
void writer_emit_taken(struct writer *w, unsigned slot, uint64_t bytes);

/* writer.c */
struct lane *writer_lane(struct writer *w, unsigned slot);
void writer_remove_item(struct writer *w, size_t i); /* of the batch: it is done with */
void writer_say_up(struct writer *w, bool up, const char *why);
void writer_back_off(struct writer *w);
/* An error outside of a batch: the connection is given up, so that the next use of it begins afresh. */
void writer_failed(struct writer *w, const char *what, unsigned slot, const struct pofr_err *err);
void writer_fence(struct writer *w, unsigned slot);

/* writer_batch.c */
bool writer_prepare(struct writer *w, struct lane *l, struct message *m); /* into the place behind the batch */
void writer_fill_batch(struct writer *w);
bool writer_batch_is_full(const struct writer *w);
void writer_store_now(struct writer *w);
void writer_count_report(struct writer *w, const struct store_report *r, int64_t took_us);

/* writer_rounds.c: what was set aside, what the catalog changed. all: every slot, not only those that are due. */
void writer_look_around(struct writer *w, bool all);
