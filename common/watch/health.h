/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * health.h -- what is wrong with a slot, from what Kafka, the shard and the consumer group say of it. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/watch/kafka_look.h"

#define HEALTH_STUCK_S  60    /* a message lies there so long and the offset has not moved so long */
#define HEALTH_MARGIN_S 86400 /* so close to being deleted unread */
#define HEALTH_TOLD_S   60    /* what a worker said so long ago is of the past */

/* Bits; health_name() is what scripts and metrics know. */
enum health_problem {
    HEALTH_OFFLINE = 1 << 0,          /* no leader: nothing can be read or written */
    HEALTH_UNDER_REPLICATED = 1 << 1, /* fewer replicas in sync than there are */
    HEALTH_BELOW_MIN_ISR = 1 << 2,    /* fewer than min.insync.replicas: gateways can't publish */
    HEALTH_NO_SHARD = 1 << 3,         /* no shard has the slot */
    HEALTH_SHARD_DOWN = 1 << 4,       /* its shard does not answer */
    HEALTH_NO_OWNER = 1 << 5,         /* no worker of the group has it */
    HEALTH_STUCK = 1 << 6,            /* messages wait, and nothing was stored for a while */
    HEALTH_PAUSED = 1 << 7,           /* its worker says why it does not fetch it, and has for a while */
    HEALTH_LOST = 1 << 8,             /* Kafka deleted what was not stored */
    HEALTH_RETENTION = 1 << 9,        /* Kafka is going to within HEALTH_MARGIN_S */
};
#define HEALTH_PROBLEMS 10u

struct health_slot { /* what is known of it */
    struct look_slot kafka;
    bool mapped;               /* the catalog gives it to a shard */
    bool known;                /* the shard told what follows */
    int64_t next_offset;       /* of the first message that is not stored */
    int64_t idle_s;            /* since the shard's row of the slot changed last */
    char cause[17];            /* why its worker does not fetch it, by the worker's word; "": it does, or never said */
    int64_t cause_s;           /* since when */
    int64_t told_s;            /* since it said so; -1: never */
    struct look_unread unread; /* that message; !found: there is none, or Kafka did not give it */
};

struct health_result {
    int64_t lag;            /* messages that are not stored; -1: not known */
    int64_t lag_seconds;    /* since the first of them was looked at, on its host; 0: there is none; -1: not known */
    int64_t kafka_seconds;  /* since Kafka took it; as above */
    int64_t margin_seconds; /* until Kafka may delete it; what is kept where there is none; -1: never, or not known */
    unsigned problems;      /* bits */
};

/* retention_ms, min_insync: the topic's. now_us: wall clock. */
struct health_result health_of(const struct health_slot *s, int64_t retention_ms, uint32_t min_insync, int64_t now_us);

/* "offline", "under_replicated", …; index is the bit's number. */
const char *health_name(unsigned index);
/* For people: what it means. */
const char *health_text(unsigned index);
