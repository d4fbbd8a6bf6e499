/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What does not depend on bytes on the wire: canonical form, hash, comparison. */
#include "common/base/siphash.h"
#include "common/record/record_table.h"

static void append_role(const struct record *r, const struct rec_shape *shape, unsigned role, struct buf *out)
{
    for (const struct rec_field *f = shape->fields; f < shape->fields + shape->count; f++) {
        if (f->role != role) {
            continue;
        }
        if (f->type == REC_TYPE_T || f->type == REC_TYPE_B) {
            struct slice s = rec_get_slice(r, f);

            buf_u32le(out, (uint32_t)s.len);
            buf_append(out, s);
        } else {
            buf_u64le(out, rec_get_u64(r, f));
        }
    }
}

void rec_canonical(const struct record *r, unsigned what, struct buf *out)
{
    const struct rec_shape *shape = rec_shape(r->kind);

    if (!shape || shape->entity == 0) {
        return;
    }
    buf_u16le(out, shape->entity);
    if (what & REC_CANONICAL_ID) {
        append_role(r, shape, REC_ROLE_ID, out);
    }
    if (what & REC_CANONICAL_AT) {
        append_role(r, shape, REC_ROLE_AT, out);
    }
    if (what & REC_CANONICAL_FX) {
        append_role(r, shape, REC_ROLE_FX, out);
    }
    if (what & REC_CANONICAL_FIRST_SEEN) {
        buf_u64le(out, r->iv.first_seen);
    }
}

uint64_t rec_hash(const struct record *r, const uint8_t key[16], struct buf *scratch)
{
    buf_reset(scratch);
    rec_canonical(r, REC_CANONICAL_ID | REC_CANONICAL_AT, scratch);
    return siphash24(key, buf_slice(scratch));
}

static int compare_field(const struct record *a, const struct record *b, const struct rec_field *f)
{
    uint64_t x, y;

    if (f->type == REC_TYPE_T || f->type == REC_TYPE_B) {
        return slice_cmp(rec_get_slice(a, f), rec_get_slice(b, f));
    }
    x = rec_get_u64(a, f);
    y = rec_get_u64(b, f);
    if (f->type == REC_TYPE_S) { /* negative before positive */
        x ^= UINT64_C(1) << 63;
        y ^= UINT64_C(1) << 63;
    }
    return (x > y) - (x < y);
}

/* The first difference among the fields of a role, else 0. */
static int compare_role(const struct record *a, const struct record *b, const struct rec_shape *shape, unsigned role)
{
    for (const struct rec_field *f = shape->fields; f < shape->fields + shape->count; f++) {
        int c = f->role == role ? compare_field(a, b, f) : 0;

        if (c != 0) {
            return c;
        }
    }
    return 0;
}

int rec_compare_id(const struct record *a, const struct record *b)
{
    const struct rec_shape *sa = rec_shape(a->kind), *sb = rec_shape(b->kind);
    unsigned ea = sa ? sa->entity : 0, eb = sb ? sb->entity : 0;

    if (ea != eb) {
        return (ea > eb) - (ea < eb);
    }
    return ea != 0 ? compare_role(a, b, sa, REC_ROLE_ID) : 0;
}

uint64_t rec_text(const struct record *r)
{
    const struct rec_shape *shape = rec_shape(r->kind);
    uint64_t sum = 0;

    for (const struct rec_field *f = shape ? shape->fields : NULL; shape && f < shape->fields + shape->count; f++) {
        sum += f->type == REC_TYPE_T ? rec_get_slice(r, f).len : 0;
    }
    return sum;
}

bool rec_same_attributes(const struct record *a, const struct record *b)
{
    const struct rec_shape *sa = rec_shape(a->kind), *sb = rec_shape(b->kind);

    return sa && sb && sa->entity != 0 && sa->entity == sb->entity && compare_role(a, b, sa, REC_ROLE_AT) == 0;
}
