/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A struct record is as large as its largest kind. Kept are only the bytes that a record's kind fills, so
 * that a bundle of a hundred thousand files does not cost three times the memory.
 */
#include "workers/decode.h"

#include <stddef.h>
#include <string.h>

#include "workers/stripped.h"

#define FIRST_ROOM 512u

static size_t record_size(const struct record *r)
{
    size_t base = offsetof(struct record, iv);

    switch (r->entity) {
#define ENTITY(number, lower, UPPER)                                                                                   \
    case number:                                                                                                       \
        return base + sizeof(struct rec_##lower);
        POFR_ENTITIES(ENTITY)
#undef ENTITY
    default:
        break;
    }
    switch (r->kind) {
#define SINGLE(number, lower, UPPER)                                                                                   \
    case number:                                                                                                       \
        return base + sizeof(struct rec_##lower);
        POFR_SINGLES(SINGLE)
#undef SINGLE
    default:
        return base;
    }
}

enum group group_of(unsigned entity)
{
    switch (entity) {
    case REC_PROCESS:
        return GROUP_PROCESS;
    case REC_FILE:
        return GROUP_FILE;
    case REC_SOCKET:
        return GROUP_SOCKET;
    case REC_COVERAGE:
        return GROUP_COVERAGE;
    default:
        return GROUP_FACT;
    }
}

/* Room for one more: doubling, in the arena (the old arrays stay in it: at most twice the memory). */
static void *grown(struct arena *arena, void *old, size_t count, size_t *room, size_t size)
{
    size_t more = *room ? *room * 2 : FIRST_ROOM;
    void *new;

    if (count < *room) {
        return old;
    }
    new = arena_alloc(arena, more * size);
    if (new &&count) {
        memcpy(new, old, count * size);
    }
    *room = new ? more : *room;
    return new;
}

bool decoded_gap_blinds(const struct record *r)
{
    return r->gap.kind != REC_GAP_STOPPED && r->gap.kind != REC_GAP_TICKS;
}

static void note(struct decoded *d, const struct record *r)
{
    bool named_anew = r->entity == REC_PROCESS && r->verb == REC_START && r->iv.start_unseen;

    if (r->entity && r->verb == REC_START && r->iv.start_unseen) {
        d->unseen_starts++;
    } else if (r->entity && r->verb == REC_END && r->iv.start_unseen && r->iv.first_seen < d->oldest_unseen_end) {
        d->oldest_unseen_end = r->iv.first_seen;
    }
    if (named_anew && d->ticks_count == 1) {
        d->named_anew++;
        d->stateless |= r->process.pid == 1; /* it lives as long as the boot: a run with its state knows it */
    }
    d->stripped_ends += stripped_is(r);
    if (r->entity == REC_COVERAGE) {
        d->coverages++;
    } else if (r->kind == REC_GAP) {
        d->gaps++;
        d->stateless |= r->gap.kind == REC_GAP_STATE;
        d->blind_gap |= decoded_gap_blinds(r);
    } else if (r->kind == REC_KEYFRAME) {
        d->keyframes++;
        d->stateless |= d->ticks_count == 1 && d->named_anew > 0 && d->named_anew == r->keyframe.process_count;
        if (!d->hash_key) {
            d->hash_key = r->keyframe.hash_key.data;
        }
    }
}

struct rooms {
    size_t records, ticks;
};

/* The number is in the microseconds of started, below a jiffy's ten thousand. */
static bool is_storable(const struct record *r)
{
    switch (r->entity) {
    case REC_PROCESS:
        return r->process.start_number < 10000 && r->process.parent_start_number < 10000;
    case REC_FILE:
        return r->file.start_number < 10000;
    case REC_SOCKET:
        return r->socket.start_number < 10000;
    default:
        return true;
    }
}

static int keep(struct decoded *d, const struct record *r, struct rooms *rooms, struct arena *arena)
{
    size_t size = record_size(r);
    struct record *copy;

    if (r->kind == REC_TICK) {
        d->ticks = grown(arena, d->ticks, d->ticks_count, &rooms->ticks, sizeof(*d->ticks));
        if (!d->ticks) {
            return arena->err;
        }
        d->begins_run |= d->ticks_count == 0 && r->tick.number == 0;
        d->ticks[d->ticks_count++] = (struct decoded_tick){ r->tick.boot_us, r->tick.wall_us };
        return 0;
    }
    d->records = grown(arena, d->records, d->count, &rooms->records, sizeof(*d->records));
    copy = d->records ? arena_alloc(arena, size) : NULL;
    if (!copy) {
        return arena->err;
    }
    memcpy((void *)copy, r, size);
    d->records[d->count++] = (struct decoded_record){ copy, (uint32_t)d->ticks_count - 1 };
    note(d, copy);
    return 0;
}

static uint64_t claimed(const struct statement *st, uint32_t kind)
{
    for (unsigned i = 0; i < st->counts_len; i++) {
        if (st->counts[i].kind == kind) {
            return st->counts[i].here;
        }
    }
    return 0;
}

#define KINDS_MAX 512u

/* What the statement says of a kind that we know is what is there: the running totals rest on it. */
static int compare_counts(const struct decoded *d, const struct statement *st, struct pofr_err *err)
{
    uint32_t counts[KINDS_MAX] = { 0 };

    for (size_t i = 0; i < d->count; i++) {
        const struct record *r = d->records[i].record;

        if (!r->unknown && r->kind < KINDS_MAX) {
            counts[r->kind]++;
        }
    }
    counts[REC_KEYFRAME] = 0;
    for (uint32_t kind = 0; kind < KINDS_MAX; kind++) {
        if (rec_kind_name(kind) && kind != REC_KEYFRAME && kind != REC_TICK && counts[kind] != claimed(st, kind)) {
            return pofr_err_set(err, POFR_EFORMAT, "statement says %llu records of kind %u, payload has %u",
                                (unsigned long long)claimed(st, kind), kind, counts[kind]);
        }
    }
    return 0;
}

static int compare_ticks(const struct decoded *d, const struct statement *st, struct pofr_err *err)
{
    /* before 0.1.0, a tick that goes on with a keyframe's part was counted in the bundle before alone */
    bool again = d->ticks_count > 0 && d->ticks_count == st->ticks + 1 && d->count > 0 && d->records[0].tick == 0 &&
                 d->records[0].record->kind == REC_KEYFRAME && d->records[0].record->keyframe.part > 0;

    if (d->ticks_count == 0 || (d->ticks_count != st->ticks && !again) || d->ticks[0].boot_us != st->from_boot_us ||
        d->ticks[d->ticks_count - 1].boot_us != st->to_boot_us) {
        return pofr_err_set(err, POFR_EFORMAT, "ticks of statement and payload differ (%llu, %zu)",
                            (unsigned long long)st->ticks, d->ticks_count);
    }
    return 0;
}

int decode_payload(struct slice payload, const struct statement *st, size_t records_max, struct arena *arena,
                   struct decoded *out, struct pofr_err *err)
{
    struct decoded d = { .oldest_unseen_end = UINT64_MAX };
    struct rec_decoder decoder;
    struct record r;
    struct rooms rooms = { 0 };
    int rc;

    rec_decoder_init(&decoder, payload, arena);
    while ((rc = rec_next(&decoder, &r)) == 1) {
        if (r.unknown && d.ticks_count == 0) {
            continue; /* belongs to no tick; counted by the decoder */
        }
        if (d.count >= records_max) {
            return pofr_err_set(err, POFR_ETOOBIG, "more than %zu records", records_max);
        }
        rc = is_storable(&r) ? keep(&d, &r, &rooms, arena) : POFR_EFORMAT;
        if (rc) {
            return pofr_err_set(err, rc, "record %zu: %s", d.count, pofr_err_text(rc));
        }
    }
    if (rc < 0) {
        return pofr_err_set(err, rc, "payload at byte %zu: %s", decoder.position, pofr_err_text(rc));
    }
    d.unknown_kinds = decoder.unknown_kinds;
    d.unknown_fields = decoder.unknown_fields;
    d.text = decoder.text;
    rc = compare_ticks(&d, st, err);
    if (rc == 0) {
        rc = compare_counts(&d, st, err);
    }
    if (rc == 0 && stripped_mend(&d, arena) != 0) {
        rc = pofr_err_set(err, POFR_ENOMEM, "%zu records", d.count);
    }
    if (rc == 0) {
        *out = d;
    }
    return rc;
}

uint64_t decoded_before(const struct decoded *d, size_t tick)
{
    return tick > 0 ? d->ticks[tick - 1].boot_us : 0;
}
