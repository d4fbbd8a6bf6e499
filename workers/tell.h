/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tell.h -- tells the catalog what this worker is doing with its slots (slot_worker), for people: why one is not fetched now.
 * A thread of its own, as nothing may wait for that: whatever the catalog does not take is told anew later.
 *
 * Threads: one calls tell_slots(); the thread has the connection.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/db/db.h"

struct tell;

struct tell_slot {
    uint16_t slot;
    const char *cause; /* "": it is fetched; a constant word */
};

/* worker: its name. What address points to outlives it, as the name does. */
POFR_MUST_USE int tell_start(const struct db_address *catalog, const char *worker, struct tell **out,
                             struct pofr_err *err);
/* The slots that are ours now; at most TELL_SLOTS_MAX. Every round: what is the same is told only every 10 s. */
#define TELL_SLOTS_MAX 1024u
void tell_slots(struct tell *t, const struct tell_slot *slots, size_t count);
/* Waits for the statement at hand (bounded by the connection's limits). NULL is allowed. */
void tell_stop(struct tell *t);
