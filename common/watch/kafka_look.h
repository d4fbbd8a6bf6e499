/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kafka_look.h -- the topic of snapshots as an operator watches it: per slot what the log holds, which replicas are in
 * sync, who in the consumer group owns it, what the group has committed; and the first message that is not stored yet.
 *
 * Blocks for at most the time given, per question. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"

struct kafka_access;
struct kafka_peer;
struct kafka_look; /* one client; connects when it is asked something */

#define LOOK_NO_OWNER      (-1)
#define LOOK_UNKNOWN_OWNER (-2) /* the group did not answer */
#define LOOK_MEMBERS_MAX   1024u

struct look_slot {
    int32_t leader; /* broker; -1: none, the slot can be neither read nor written */
    uint32_t replicas;
    uint32_t in_sync;
    int64_t low, high; /* first offset of the log, and the next one it will give; -1: not known */
    int64_t committed; /* of the group; -1: never, or not known */
    int owner;         /* index of members, or LOOK_NO_OWNER, LOOK_UNKNOWN_OWNER */
};

struct look_member {
    char client[192];   /* client.id: a worker's name */
    char instance[192]; /* group.instance.id; "" where it is a dynamic member */
    char host[64];      /* address from which it came */
    uint32_t slots;
};

struct look_topic {
    uint32_t brokers;        /* in the cluster now */
    uint32_t min_insync;     /* min.insync.replicas */
    int64_t retention_ms;    /* retention.ms; -1: for ever */
    char group_state[24];    /* Stable, Empty, PreparingRebalance, …; "" where the group did not answer: */
    char group_error[240];   /* then why; no members and no owners are known, nor what is committed */
    struct look_slot *slots; /* by partition number */
    size_t slots_count;
    struct look_member *members;
    size_t members_count;
};

/* access: see common/kafka/client.h; NULL: plain connections. All that is given must outlive it. POFR_ECONFIG. */
POFR_MUST_USE int kafka_look_open(const char *brokers, const struct kafka_access *access, const char *program,
                                  struct kafka_look **out, struct pofr_err *err);
void kafka_look_close(struct kafka_look *k); /* NULL is allowed */

/* With tls: the brokers that it has connected to since it was opened, KAFKA_PEERS_MAX at most. */
size_t kafka_look_peers(struct kafka_look *k, struct kafka_peer *out);

/* POFR_ENOTFOUND: no such topic. POFR_ETIMEOUT: no broker answered in time. A partition without a leader is no error,
 * nor is a group without its coordinator. */
POFR_MUST_USE int kafka_look_at(struct kafka_look *k, const char *topic, const char *group, int timeout_ms,
                                struct look_topic *out, struct pofr_err *err);
void look_topic_free(struct look_topic *t);

/* The message at an offset: when Kafka took it, when what it tells was looked at. */
struct look_unread {
    uint16_t slot;
    int64_t offset;      /* wanted; where the log begins behind it, the first that is there */
    bool found;          /* the rest is filled */
    int64_t appended_ms; /* Kafka's clock (LogAppendTime), since 1970 */
    int64_t
        captured_us; /* of its last tick, since 1970, by the gateway's measure of the host's boot clock, or the host's own clock */
    bool measured; /* captured_us is by the gateway's measure */
};

/* The first message at or behind each offset; those that do not come in time stay !found. POFR_ETIMEOUT only where none came. */
POFR_MUST_USE int kafka_look_unread(struct kafka_look *k, const char *topic, struct look_unread *list, size_t count,
                                    int timeout_ms, struct pofr_err *err);
