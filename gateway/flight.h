/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flight.h -- a bundle from its arrival to its answer, and the line in which a session's bundles wait:
 * answers leave from its head, in the order in which bundles came.
 *
 * A flight that Kafka's client has (FLIGHT_PUBLISHED) lends it its memory, so it stays until it is reported,
 * whatever becomes of the session.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/base/uuid.h"
#include "common/wire/message.h"
#include "gateway/frame.h"
#include "gateway/intake.h"

struct session;
struct stat_set;

enum flight_state {
    FLIGHT_PENDING, /* not given to Kafka's client yet */
    FLIGHT_PUBLISHED,
    FLIGHT_REPORTED, /* Kafka has it */
    FLIGHT_REFUSED,
};

struct flight {
    struct flight *next;
    struct session *session;
    uint8_t *data; /* the message's memory; the block lies in it */
    size_t size;
    struct slice block;
    uint64_t sequence;
    uint8_t digest[32];
    struct uuid boot;
    bool doubt;
    int64_t since_us;
    enum flight_state state;
    enum message_refuse refuse;
    const char *reason;
};

struct flights { /* of one session */
    struct flight *first, **last;
    size_t count, published;
    uint64_t bytes;
    struct frame_memory *memory;
    struct stat_set *stats;
};

void flights_init(struct flights *fs, struct frame_memory *memory, struct stat_set *stats);

/* The message in frame becomes the last flight. block lies in it. NULL: out of memory, and frame is as
 * before. */
struct flight *flights_add(struct flights *fs, struct frame *frame, struct slice block, uint64_t sequence,
                           const struct intake *in);
/* The head, taken out, if it can be answered (REPORTED, REFUSED); else NULL. Then flights_free_one(). */
struct flight *flights_pop(struct flights *fs);
/* From wherever it is. */
void flights_remove(struct flights *fs, struct flight *f);
void flights_free_one(struct flights *fs, struct flight *f);
/* All but those that are with Kafka's client. */
void flights_drop(struct flights *fs);
