/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A transaction's messages: applied, set aside, or dropped; and all of it written. */
#include "workers/store_parts.h"

#include "workers/apply.h"
#include "workers/gaps.h"

static int put_aside(struct store_batch_state *b, const struct store_item *item, enum reason reason)
{
    static const enum bulk_type types[] = { BULK_U64,   BULK_U64,   BULK_I64,   BULK_U64, BULK_TIME,
                                            BULK_TIME,  BULK_BYTES, BULK_BYTES, BULK_U64, BULK_U64,
                                            BULK_BYTES, BULK_BYTES, BULK_BYTES };
    struct store *s = b->s;
    const struct message *m = item->message;
    const struct verdict *v = &item->verdict;
    size_t i = 0;

    if (!s->aside) {
        int code = bulk_new(
            s->db,
            "INSERT INTO set_aside (slot, incarnation, kafka_offset, host_id, received, noted, reason, detail, "
            "sequence, records, message_key, headers, message) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            types, pofr_countof(types), &s->aside, s->w.err);

        if (code) {
            return code;
        }
    }
    bulk_u64(s->aside, i++, m->slot);
    bulk_u64(s->aside, i++, m->incarnation);
    bulk_i64(s->aside, i++, m->offset);
    if (v->host_known) {
        bulk_u64(s->aside, i++, v->host.host_id);
    } else {
        bulk_null(s->aside, i++);
    }
    bulk_time(s->aside, i++, m->received_us);
    bulk_time(s->aside, i++, s->w.now_us);
    bulk_bytes(s->aside, i++, slice_str(reason_word(reason)));
    bulk_bytes(s->aside, i++, slice_str(v->detail));
    if (v->signed_by_host) {
        bulk_u64(s->aside, i++, v->view.statement.sequence);
        bulk_u64(s->aside, i++, statement_records(&v->view.statement));
    } else {
        bulk_null(s->aside, i++);
        bulk_null(s->aside, i++);
    }
    bulk_bytes(s->aside, i++, slice_sub(m->key, 0, 255));
    bulk_bytes(s->aside, i++, buf_slice(&m->headers));
    bulk_bytes(s->aside, i++, m->value);
    bulk_next(s->aside);
    b->report->aside[reason]++;
    return bulk_full(s->aside) ? bulk_run(s->aside, NULL, s->w.err) : 0;
}

static int write_aside(struct store *s)
{
    int code = s->aside ? bulk_run(s->aside, NULL, s->w.err) : 0;

    if (code) {
        s->w.error = bulk_error(s->aside);
    }
    return code;
}

static void count_applied(struct store *s, struct store_report *r, const struct apply_result *a,
                          const struct store_item *item)
{
    if (a->kind == PLACE_DUPLICATE) {
        r->duplicates += !a->again;
        return;
    }
    if (r->ages) {
        r->ages[r->ages_count++] = s->w.now_us - row_wall(&a->boot->row, item->verdict.view.statement.to_boot_us);
    }
    r->bundles++;
    r->records += item->decoded.count;
    r->unknown += item->decoded.unknown_kinds + item->decoded.unknown_fields;
    r->late += a->kind == PLACE_LATE;
    r->branches += a->branched;
    r->gaps += a->gaps;
    r->findings += a->findings;
    r->slow += a->slow;
    r->keyframes_equal += a->keyframes.equal;
    r->keyframes_compared += a->keyframes.compared;
    r->keyframes_wrong += a->keyframes.wrong;
}

int store_apply_item(struct store_batch_state *b, struct store_item *item)
{
    struct store *s = b->s;
    const struct message *m = item->message;
    const struct verdict *v = &item->verdict;
    struct bundle_meta meta = { .view = &v->view,
                                .received_us = m->received_us,
                                .slot = m->slot,
                                .incarnation = m->incarnation,
                                .kafka_offset = m->offset,
                                .bytes = m->value.len,
                                .replayed = m->replayed,
                                .peer = message_header(m, "pofr-peer") };
    struct store_host *h = NULL;
    struct apply_result result;
    int code = store_host_of(s, &v->host, &b->touched, &h);

    if (code) {
        return code;
    }
    if (m->has_boot && uuid_eq(&m->boot, &v->view.statement.boot)) {
        meta.has_offset = true;
        meta.offset_us = m->offset_us;
        meta.uncertainty_us = m->uncertainty_us;
    }
    s->w.received_us = m->received_us;
    code = apply_bundle(&s->w, &h->h, &s->changes, &meta, &item->decoded, &result);
    if (code) {
        return code;
    }
    count_applied(s, b->report, &result, item);
    if (result.kind != PLACE_DUPLICATE && !m->replayed &&
        item->decoded.unknown_kinds + item->decoded.unknown_fields > 0) {
        return put_aside(b, item, REASON_UNKNOWN_KIND);
    }
    return 0;
}

static int set_item_aside(struct store_batch_state *b, struct store_item *item)
{
    struct store *s = b->s;
    const struct verdict *v = &item->verdict;
    struct store_host *h = NULL;
    int code = put_aside(b, item, v->reason);

    if (code || !v->signed_by_host) {
        return code;
    }
    code = store_host_of(s, &v->host, &b->touched, &h);
    if (code == 0 && v->view.statement.sequence < h->h.max_sequence) { /* a gap row may count it as lost */
        code = write_aside(s);
        if (code == 0) {
            code = gaps_set_aside(&s->w, &h->h, v->view.statement.sequence);
        }
    }
    return code;
}

static int drop_item(struct store_batch_state *b, const struct store_item *item)
{
    struct db_value v = DB_V_S(slice_of(item->verdict.view.statement.host.b, 16));

    b->report->dropped++;
    return world_run(&b->s->w, "UPDATE tombstone SET dropped = dropped + 1 WHERE host_uuid = ?", &v, 1, NULL);
}

int store_take_items(struct store_batch_state *b, const struct store_slot *slot)
{
    int code = 0;

    for (size_t i = 0; i < slot->count && code == 0; i++) {
        struct store_item *item = slot->items[i];

        switch (item->verdict.kind) {
        case VERDICT_GOOD:
            code = store_apply_item(b, item);
            break;
        case VERDICT_DROP:
            code = drop_item(b, item);
            break;
        default:
            code = set_item_aside(b, item);
            break;
        }
    }
    return code;
}

int store_write_all(struct store_batch_state *b)
{
    struct store *s = b->s;
    int code = world_flush(&s->w, &s->changes);

    if (code == 0) {
        code = world_write_ledger(&s->w);
    }
    if (code == 0) {
        code = write_aside(s);
    }
    if (code == 0) {
        code = store_host_write(&s->w, &s->host_statements, b->touched);
    }
    return code;
}

void store_untouch(struct store_batch_state *b)
{
    while (b->touched) {
        struct store_host *next = b->touched->next_touched;

        b->touched->touched = false;
        b->touched->next_touched = NULL;
        b->touched = next;
    }
}
