/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kafka.h -- the consumer and the producer of a worker; the only file here that knows librdkafka.
 *
 * Threads: a consumer's functions are called by one thread, its poll thread, but kafka_wake(), which any thread may call. Its
 * callbacks run inside kafka_poll() and kafka_close(). A producer has one thread of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "workers/message.h"

struct kafka_access;
struct kafka_consumer;
struct kafka_producer;

struct kafka_events {
    void *arg;
    /* The slots that are ours from now on, all of them; they are paused, and nothing was read yet. */
    void (*assigned)(void *arg, const unsigned *slots, size_t count);
    /* None is ours any more. lost: someone else may have them already. */
    void (*revoked)(void *arg, bool lost);
    void (*message)(void *arg, struct message *m); /* takes it */
    /* Nothing is to be had of this consumer any more (another has our static name). */
    void (*fatal)(void *arg, const char *text);
};

struct kafka_options {
    const char *brokers, *topic, *group;
    const struct kafka_access *access;
    const char *instance_id; /* "": dynamic member */
    const char *program;
    uint64_t queue_bytes; /* of messages fetched and not yet given out */
};

POFR_MUST_USE int kafka_consumer_new(const struct kafka_options *o, const struct kafka_events *events,
                                     struct kafka_consumer **out, struct pofr_err *err);
/* Wait for at most timeout_ms, then call what is due. */
void kafka_poll(struct kafka_consumer *k, int timeout_ms);
/* Let kafka_poll() return now. Any thread. */
void kafka_wake(struct kafka_consumer *k);

/* Of slots that are ours. Messages that were fetched before may still come. */
void kafka_pause(struct kafka_consumer *k, unsigned slot);
/*
 * Go on, at offset (-1: where it stands). Where the log has no such offset, its first message comes, if it has one: so may any
 * message that was not asked for.
 */
void kafka_resume(struct kafka_consumer *k, unsigned slot, int64_t offset);
/* What lag monitors see; the truth is in the shard. */
void kafka_note_offset(struct kafka_consumer *k, unsigned slot, int64_t next_offset);
/* The end of the log as the last fetch saw it, -1: not known. */
int64_t kafka_end(struct kafka_consumer *k, unsigned slot);

/* Leave the group (not with a static name) and free. At most limit_ms; all messages must have been freed. */
void kafka_consumer_close(struct kafka_consumer *k, int limit_ms);

POFR_MUST_USE int kafka_producer_new(const struct kafka_options *o, struct kafka_producer **out, struct pofr_err *err);
void kafka_producer_close(struct kafka_producer *p); /* NULL is allowed */
/* Publish m with its headers and more ones; 0 when the brokers have it. POFR_ETIMEOUT, POFR_ESYSTEM; POFR_ETOOBIG: they never take it. */
POFR_MUST_USE int kafka_publish(struct kafka_producer *p, const char *topic, const struct message *m,
                                const struct slice (*more)[2], size_t more_count, int timeout_ms, struct pofr_err *err);
/* 0, POFR_ENOTFOUND: there is no such topic, or POFR_ETIMEOUT. */
POFR_MUST_USE int kafka_find_topic(struct kafka_producer *p, const char *topic, int timeout_ms);
/* First offset that the log still has, and the one after its last. After an error the next call knows who leads by then. */
POFR_MUST_USE int kafka_limits(struct kafka_producer *p, const char *topic, unsigned slot, int timeout_ms,
                               int64_t *out_low, int64_t *out_high, struct pofr_err *err);

const char *kafka_library(void); /* "librdkafka 2.0.2" */
