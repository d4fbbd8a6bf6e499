/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/record/record_table.h"

static void print_text(struct slice s, struct buf *out)
{
    buf_str(out, "\"");
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];

        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
            buf_printf(out, "\\x%02x", c);
        } else {
            buf_u8(out, c);
        }
    }
    buf_str(out, "\"");
}

static void print_bytes(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        buf_printf(out, "%02x", s.data[i]);
    }
}

static bool is_default(const struct record *r, const struct rec_field *f)
{
    if (f->type == REC_TYPE_T || f->type == REC_TYPE_B) {
        return rec_get_slice(r, f).len == 0;
    }
    return f->type != REC_TYPE_A && rec_get_u64(r, f) == 0;
}

static void print_value(const struct record *r, const struct rec_field *f, struct buf *out)
{
    switch ((enum rec_type)f->type) {
    case REC_TYPE_U:
    case REC_TYPE_A:
        buf_printf(out, "%llu", (unsigned long long)rec_get_u64(r, f));
        break;
    case REC_TYPE_S:
        buf_printf(out, "%lld", (long long)rec_get_u64(r, f));
        break;
    case REC_TYPE_H:
        buf_printf(out, "%016llx", (unsigned long long)rec_get_u64(r, f));
        break;
    case REC_TYPE_T:
        print_text(rec_get_slice(r, f), out);
        break;
    case REC_TYPE_B:
        print_bytes(rec_get_slice(r, f), out);
        break;
    }
}

void rec_print(const struct record *r, struct buf *out)
{
    const struct rec_shape *shape = rec_shape(r->kind);

    if (!shape) {
        buf_printf(out, "unknown kind=%u", r->kind);
        return;
    }
    buf_str(out, shape->name);
    for (const struct rec_field *f = shape->fields; f < shape->fields + shape->count; f++) {
        if (rec_carries(shape, f) && !is_default(r, f)) {
            buf_printf(out, " %s=", f->name);
            print_value(r, f, out);
        }
    }
    if (r->unknown_fields > 0) {
        buf_printf(out, " unknown_fields=%u", r->unknown_fields);
    }
}
