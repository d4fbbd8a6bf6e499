/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process of the monitored host chooses many of these bytes, so the hash is keyed: nobody can make the
 * probes long. Entries are only ever added, and taken back in reverse, so there is nothing like a tombstone.
 */
#include "common/record/record_strings.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/siphash.h"
#include "common/base/uuid.h"
#include "common/record/limits.h"

#define FIRST_SLOTS 256U
#define KEEP_SLOTS  16384U /* a reset gives back a larger table */

int rec_strings_init(struct rec_strings *t)
{
    struct uuid random;
    int rc = uuid_random(&random);

    if (rc != 0) {
        return rc;
    }
    *t = (struct rec_strings){ 0 };
    memcpy(t->key, random.b, sizeof(t->key));
    return 0;
}

void rec_strings_fini(struct rec_strings *t)
{
    free(t->entries);
    free(t->slots);
    t->entries = NULL;
    t->slots = NULL;
    t->count = t->room = t->slots_len = 0;
}

void rec_strings_reset(struct rec_strings *t)
{
    if (t->slots_len > KEEP_SLOTS) {
        rec_strings_fini(t);
        return;
    }
    t->count = 0;
    if (t->slots_len > 0) {
        memset(t->slots, 0, t->slots_len * sizeof(*t->slots));
    }
}

uint32_t rec_strings_hash(const struct rec_strings *t, struct slice s)
{
    return (uint32_t)siphash24(t->key, s);
}

uint32_t rec_strings_find(const struct rec_strings *t, const uint8_t *payload, struct slice s, uint32_t hash)
{
    uint32_t mask = t->slots_len - 1;

    if (t->count == 0) {
        return 0;
    }
    for (uint32_t i = hash & mask; t->slots[i] != 0; i = (i + 1) & mask) {
        const struct rec_strings_entry *e = &t->entries[t->slots[i] - 1];

        if (e->hash == hash && e->len == s.len && memcmp(payload + e->at, s.data, s.len) == 0) {
            return t->slots[i];
        }
    }
    return 0;
}

static void place(uint32_t *slots, uint32_t mask, uint32_t index, uint32_t hash)
{
    uint32_t i = hash & mask;

    while (slots[i] != 0) {
        i = (i + 1) & mask;
    }
    slots[i] = index;
}

static int grow(struct rec_strings *t)
{
    uint32_t slots_len = t->slots_len ? t->slots_len * 2 : FIRST_SLOTS;
    uint32_t *slots = calloc(slots_len, sizeof(*slots));
    struct rec_strings_entry *entries = realloc(t->entries, slots_len / 2 * sizeof(*entries));

    if (entries) {
        t->entries = entries;
        t->room = slots_len / 2;
    }
    if (!slots || !entries) {
        free(slots);
        return POFR_ENOMEM;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        place(slots, slots_len - 1, i + 1, entries[i].hash);
    }
    free(t->slots);
    t->slots = slots;
    t->slots_len = slots_len;
    return 0;
}

int rec_strings_add(struct rec_strings *t, uint32_t at, uint32_t len, uint32_t hash)
{
    if (t->count >= REC_STRINGS_MAX) {
        return POFR_ETOOBIG;
    }
    if (t->count >= t->slots_len / 2) {
        int rc = grow(t);

        if (rc != 0) {
            return rc;
        }
    }
    t->entries[t->count++] = (struct rec_strings_entry){ at, len, hash };
    place(t->slots, t->slots_len - 1, t->count, hash);
    return 0;
}

void rec_strings_cut(struct rec_strings *t, uint32_t count)
{
    while (t->count > count) {
        uint32_t mask = t->slots_len - 1;
        uint32_t i = t->entries[t->count - 1].hash & mask;

        while (t->slots[i] != t->count) {
            i = (i + 1) & mask;
        }
        t->slots[i] = 0; /* nothing newer is left that could lie behind it */
        t->count--;
    }
}
