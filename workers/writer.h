/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writer.h -- one shard's thread: takes messages in order, verifies, decodes, stores them in batches; retries, bisects,
 * sets aside.
 *
 * Threads: every function may be called by the poll thread only; events come back through writer_event(), which the poll
 * thread asks after it was woken. The thread itself owns connection, queues and positions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/catalog/keys.h"
#include "common/os/stat.h"
#include "workers/message.h"
#include "workers/store.h"

struct writer;

struct writer_limits {
    uint32_t batch_records;  /* a batch is stored when it has as many, */
    uint64_t batch_bytes;    /* or messages of that size, */
    int64_t batch_us;        /* or its first one has waited that long */
    uint32_t bundle_records; /* more in one bundle are not decoded: set aside */
    uint64_t strings_bytes;
};

struct writer_options {
    const char *worker;
    struct keys_shard shard;
    const char *user, *password_file, *database;
    struct tls_files tls;
    struct writer_limits limits;
    struct keys *keys;
    struct stat_set *stats;
    void (*wake)(void *arg); /* the poll thread has events to fetch; any thread */
    void *arg;
};

enum writer_event_kind {
    WRITER_LOADED, /* at; or !found: the shard does not have the slot */
    WRITER_JUMPED, /* the same, after a skip or a reincarnation */
    WRITER_STORED, /* at.next_offset */
    WRITER_FENCED,
    WRITER_TAKEN, /* bytes of the slot's queue are free again */
    WRITER_UP,
    WRITER_DOWN, /* the shard */
    WRITER_HELD,
    WRITER_FREED, /* the slot waits for the catalog, no longer */
    WRITER_KEY,   /* a host's next key, to be entered in the catalog */
    WRITER_FATAL, /* text: the thread can't go on */
};

struct writer_event {
    enum writer_event_kind kind;
    unsigned slot;
    uint64_t epoch;
    bool found;
    struct store_position at;
    uint64_t bytes;
    struct store_key key;
};

POFR_MUST_USE int writer_start(const struct writer_options *o, struct writer **out, struct pofr_err *err);

/* What the slot is to do from now on belongs to epoch; messages of an older one are thrown away. */
void writer_load(struct writer *w, unsigned slot, uint64_t epoch);
void writer_skip(struct writer *w, unsigned slot, uint64_t epoch, int64_t low);
void writer_reincarnate(struct writer *w, unsigned slot, uint64_t epoch, int64_t low);
void writer_append(struct writer *w, uint64_t epoch, struct message *m); /* takes m */
void writer_drop(struct writer *w, unsigned slot, uint64_t epoch);       /* not ours any more */
void writer_sync(struct writer *w);                                      /* the catalog's copy has changed */
void writer_relayed(struct writer *w, struct store_aside *done);         /* takes it; see writer_unrelayed() */

/* The next event, false: none. */
bool writer_event(struct writer *w, struct writer_event *out);
/* What was set aside and is to be copied to pofr.deadletter: one list, then none until writer_relayed(). NULL: nothing. */
struct store_aside *writer_unrelayed(struct writer *w);

/* Goes up while the thread goes on: with each round (at most some seconds apart) and each statement. */
uint64_t writer_beats(const struct writer *w);

/* Finish the batch at hand, start no other. Then writer_join(). */
void writer_stop(struct writer *w);
/* Wait for its end; false: it did not end within limit_us, and w must be left alone. */
bool writer_join(struct writer *w, int64_t limit_us);
