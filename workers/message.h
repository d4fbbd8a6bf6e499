/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * message.h -- one Kafka message on its way through a worker, and what its headers say (docs/PROTOCOL.md). The headers
 * are the gateway's word: they fix the anchor of a boot that it opens, and nothing else. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/base/uuid.h"

struct message {
    unsigned slot;
    uint32_t incarnation; /* of the slot's offsets, as it was read */
    int64_t offset;
    int64_t appended_us; /* the broker's time of appending, wall clock */
    struct slice key, value;
    struct buf headers;  /* message_put_header() */
    int64_t received_us; /* header pofr-received; the time of appending where that is missing or can't be believed */
    bool boot_read, offset_read;
    bool has_boot; /* headers pofr-boot and pofr-offset could be read */
    struct uuid boot;
    int64_t offset_us;
    uint64_t uncertainty_us;
    bool replayed;                /* from set_aside, not from Kafka */
    void *owner;                  /* whatever holds key and value; */
    void (*release)(void *owner); /* called when the message is done with. NULL: nothing to do */
    struct message *next;         /* in a queue */
};

#define MESSAGE_HEADERS_MAX 16384u

/* One header, in the order in which they stand. What a worker knows is also taken into the fields above. */
void message_put_header(struct message *m, struct slice name, struct slice value);
/*
 * After the last header: a time of receipt further than a day from the broker's is none. (Rows whose end can't be believed
 * get it as their end: what a gateway says must not put them where they are dropped, or into the future.)
 */
void message_settle(struct message *m, int64_t appended_us);
/* The headers again: false at the end. at begins at 0. */
bool message_next_header(struct slice headers, size_t *at, struct slice *name, struct slice *value);
/* The first of that name; empty: there is none. */
struct slice message_header(const struct message *m, const char *name);

POFR_MUST_USE int message_new(struct message **out);
/* Releases the owner too. NULL is allowed. */
void message_free(struct message *m);
