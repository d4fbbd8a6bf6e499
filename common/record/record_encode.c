/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rec_put() in one pass over the table: the body grows on the stack, new strings go straight to the payload,
 * which they precede anyway. A record that fails is taken back whole: payload cut, strings forgotten.
 *
 * COST  one SipHash per non-empty text and one copy of each new one; no allocation once warm. Memory: the
 *       payload, 12 bytes and 2 to 4 slots of 4 bytes per string.
 */
#include <stdlib.h>

#include "common/base/err.h"
#include "common/record/record_order.h"
#include "common/record/record_strings.h"
#include "common/record/record_table.h"

#define VARINT_MAX   10U
#define KEEP_PAYLOAD (2U * REC_CLOSE_BYTES) /* a reset gives back more than that */
#define BODY_ROOM    (VARINT_MAX + REC_FIELDS_MAX * 2U * VARINT_MAX + REC_BYTES_FIELDS_MAX * REC_BYTES_MAX)

struct rec_encoder {
    struct buf payload;
    struct rec_strings strings;
    struct rec_order order;
    uint64_t records, text;
    uint64_t counts[REC_KINDS_MAX];
};

int rec_encoder_new(struct rec_encoder **out_encoder)
{
    struct rec_encoder *e = calloc(1, sizeof(*e));
    int rc;

    if (!e) {
        return POFR_ENOMEM;
    }
    rc = rec_strings_init(&e->strings);
    if (rc != 0) {
        free(e);
        return rc;
    }
    buf_init(&e->payload, REC_PAYLOAD_MAX);
    *out_encoder = e;
    return 0;
}

void rec_encoder_free(struct rec_encoder *e)
{
    if (!e) {
        return;
    }
    buf_free(&e->payload);
    rec_strings_fini(&e->strings);
    free(e);
}

void rec_encoder_reset(struct rec_encoder *e)
{
    if (e->payload.cap > KEEP_PAYLOAD) {
        buf_free(&e->payload);
    }
    buf_reset(&e->payload);
    rec_strings_reset(&e->strings);
    e->order = (struct rec_order){ 0 };
    e->records = e->text = 0;
    memset(e->counts, 0, sizeof(e->counts));
}

struct slice rec_encoder_payload(const struct rec_encoder *e)
{
    return buf_slice(&e->payload);
}

size_t rec_encoder_bytes(const struct rec_encoder *e)
{
    return e->payload.len;
}

uint64_t rec_encoder_text(const struct rec_encoder *e)
{
    return e->text;
}

uint64_t rec_encoder_count(const struct rec_encoder *e, uint32_t kind)
{
    return kind < REC_KINDS_MAX ? e->counts[kind] : 0;
}

static uint8_t *varint(uint8_t *to, uint64_t v)
{
    while (v >= 0x80) {
        *to++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *to++ = (uint8_t)v;
    return to;
}

static uint8_t *tag(uint8_t *to, const struct rec_field *f)
{
    return varint(to, (uint64_t)f->number << 2 | f->wire);
}

/* Length, head and tail as one record. On error the payload is as before. */
static int append(struct buf *payload, struct slice head, struct slice tail)
{
    uint8_t *start, *to;

    if (head.len + tail.len > REC_BODY_MAX || head.len + tail.len + VARINT_MAX > payload->max - payload->len) {
        return POFR_ETOOBIG;
    }
    start = buf_reserve(payload, head.len + tail.len + VARINT_MAX);
    if (!start) {
        payload->err = 0; /* the next record may find memory again */
        return POFR_ENOMEM;
    }
    to = varint(start, head.len + tail.len);
    memcpy(to, head.data, head.len);
    to += head.len;
    if (tail.len > 0) {
        memcpy(to, tail.data, tail.len);
        to += tail.len;
    }
    buf_advance(payload, (size_t)(to - start));
    return 0;
}

/* The index of s, which gets a STRING record if it is new. */
static int intern(struct rec_encoder *e, struct slice s, uint32_t *out_index)
{
    static const uint8_t string_kind[] = { REC_STRING };
    uint32_t hash = rec_strings_hash(&e->strings, s);
    uint32_t index = rec_strings_find(&e->strings, e->payload.data, s, hash);
    int rc;

    if (index == 0) {
        rc = append(&e->payload, slice_of(string_kind, sizeof(string_kind)), s);
        if (rc != 0) {
            return rc;
        }
        rc = rec_strings_add(&e->strings, (uint32_t)(e->payload.len - s.len), (uint32_t)s.len, hash);
        if (rc != 0) {
            return rc;
        }
        index = e->strings.count;
    }
    *out_index = index;
    return 0;
}

/* Append one field to the body at *to, which has room for it. */
static int put_field(struct rec_encoder *e, const struct rec_shape *shape, const struct rec_field *f,
                     const struct record *r, uint8_t **to)
{
    struct slice s = SLICE_EMPTY;
    uint64_t v = 0;

    if (f->type == REC_TYPE_T || f->type == REC_TYPE_B) {
        s = rec_get_slice(r, f);
        if (s.len > rec_field_max(shape, f)) {
            return POFR_ETOOBIG;
        }
    } else {
        v = rec_get_u64(r, f);
    }
    switch ((enum rec_type)f->type) {
    case REC_TYPE_A:
        v = v < e->order.boot_us ? e->order.boot_us - v : 0;
        break;
    case REC_TYPE_S:
        v = v << 1 ^ ((int64_t)v < 0 ? UINT64_MAX : 0);
        break;
    case REC_TYPE_T:
        if (s.len > 0) {
            uint32_t index = 0;
            int rc = intern(e, s, &index);

            if (rc != 0) {
                return rc;
            }
            v = index;
            e->text += s.len;
        }
        break;
    case REC_TYPE_U:
    case REC_TYPE_B:
    case REC_TYPE_H:
        break;
    }
    if (v == 0 && (f->type != REC_TYPE_B || s.len == 0)) {
        return 0;
    }
    *to = tag(*to, f);
    if (f->type == REC_TYPE_B) {
        *to = varint(*to, s.len);
        memcpy(*to, s.data, s.len);
        *to += s.len;
    } else if (f->type == REC_TYPE_H) {
        for (unsigned i = 0; i < 8; i++) {
            *(*to)++ = (uint8_t)(v >> (8 * i));
        }
    } else {
        *to = varint(*to, v);
    }
    return 0;
}

static int put_body(struct rec_encoder *e, const struct rec_shape *shape, const struct record *r)
{
    uint8_t body[BODY_ROOM];
    uint8_t *to = varint(body, r->kind);

    for (const struct rec_field *f = shape->fields; f < shape->fields + shape->count; f++) {
        int rc = rec_carries(shape, f) ? put_field(e, shape, f, r, &to) : 0;

        if (rc != 0) {
            return rc;
        }
    }
    return append(&e->payload, slice_of(body, (size_t)(to - body)), SLICE_EMPTY);
}

int rec_put(struct rec_encoder *e, const struct record *r)
{
    const struct rec_shape *shape = rec_shape(r->kind);
    struct rec_order order = e->order;
    size_t bytes = e->payload.len;
    uint64_t text = e->text;
    uint32_t strings = e->strings.count;
    int rc;

    if (!shape) {
        return POFR_EFORMAT;
    }
    if (e->records >= REC_RECORDS_MAX) {
        return POFR_ETOOBIG;
    }
    rc = rec_order_take(&e->order, shape, r);
    if (rc == 0) {
        rc = put_body(e, shape, r);
    }
    if (rc == 0 && e->text > REC_TEXTS_MAX) {
        rc = POFR_ETOOBIG;
    }
    if (rc != 0) {
        e->order = order;
        e->text = text;
        rec_strings_cut(&e->strings, strings);
        buf_truncate(&e->payload, bytes);
        return rc;
    }
    e->records++;
    e->counts[r->kind]++;
    return 0;
}
