/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rec_next(): two sorted lists side by side, the record's fields and the table's. What the table alone has
 * gets its default (0, empty, the tick), what the record alone has is skipped by its wire type and counted.
 *
 * A record's body is a cursor of its own, so nothing in it can reach beyond it; running out inside of it is
 * POFR_EFORMAT, running out of payload is POFR_ETRUNCATED. Memory comes from the caller's arena alone:
 * 16 bytes per string and 8 per pid of a keyframe part, which doubling at most doubles.
 */
#include "common/base/cursor.h"
#include "common/base/err.h"
#include "common/record/record_order.h"
#include "common/record/record_table.h"

#define FIRST_STRINGS 256U
#define FIRST_PIDS    256U
#define NO_PID        UINT32_MAX

void rec_decoder_init(struct rec_decoder *d, struct slice payload, struct arena *arena)
{
    *d = (struct rec_decoder){ .payload = payload, .arena = arena };
    if (payload.len > REC_PAYLOAD_MAX) {
        d->err = POFR_ETOOBIG;
    }
}

/* Most varints are one byte. */
static inline uint64_t varint(struct cursor *c)
{
    return c->pos < c->end && *c->pos < 0x80 && c->err == 0 ? *c->pos++ : cursor_varint(c);
}

static int add_string(struct rec_decoder *d, struct slice s)
{
    if (s.len > REC_STRING_MAX || d->strings_count >= REC_STRINGS_MAX) {
        return POFR_ETOOBIG;
    }
    if (d->strings_count == d->strings_room) {
        uint32_t room = d->strings_room ? d->strings_room * 2 : FIRST_STRINGS;
        struct slice *strings = arena_alloc(d->arena, room * sizeof(*strings));

        if (!strings) {
            return d->arena->err;
        }
        if (d->strings_count > 0) {
            memcpy(strings, d->strings, d->strings_count * sizeof(*strings));
        }
        d->strings = strings;
        d->strings_room = room;
    }
    d->strings[d->strings_count++] = s;
    return 0;
}

/* --- the pids of a keyframe part ------------------------------------------------------------------ */

static uint32_t pid_slot(const struct rec_decoder *d, uint32_t pid)
{
    uint32_t mask = d->pids_room - 1;
    uint32_t i = (uint32_t)(((uint64_t)pid * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;

    while (d->pids[i] != NO_PID && d->pids[i] != pid) {
        i = (i + 1) & mask;
    }
    return i;
}

static int grow_pids(struct rec_decoder *d)
{
    uint32_t *old = d->pids;
    uint32_t old_room = d->pids_room;
    uint32_t room = old_room ? old_room * 2 : FIRST_PIDS;
    uint32_t *pids = arena_alloc(d->arena, room * sizeof(*pids));

    if (!pids) {
        return d->arena->err;
    }
    memset(pids, 0xff, room * sizeof(*pids));
    d->pids = pids;
    d->pids_room = room;
    for (uint32_t i = 0; i < old_room; i++) {
        if (old[i] != NO_PID) {
            pids[pid_slot(d, old[i])] = old[i];
        }
    }
    return 0;
}

/* POFR_EFORMAT: it was sighted in this part already. */
static int sight_pid(struct rec_decoder *d, uint32_t pid)
{
    uint32_t slot;

    if (d->pids_count >= d->pids_room / 2) {
        int rc = grow_pids(d);

        if (rc != 0) {
            return rc;
        }
    }
    slot = pid_slot(d, pid);
    if (d->pids[slot] == pid) {
        return POFR_EFORMAT;
    }
    d->pids[slot] = pid;
    d->pids_count++;
    return 0;
}

static void forget_pids(struct rec_decoder *d)
{
    if (d->pids_count > 0) {
        memset(d->pids, 0xff, d->pids_room * sizeof(*d->pids));
        d->pids_count = 0;
    }
}

/* --- fields --------------------------------------------------------------------------------------- */

static void skip_value(struct cursor *c, unsigned wire)
{
    switch (wire) {
    case REC_WIRE_VARINT:
    case REC_WIRE_ZIGZAG:
        (void)varint(c);
        break;
    case REC_WIRE_BYTES:
        (void)cursor_varbytes(c, SIZE_MAX);
        break;
    default:
        (void)cursor_u64le(c);
        break;
    }
}

/* What a field that is not there means, where that is not 0 or empty. */
static void set_default(const struct rec_decoder *d, const struct rec_shape *shape, const struct rec_field *f,
                        struct record *out)
{
    if (f->type == REC_TYPE_A && rec_carries(shape, f)) {
        rec_set_u64(out, f, d->order.boot_us);
    }
}

static void read_value(struct rec_decoder *d, const struct rec_shape *shape, const struct rec_field *f,
                       struct cursor *c, struct record *out)
{
    uint64_t v;
    struct slice s;

    switch ((enum rec_type)f->type) {
    case REC_TYPE_U:
        rec_set_u64(out, f, varint(c));
        break;
    case REC_TYPE_S:
        rec_set_u64(out, f, (uint64_t)cursor_svarint(c));
        break;
    case REC_TYPE_H:
        rec_set_u64(out, f, cursor_u64le(c));
        break;
    case REC_TYPE_B:
        rec_set_slice(out, f, cursor_varbytes(c, rec_field_max(shape, f)));
        break;
    case REC_TYPE_A:
        v = varint(c);
        if (v > d->order.boot_us) {
            cursor_fail(c, POFR_EFORMAT);
            break;
        }
        rec_set_u64(out, f, d->order.boot_us - v);
        break;
    case REC_TYPE_T:
        v = varint(c);
        if (v > d->strings_count) {
            cursor_fail(c, POFR_EFORMAT);
            break;
        }
        s = v > 0 ? d->strings[v - 1] : SLICE_EMPTY;
        d->text += s.len;
        if (s.len > rec_field_max(shape, f) || d->text > REC_TEXTS_MAX) {
            cursor_fail(c, POFR_ETOOBIG);
        }
        rec_set_slice(out, f, s);
        break;
    }
}

static int read_fields(struct rec_decoder *d, const struct rec_shape *shape, struct cursor *c, struct record *out)
{
    const struct rec_field *f = shape->fields, *end = f + shape->count;
    uint64_t last = 0;

    while (cursor_left(c) > 0) {
        uint64_t tag = varint(c);
        uint64_t number = tag >> 2;

        if (c->err != 0 || number <= last) {
            return POFR_EFORMAT;
        }
        last = number;
        for (; f < end && f->number < number; f++) {
            set_default(d, shape, f, out);
        }
        if (f < end && f->number == number && rec_carries(shape, f)) {
            if (f->wire != (tag & 3)) {
                return POFR_EFORMAT;
            }
            read_value(d, shape, f, c, out);
            f++;
        } else {
            skip_value(c, tag & 3);
            out->unknown_fields++;
        }
        if (c->err != 0) {
            return c->err == POFR_ETOOBIG ? POFR_ETOOBIG : POFR_EFORMAT;
        }
    }
    for (; f < end; f++) {
        set_default(d, shape, f, out);
    }
    return 0;
}

/* --- records -------------------------------------------------------------------------------------- */

/* The body of a record other than STRING. */
static int read_record(struct rec_decoder *d, uint32_t kind, struct cursor *body, struct record *out)
{
    const struct rec_shape *shape = rec_shape(kind);
    int rc;

    memset(out, 0, sizeof(*out));
    out->kind = kind;
    if (!shape) {
        out->unknown = true;
        d->unknown_kinds++;
        return 0;
    }
    out->entity = shape->entity;
    out->verb = shape->verb;
    rc = read_fields(d, shape, body, out);
    if (rc == 0) {
        rc = rec_order_take(&d->order, shape, out);
    }
    if (rc != 0) {
        return rc;
    }
    d->unknown_fields += out->unknown_fields;
    if (kind == REC_TICK) {
        d->tick = out->tick;
    }
    if (kind == REC_TICK || kind == REC_KEYFRAME) {
        forget_pids(d);
    }
    return kind == REC_KIND(REC_PROCESS, REC_SIGHT) ? sight_pid(d, (uint32_t)out->process.pid) : 0;
}

/* One record of any kind; *out_string: it was a STRING. */
static int next(struct rec_decoder *d, struct record *out, bool *out_string)
{
    struct cursor c = cursor_of(slice_sub(d->payload, d->position, SIZE_MAX));
    size_t left = cursor_left(&c);
    uint64_t length = varint(&c), kind;
    struct cursor body;
    int rc;

    if (c.err == 0 && length > REC_BODY_MAX) {
        return POFR_ETOOBIG;
    }
    body = cursor_of(cursor_bytes(&c, (size_t)length));
    if (c.err != 0) {
        return c.err;
    }
    kind = varint(&body);
    if (body.err != 0 || kind > UINT32_MAX) {
        return POFR_EFORMAT;
    }
    *out_string = kind == REC_STRING;
    if (kind == REC_STRING) {
        rc = add_string(d, cursor_rest(&body));
    } else if (d->records >= REC_RECORDS_MAX) {
        rc = POFR_ETOOBIG;
    } else {
        rc = read_record(d, (uint32_t)kind, &body, out);
        d->records += rc == 0;
    }
    d->position += rc == 0 ? left - cursor_left(&c) : 0;
    return rc;
}

int rec_next(struct rec_decoder *d, struct record *out)
{
    while (d->err == 0 && d->position < d->payload.len) {
        bool string = false;

        d->err = next(d, out, &string);
        if (d->err == 0 && !string) {
            return 1;
        }
    }
    return d->err;
}
