/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lag.h -- every slot as Kafka, its shard and the consumer group have it. The truth about "stored" is the shard's offset row,
 * not the group's commit, which is written after it.
 *
 * Lag in seconds is the age of the first message that is not stored, by the time of its statement: one message is fetched for
 * each slot that lags. (The age of what was stored last says nothing of a slot whose hosts are silent.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/kafka/topic_rules.h"
#include "common/watch/health.h"
#include "ctl/ctl.h"

struct lag_slot {
    struct health_slot facts;
    struct health_result result;
    char shard[65];   /* by the catalog; "" where none has it */
    char worker[64];  /* that stored last */
    char state[16];   /* of the shard's row */
    char teller[191]; /* whose word facts.cause is */
    uint32_t incarnation;
};

struct lag {
    struct look_topic topic;
    struct lag_slot slots[TOPIC_PARTITIONS_MAX]; /* those of the topic, by number */
    size_t count;
    int64_t looked_us; /* monotonic, when the logs' ends were asked for */
    bool partial;      /* a shard did not answer: */
    char missing[240]; /* which, and why */
};

/* POFR_ETIMEOUT and the like: Kafka or the catalog did not answer. A shard that is down is no error. */
POFR_MUST_USE int lag_read(struct ctl *c, struct lag **out, struct pofr_err *err);
/* What Kafka alone can say: by what workers told the group, which they do a moment after they have stored. */
struct lag_told {
    int64_t messages;
    size_t slots, behind, workers;
};
POFR_MUST_USE int lag_ask_kafka(struct ctl *c, struct lag_told *out, struct pofr_err *err);
void lag_free(struct lag *l); /* NULL is allowed */

/* The member that owns the slot, or NULL. */
const struct look_member *lag_owner(const struct lag *l, const struct lag_slot *s);
