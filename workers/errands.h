/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * errands.h -- a thread for what neither the poll thread nor a shard's thread may wait for: asking Kafka for a log's limits,
 * copying what was set aside to pofr.deadletter (at least once), entering a host's next key in the catalog; and for whether the
 * topic is still there.
 *
 * Threads: requests are made and answers fetched by the poll thread; the thread itself owns the producer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/db/db.h"
#include "workers/kafka.h"
#include "workers/store.h"

struct errands;
struct stat_set;

struct errands_options {
    struct kafka_options kafka;
    const char *deadletter; /* topic */
    struct db_address catalog;
    struct stat_set *stats;
    void (*wake)(void *arg); /* there are answers; any thread */
    void *arg;
};

enum errand_kind {
    ERRAND_LIMITS,
    ERRAND_RELAY,
    ERRAND_KEY,
    ERRAND_TOPIC, /* the thread's own: is never done */
};

struct errand { /* a request, and its answer */
    enum errand_kind kind;
    unsigned slot; /* LIMITS */
    uint64_t epoch;
    int64_t low, high;        /* answer */
    void *writer;             /* RELAY: whose list it is */
    struct store_aside *list; /* answer: reason "" where it could not be published */
    struct store_key key;
    int64_t due_us; /* not before; tried again later after a failure, until it works */
    struct errand *next;
};

POFR_MUST_USE int errands_start(const struct errands_options *o, struct errands **out, struct pofr_err *err);
void errands_limits(struct errands *e, unsigned slot, uint64_t epoch);
void errands_relay(struct errands *e, void *writer, struct store_aside *list); /* takes the list */
void errands_key(struct errands *e, const struct store_key *key);
/* false: no answer is there. */
bool errands_answer(struct errands *e, struct errand *out);
/* Ends the thread, waits for the request at hand, frees the rest. NULL is allowed. */
void errands_stop(struct errands *e);
