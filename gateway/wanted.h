/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wanted.h -- the copy of the catalog's list of bundles that are wanted again (merger/wanted.c); the answer to
 * HELLO names them.
 *
 * Threads: any thread asks, the catalog's thread replaces.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/wire/message.h"

struct wanted;

#define WANTED_MAX 200000u /* rows; more wait until these are gone */

struct wanted_row {
    uint64_t host_id;
    struct message_range range;
    int64_t since_us; /* the catalog's clock */
};

POFR_MUST_USE int wanted_new(struct wanted **out);
void wanted_free(struct wanted *w); /* NULL is allowed */

/* rows: ascending by host_id, then first; taken over and freed later. true: one is newer than all that there ever were. */
bool wanted_replace(struct wanted *w, struct wanted_row *rows, size_t count);
/* The oldest ranges of a host, at most max (out NULL: none is told), and since when the newest of these are wanted (0: none). */
unsigned wanted_of(struct wanted *w, uint64_t host_id, struct message_range *out, unsigned max, int64_t *out_since_us);
