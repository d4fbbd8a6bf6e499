/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * consume_parts.h -- what the files of consume share. Not for others.
 *
 * Threads: all is the poll thread's own but the atomics; shards' ids and up are guarded by figures_lock.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "workers/consume.h"
#include "workers/errands.h"
#include "workers/kafka.h"
#include "workers/slots.h"
#include "workers/tell.h"
#include "workers/worker_stats.h"
#include "workers/writer.h"

#define CONSUME_SHARDS 64u

struct beat { /* of another thread, as the poll thread saw it */
    uint64_t count;
    int64_t since_us; /* has it not changed; 0: never looked */
};

struct shard {
    unsigned id; /* 0: free */
    struct keys_shard at;
    struct writer *writer;
    bool up;
    struct beat beat;
};

struct fetch {           /* beside struct slot */
    bool paused;         /* as librdkafka has it */
    bool held;           /* the catalog is needed */
    bool full;           /* its queue was full and has not run half empty yet */
    uint64_t queued;     /* bytes handed to the writer and not done with */
    struct shard *shard; /* whose writer has its messages */
    int64_t seek_to;     /* -1: none */
    unsigned still;      /* rounds in which there was something to read and nothing came */
    unsigned patience;   /* rounds until that is a stall */
};

struct consume {
    struct consume_options o;
    struct kafka_consumer *kafka;
    struct errands *errands;
    struct tell *tell;
    char brokers[1024];
    struct slot slots[KEYS_SLOTS_MAX];
    struct fetch fetch[KEYS_SLOTS_MAX];
    struct shard shards[CONSUME_SHARDS];
    uint64_t queued;
    bool full;
    int64_t rounds_at_us;
    int64_t watchdog_due_us;
    struct tls_watch watch;
    int64_t files_due_us;
    bool anew;
    atomic_bool stop;
    atomic_bool catalog_changed;
    struct pofr_err fatal;
    pthread_mutex_t figures_lock;
    bool member;
};

/* consume_figures.c: why a slot is not fetched (CAUSE_END: it is), what the catalog is told of that, and certificates. */
enum worker_cause consume_cause_of(const struct consume *c, unsigned n);
void consume_count_pauses(struct consume *c);
void consume_tell(struct consume *c);
/* Now and then: are certificate and key others than those that the clients have? Then c->anew. */
void consume_look_at_files(struct consume *c, int64_t now);
