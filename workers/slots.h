/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slots.h -- what a worker knows of one slot, from its assignment to its revocation, as a state machine without any I/O
 * (CORRECTNESS 6.1, 6.2). Each event gives what is to be done next.
 *
 *   NONE -> UNMAPPED -> LOADING -> LIMITS -> CHECKING -> ACTIVE
 *                          ^          |          |          |
 *                          |          +-> JUMPING <---------+
 *                          +----- fenced, elsewhere, stalled, moved
 *
 * epoch rises whenever what was queued for the slot is void; answers that carry an older epoch are ignored.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "workers/store.h"

enum slot_state {
    SLOT_NONE,     /* not ours */
    SLOT_UNMAPPED, /* ours, but no shard has it (yet) */
    SLOT_LOADING,  /* its shard is asked where it stands */
    SLOT_LIMITS,   /* Kafka is asked what the log has */
    SLOT_CHECKING, /* the message before our offset is read again */
    SLOT_JUMPING,  /* the shard is told to go on elsewhere */
    SLOT_ACTIVE,
};

enum slot_do {
    SLOT_DO_NOTHING,
    SLOT_DO_LOAD, /* ask the shard; nothing is to be fetched meanwhile */
    SLOT_DO_ASK_LIMITS,
    SLOT_DO_SEEK,        /* fetch from offset on */
    SLOT_DO_SKIP,        /* the log begins at offset, behind ours: gap row, go on there */
    SLOT_DO_REINCARNATE, /* it is another log: begin at offset */
    SLOT_DO_ENQUEUE,     /* the message is the next one */
    SLOT_DO_DROP,        /* the message is not wanted */
    SLOT_DO_WAIT,        /* no shard has the slot: look at the map again later */
};

struct slot_action {
    enum slot_do what;
    int64_t offset;
};

struct slot {
    unsigned number;
    enum slot_state state;
    uint64_t epoch;
    unsigned shard_id;        /* 0: not mapped */
    uint32_t generation;      /* of the map */
    struct store_position at; /* as it was loaded */
    int64_t expected;         /* offset of the next message */
    int64_t low;              /* first offset of the log, as last asked */
    unsigned seeks;           /* for the same message */
};

#define SLOT_SEEKS_MAX 3u

struct slot_action slot_assigned(struct slot *s);
void slot_revoked(struct slot *s);
/* The catalog's map says this of the slot; shard_id 0: nothing. */
struct slot_action slot_mapped(struct slot *s, unsigned shard_id, uint32_t generation);
/* The shard's answer. at NULL: it does not have the slot. */
struct slot_action slot_loaded(struct slot *s, const struct store_position *at);
struct slot_action slot_limits(struct slot *s, int64_t low, int64_t high);
/* digest: SHA-256 of the message's value; only looked at in SLOT_CHECKING, of the message that is expected. */
struct slot_action slot_message(struct slot *s, int64_t offset, const uint8_t digest[32]);
/* Nothing comes, though the log does not end where the slot stands. */
struct slot_action slot_stalled(struct slot *s);
/* The shard goes on there. at NULL: it refused, because it stands elsewhere. */
struct slot_action slot_jumped(struct slot *s, const struct store_position *at);
/* Someone else moved the slot, or its queue can't be trusted any more. */
struct slot_action slot_fenced(struct slot *s);

const char *slot_state_name(enum slot_state s);
