/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/changes.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/siphash.h"

#define FIRST_SLOTS 1024u
#define TAKEN       UINT32_MAX /* a place whose change was taken away: no slot's, but those behind it are found */

void changes_init(struct changes *c, size_t max)
{
    memset(c, 0, sizeof(*c));
    c->max = max;
    buf_init(&c->scratch, REC_BODY_MAX);
}

void changes_free(struct changes *c)
{
    free(c->list);
    free(c->slots);
    free(c->used);
    buf_free(&c->scratch);
    memset(c, 0, sizeof(*c));
}

void changes_reset(struct changes *c)
{
    for (size_t i = 0; i < c->slots_count; i++) {
        c->slots[c->used[i]] = 0;
    }
    c->slots_count = 0;
    c->count = 0;
    c->err = 0;
}

static struct change *add(struct changes *c)
{
    if (c->err) {
        return NULL;
    }
    if (c->count == c->room) {
        size_t room = c->room ? c->room * 2 : 1024;
        struct change *list;

        if (c->count >= c->max) {
            c->err = POFR_EFULL;
            return NULL;
        }
        list = reallocarray(c->list, room, sizeof(*list));
        if (!list) {
            c->err = POFR_ENOMEM;
            return NULL;
        }
        c->list = list;
        c->room = room;
    }
    c->list[c->count] = (struct change){ .received_us = c->received_us };
    return &c->list[c->count++];
}

/* --- which slot is open in here ---------------------------------------------------------------------- */

static uint64_t slot_hash(struct changes *c, const struct row_boot *boot, const struct record *r)
{
    static const uint8_t key[16] = "changes by slots";

    buf_reset(&c->scratch);
    buf_u64le(&c->scratch, boot->host_id);
    buf_u32le(&c->scratch, boot->number);
    rec_canonical(r, REC_CANONICAL_ID, &c->scratch);
    return siphash24(key, buf_slice(&c->scratch));
}

static uint32_t *find(struct changes *c, uint64_t hash, const struct row_boot *boot, const struct record *r)
{
    size_t i = hash & (c->slots_room - 1);

    while (c->slots[i]) {
        const struct change *at = c->slots[i] == TAKEN ? NULL : &c->list[c->slots[i] - 1];

        if (at && at->boot == boot && rec_compare_id(at->record, r) == 0) {
            break;
        }
        i = (i + 1) & (c->slots_room - 1);
    }
    return &c->slots[i];
}

static bool grow_slots(struct changes *c)
{
    size_t room = c->slots_room ? c->slots_room * 2 : FIRST_SLOTS;
    uint32_t *slots, *used, *old = c->slots;
    size_t count = c->slots_count;

    if (c->slots_count * 2 < c->slots_room) {
        return true;
    }
    slots = calloc(room, sizeof(*slots));
    used = calloc(room, sizeof(*used));
    if (!slots || !used) {
        free(slots);
        free(used);
        c->err = POFR_ENOMEM;
        return false;
    }
    c->slots = slots;
    c->slots_room = room;
    c->slots_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t index = old[c->used[i]];
        const struct change *at = index == TAKEN ? NULL : &c->list[index - 1];
        uint32_t *to = at ? find(c, slot_hash(c, at->boot, at->record), at->boot, at->record) : NULL;

        if (to) {
            *to = index;
            c->list[index - 1].place = (uint32_t)(to - slots) + 1;
            used[c->slots_count++] = (uint32_t)(to - slots);
        }
    }
    free(old);
    free(c->used);
    c->used = used;
    return true;
}

/* --- beginnings and ends ------------------------------------------------------------------------------- */

static void seen_end(struct row *row, const struct record *r)
{
    row->last = r->iv.last_seen;
    row->ended = r->iv.ended;
    row->source = row_source_of(r->iv.end_source);
}

void changes_start(struct changes *c, const struct row_boot *boot, const struct record *r)
{
    struct change *new;
    uint32_t *slot;

    if (c->err || !grow_slots(c)) {
        return;
    }
    slot = find(c, slot_hash(c, boot, r), boot, r);
    if (*slot && c->list[*slot - 1].row.ended == ROW_OPEN) { /* the host contradicts itself */
        struct row *row = &c->list[*slot - 1].row;

        row->ended = row->last = row->first < r->iv.first_seen ? r->iv.first_seen : row->first;
        row->before = row->ended;
        row->source = ROW_SOURCE_UNKNOWN;
        row->inferred = true;
    }
    new = add(c);
    if (!new) {
        return;
    }
    new->kind = CHANGE_INSERT;
    new->boot = boot;
    new->record = r;
    new->row = (struct row){ .first = r->iv.first_seen,
                             .last = r->iv.first_seen,
                             .ended = ROW_OPEN,
                             .unseen = r->iv.start_unseen != 0,
                             .hash = row_hash(r, &c->scratch) };
    if (!*slot) {
        c->used[c->slots_count++] = (uint32_t)(slot - c->slots);
    }
    *slot = (uint32_t)c->count;
    new->place = (uint32_t)(slot - c->slots) + 1;
}

void changes_end(struct changes *c, const struct row_boot *boot, const struct record *r)
{
    struct change *change = NULL;
    bool known = false;

    if (c->err || !grow_slots(c)) {
        return;
    }
    if (c->slots_count > 0) {
        uint32_t *slot = find(c, slot_hash(c, boot, r), boot, r);

        known = *slot != 0;
        change = known ? &c->list[*slot - 1] : NULL;
    }
    if (known && change->row.ended == ROW_OPEN && change->row.first == r->iv.first_seen) {
        change->record = r; /* an END carries all that its START did, and the last values */
    } else {
        change = add(c);
        if (!change) {
            return;
        }
        change->kind = CHANGE_END;
        change->boot = boot;
        change->record = r;
        change->row.first = r->iv.first_seen;
        change->row.unseen = r->iv.start_unseen != 0;
    }
    seen_end(&change->row, r);
    change->row.hash = change->row.unseen ? row_hash(r, &c->scratch) : 0;
}

void changes_add(struct changes *c, const struct change *change)
{
    struct change *to = add(c);

    if (to) {
        *to = *change;
        to->received_us = c->received_us;
    }
}

static bool is_of(const struct change *c, uint64_t host_id, unsigned entity)
{
    return c->boot->host_id == host_id && (entity == 0 || c->record->entity == entity);
}

void changes_take(struct changes *c, uint64_t host_id, unsigned entity, struct changes *out)
{
    size_t kept = 0;

    out->err = c->err;
    for (size_t i = 0; i < c->count && !out->err; i++) {
        if (is_of(&c->list[i], host_id, entity)) {
            struct change *to = add(out);

            if (to) {
                *to = c->list[i];
                to->place = 0;
            }
        }
    }
    if (out->err || out->count == 0) {
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        struct change *change = &c->list[i];
        uint32_t *slot = change->place ? &c->slots[change->place - 1] : NULL;
        bool opened = slot && *slot == i + 1; /* and no other after it */

        if (is_of(change, host_id, entity)) {
            if (opened) {
                *slot = TAKEN;
            }
            continue;
        }
        c->list[kept++] = *change;
        if (opened) {
            *slot = (uint32_t)kept;
        }
    }
    c->count = kept;
}
