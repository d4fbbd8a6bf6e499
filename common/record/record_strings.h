/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record_strings.h -- the encoder's string table: bytes -> index. The bytes themselves are in the payload's
 * STRING records and nowhere else. Not for others.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct rec_strings_entry {
    uint32_t at, len; /* in the payload */
    uint32_t hash;
};

struct rec_strings {
    struct rec_strings_entry *entries; /* entry i is index i + 1 */
    uint32_t count, room;
    uint32_t *slots; /* index, 0 is free; open addressing, at most half full */
    uint32_t slots_len;
    uint8_t key[16];
};

/* Allocates nothing yet. POFR_ESYSTEM: no random key. */
POFR_MUST_USE int rec_strings_init(struct rec_strings *t);
void rec_strings_fini(struct rec_strings *t);
void rec_strings_reset(struct rec_strings *t); /* keeps memory of usual size */

uint32_t rec_strings_hash(const struct rec_strings *t, struct slice s);
/* Index of s, or 0. payload is where the entries' bytes are. */
uint32_t rec_strings_find(const struct rec_strings *t, const uint8_t *payload, struct slice s, uint32_t hash);
/* Add what rec_strings_find() did not find; its bytes are at at. POFR_ETOOBIG, POFR_ENOMEM: t is as before. */
POFR_MUST_USE int rec_strings_add(struct rec_strings *t, uint32_t at, uint32_t len, uint32_t hash);
/* Take back the newest until count entries are left. */
void rec_strings_cut(struct rec_strings *t, uint32_t count);
