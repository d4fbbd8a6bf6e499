/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/record/record_pack.h"

#include <assert.h>

#include "common/base/cursor.h"
#include "common/record/record_table.h"

void rec_pack(const struct record *r, struct buf *out)
{
    const struct rec_shape *shape = rec_shape(REC_KIND(r->kind / 4, REC_SIGHT));

    assert(shape && shape->entity != 0);
    buf_varint(out, shape->entity);
    for (const struct rec_field *f = shape->fields; f < shape->fields + shape->count; f++) {
        if (!rec_carries(shape, f)) {
            continue;
        }
        if (f->type == REC_TYPE_T || f->type == REC_TYPE_B) {
            struct slice s = rec_get_slice(r, f);

            if (s.len > 0) {
                buf_u8(out, f->number);
                buf_varbytes(out, s);
            }
        } else if (rec_get_u64(r, f) != 0) {
            buf_u8(out, f->number);
            buf_varint(out, rec_get_u64(r, f));
        }
    }
}

void rec_unpack(struct slice bytes, struct record *out)
{
    struct cursor c = cursor_of(bytes);
    uint32_t entity = (uint32_t)cursor_varint(&c);
    const struct rec_shape *shape = rec_shape(REC_KIND(entity, REC_SIGHT));
    const struct rec_field *f = shape->fields;

    memset(out, 0, sizeof(*out));
    out->kind = REC_KIND(entity, REC_SIGHT);
    out->entity = shape->entity;
    out->verb = shape->verb;
    while (cursor_left(&c) > 0 && c.err == 0) {
        uint8_t number = cursor_u8(&c);

        while (f->number < number) {
            f++;
        }
        if (f->type == REC_TYPE_T || f->type == REC_TYPE_B) {
            rec_set_slice(out, f, cursor_varbytes(&c, SIZE_MAX));
        } else {
            rec_set_u64(out, f, cursor_varint(&c));
        }
    }
    assert(c.err == 0);
}
