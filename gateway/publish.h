/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * publish.h -- bundles into the topic, each into its host's partition, by an idempotent producer with
 * acks=all. Every bundle that was taken is reported once: Kafka has it, or it will not get it from us any
 * more.
 *
 * A message never times out: while Kafka is away it waits, and what waits is bounded. After an error of which
 * the client can't recover, nothing more is taken until all that it had is reported; then it is made anew.
 *
 * Not thread-safe: one owner, on whose loop the reports come.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/base/uuid.h"

struct loop;
struct pofr_err;
struct publisher;
struct stat_set;

struct publish_message {
    const struct uuid *host; /* becomes the key */
    uint32_t slot;
    struct slice block; /* lent until it is reported */
    int64_t received_wall_us;
    const char *peer;
    const struct uuid *boot; /* of the session's HELLO */
    bool with_offset;        /* the bundle is of that boot */
    int64_t offset_us, uncertainty_us;
    bool doubt;
    void *opaque; /* comes back with the report */
};

struct publisher_options {
    const char *brokers; /* "host:port,host:port"; strings must outlive the publisher */
    const struct kafka_access *access;
    const char *topic;
    const char *gateway;  /* the name in the headers */
    uint64_t queue_bytes; /* that may wait */
    struct loop *loop;
    struct stat_set *stats;
    void (*reported)(void *arg, void *opaque, bool delivered);
    void (*progressed)(void *arg); /* after a run of reports, and when the client was made anew: there may be room */
    void *arg;
};

const char *publisher_library_version(void); /* "2.0.2" */

POFR_MUST_USE int publisher_open(const struct publisher_options *o, struct publisher **out, struct pofr_err *err);
/* What was not reported yet is reported as not delivered first. NULL is allowed. */
void publisher_close(struct publisher *p);

/* 0; POFR_EFULL: not now, wait for progressed(); POFR_EREFUSED: the topic has no such partition, or the like.
 */
POFR_MUST_USE int publisher_send(struct publisher *p, const struct publish_message *m);
size_t publisher_unreported(const struct publisher *p);
