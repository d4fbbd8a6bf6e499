/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host's own rows: host, host_state, boot, open_state. Read once, then kept in memory while the slot's offset is ours. */
#include "workers/store_parts.h"

#include <stdlib.h>
#include <string.h>

#define BOOTS_MAX 4096u

struct store_host_statements {
    struct bulk *state, *boot, *open;
};

void store_host_free(struct store_host *h)
{
    if (!h) {
        return;
    }
    while (h->h.boots) {
        struct host_boot *next = h->h.boots->next;

        free(h->h.boots);
        h->h.boots = next;
    }
    free(h);
}

static void get_bytes(const struct db_result *r, size_t row, size_t column, void *to, size_t n)
{
    struct slice s = db_get(r, row, column);

    if (s.len == n) {
        memcpy(to, s.data, n);
    }
}

#define AS_US(column) "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', " column ")"

static int load_state(struct world *w, struct host *h)
{
    struct db_value id = DB_V_U(h->host_id);
    struct db_result *r = NULL;
    int code = world_run(
        w,
        "SELECT newest_sequence, newest_digest, newest_run, newest_boot, boots, " AS_US("last_tick") ", " AS_US(
            "last_bundle") ", " AS_US("complete_to") ", records, records_total, lost_total, bundles, "
                                                     "recorder FROM host_state WHERE host_id = ?",
        &id, 1, &r);

    if (code == 0 && db_rows(r) == 1) {
        struct slice recorder = db_get(r, 0, 12);

        h->stored = true;
        h->newest_sequence = db_get_u64(r, 0, 0);
        get_bytes(r, 0, 1, h->newest_digest, 32);
        get_bytes(r, 0, 2, h->newest_run, 16);
        h->newest_boot = (uint32_t)db_get_u64(r, 0, 3);
        h->boots_given = (uint32_t)db_get_u64(r, 0, 4);
        h->last_tick_us = world_i64(r, 0, 5);
        h->last_bundle_us = world_i64(r, 0, 6);
        h->complete_to_us = world_i64(r, 0, 7);
        h->records = db_get_u64(r, 0, 8);
        h->records_total = db_get_u64(r, 0, 9);
        h->lost_total = db_get_u64(r, 0, 10);
        h->bundles = db_get_u64(r, 0, 11);
        memcpy(h->recorder, recorder.data, recorder.len < sizeof(h->recorder) ? recorder.len : 0);
    }
    db_result_free(r);
    return code;
}

static int take_boot(struct world *w, struct host *h, const struct db_result *r, size_t i)
{
    struct host_boot *b = NULL;
    int code = world_new_boot(w, &b);

    if (code) {
        return code;
    }
    b->stored = true;
    b->row.host_id = h->host_id;
    b->row.number = (uint32_t)db_get_u64(r, i, 0);
    get_bytes(r, i, 1, b->boot_id.b, 16);
    b->branch = (uint32_t)db_get_u64(r, i, 2);
    b->row.anchor_us = world_i64(r, i, 3);
    b->gateway_anchor = db_get_u64(r, i, 4) == 1;
    b->uncertainty_us = db_get_u64(r, i, 5);
    b->host_anchor_us = world_i64(r, i, 6);
    b->first_sequence = db_get_u64(r, i, 7);
    get_bytes(r, i, 8, b->first_digest, 32);
    b->tip_sequence = db_get_u64(r, i, 9);
    get_bytes(r, i, 10, b->tip_digest, 32);
    get_bytes(r, i, 11, b->tip_run, 16);
    b->has_key = db_get(r, i, 12).len == 16;
    get_bytes(r, i, 12, b->hash_key, 16);
    b->last_tick_us = db_get_u64(r, i, 13);
    b->drift_us = world_i64(r, i, 14);
    b->closed = (enum boot_closed)(db_get_u64(r, i, 15) - 1);
    b->resumed_us = db_get_u64(r, i, 16);
    for (int g = 0; g < GROUP_END; g++) {
        b->groups[g].compared_day = -1;
    }
    if (b->tip_sequence > h->max_sequence) {
        h->max_sequence = b->tip_sequence;
    }
    b->next = h->boots;
    h->boots = b;
    return 0;
}

static int load_boots(struct world *w, struct host *h)
{
    struct db_value id = DB_V_U(h->host_id);
    struct db_result *r = NULL;
    int code =
        world_run(w,
                  "SELECT boot, boot_id, branch, anchor_us, anchor_source + 0, anchor_uncertainty_us, host_anchor_us, "
                  "first_sequence, first_digest, tip_sequence, tip_digest, tip_run, IF(has_key, hash_key, ''), "
                  "last_tick_us, drift_us, closed + 0, resumed_us FROM (SELECT * FROM boot WHERE host_id = ? ORDER BY "
                  "boot DESC LIMIT 4096) newest ORDER BY boot",
                  &id, 1, &r);

    for (size_t i = 0; code == 0 && i < db_rows(r); i++) {
        code = take_boot(w, h, r, i); /* the newest comes to the front */
    }
    db_result_free(r);
    return code;
}

static int load_groups(struct world *w, struct host *h)
{
    struct db_value id = DB_V_U(h->host_id);
    struct db_result *r = NULL;
    int code = world_run(
        w,
        "SELECT boot, group_id, open_count, digest, keyframe_us, clean, parts_us, parts_low, parts_low_cookie, "
        "COALESCE(TO_DAYS(compared) - TO_DAYS('1970-01-01'), -1) FROM open_state WHERE host_id = ?",
        &id, 1, &r);

    for (size_t i = 0; code == 0 && i < db_rows(r); i++) {
        uint64_t number = db_get_u64(r, i, 0), group = db_get_u64(r, i, 1);

        for (struct host_boot *b = h->boots; b && group < GROUP_END; b = b->next) {
            struct group_state *s = &b->groups[group];

            if (b->row.number != number) {
                continue;
            }
            s->count = db_get_u64(r, i, 2);
            s->digest = db_get_u64(r, i, 3);
            s->keyframe_us = db_get_u64(r, i, 4);
            s->clean = db_get_u64(r, i, 5) != 0;
            s->parts_us = db_get_u64(r, i, 6);
            s->parts_low = db_get_u64(r, i, 7);
            s->parts_low_cookie = db_get_u64(r, i, 8);
            s->compared_day = (int32_t)world_i64(r, i, 9);
        }
    }
    db_result_free(r);
    return code;
}

static const char *state_word(enum keys_state s)
{
    static const char *const words[] = { "", "pending", "active", "retired", "erased" };

    return words[s];
}

/* The shard's own copy of what the catalog says of the host. */
static int note_host(struct world *w, const struct keys_host *k)
{
    char enrolled[32];
    struct db_value v[] = { DB_V_U(k->host_id),
                            DB_V_S(slice_of(k->uuid.b, 16)),
                            DB_V_C(k->host),
                            DB_V_C(k->host_group),
                            DB_V_C(state_word(k->state)),
                            DB_V_U(k->slot),
                            world_time(k->enrolled_us, enrolled) };

    return world_run(
        w,
        "INSERT INTO host (host_id, host_uuid, host, host_group, state, slot, enrolled) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON DUPLICATE KEY UPDATE host = VALUES(host), host_group = VALUES(host_group)",
        v, pofr_countof(v), NULL);
}

int store_host_load(struct world *w, const struct keys_host *k, struct store_host **out)
{
    struct store_host *h = calloc(1, sizeof(*h));
    int code = h ? 0 : pofr_err_set(w->err, POFR_ENOMEM, "host");

    if (code) {
        return code;
    }
    h->h.host_id = k->host_id;
    h->h.uuid = k->uuid;
    h->h.retired = k->state == KEYS_RETIRED;
    h->slot = k->slot;
    code = note_host(w, k);
    if (code == 0) {
        code = load_state(w, &h->h);
    }
    if (code == 0 && h->h.stored) {
        code = load_boots(w, &h->h);
        if (code == 0) {
            code = load_groups(w, &h->h);
        }
    }
    if (code) {
        store_host_free(h);
        return code;
    }
    *out = h;
    return 0;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static int put_state(struct world *w, struct store_host_statements *s, const struct host *h)
{
    static const enum bulk_type types[] = {
        BULK_U64,  BULK_U64,  BULK_BYTES, BULK_BYTES, BULK_U64, BULK_U64, BULK_TIME,
        BULK_TIME, BULK_TIME, BULK_U64,   BULK_U64,   BULK_U64, BULK_U64, BULK_BYTES
    };
    size_t i = 0;

    if (!s->state) {
        int code = bulk_new(
            w->db,
            "INSERT INTO host_state (host_id, newest_sequence, newest_digest, newest_run, newest_boot, boots, "
            "last_tick, last_bundle, complete_to, records, records_total, lost_total, bundles, recorder) VALUES "
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE newest_sequence = "
            "VALUES(newest_sequence), newest_digest = VALUES(newest_digest), newest_run = VALUES(newest_run), "
            "newest_boot = VALUES(newest_boot), boots = VALUES(boots), last_tick = VALUES(last_tick), "
            "last_bundle = VALUES(last_bundle), complete_to = VALUES(complete_to), records = VALUES(records), "
            "records_total = VALUES(records_total), lost_total = VALUES(lost_total), bundles = VALUES(bundles), "
            "recorder = VALUES(recorder)",
            types, pofr_countof(types), &s->state, w->err);

        if (code) {
            return code;
        }
    }
    bulk_u64(s->state, i++, h->host_id);
    bulk_u64(s->state, i++, h->newest_sequence);
    bulk_bytes(s->state, i++, slice_of(h->newest_digest, 32));
    bulk_bytes(s->state, i++, slice_of(h->newest_run, 16));
    bulk_u64(s->state, i++, h->newest_boot);
    bulk_u64(s->state, i++, h->boots_given);
    bulk_time(s->state, i++, h->last_tick_us);
    bulk_time(s->state, i++, h->last_bundle_us);
    bulk_time(s->state, i++, h->complete_to_us);
    bulk_u64(s->state, i++, h->records);
    bulk_u64(s->state, i++, h->records_total);
    bulk_u64(s->state, i++, h->lost_total);
    bulk_u64(s->state, i++, h->bundles);
    bulk_bytes(s->state, i++, slice_str(h->recorder));
    bulk_next(s->state);
    return bulk_full(s->state) ? bulk_run(s->state, NULL, w->err) : 0;
}

static int put_boot(struct world *w, struct store_host_statements *s, const struct host_boot *b)
{
    static const enum bulk_type types[] = { BULK_U64, BULK_U64,   BULK_BYTES, BULK_U64, BULK_I64,
                                            BULK_U64, BULK_U64,   BULK_I64,   BULK_U64, BULK_BYTES,
                                            BULK_U64, BULK_BYTES, BULK_BYTES, BULK_U64, BULK_BYTES,
                                            BULK_U64, BULK_TIME,  BULK_I64,   BULK_U64, BULK_U64 };
    size_t i = 0;

    if (!s->boot) {
        int code = bulk_new(
            w->db,
            "INSERT INTO boot (host_id, boot, boot_id, branch, anchor_us, anchor_source, anchor_uncertainty_us, "
            "host_anchor_us, first_sequence, first_digest, tip_sequence, tip_digest, tip_run, has_key, hash_key, "
            "last_tick_us, last_tick, drift_us, closed, resumed_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
            "?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE first_sequence = VALUES(first_sequence), first_digest = "
            "VALUES(first_digest), tip_sequence = VALUES(tip_sequence), tip_digest = VALUES(tip_digest), tip_run "
            "= VALUES(tip_run), has_key = VALUES(has_key), hash_key = VALUES(hash_key), last_tick_us = "
            "VALUES(last_tick_us), last_tick = VALUES(last_tick), drift_us = VALUES(drift_us), closed = "
            "VALUES(closed), resumed_us = VALUES(resumed_us)",
            types, pofr_countof(types), &s->boot, w->err);

        if (code) {
            return code;
        }
    }
    bulk_u64(s->boot, i++, b->row.host_id);
    bulk_u64(s->boot, i++, b->row.number);
    bulk_bytes(s->boot, i++, slice_of(b->boot_id.b, 16));
    bulk_u64(s->boot, i++, b->branch);
    bulk_i64(s->boot, i++, b->row.anchor_us);
    bulk_u64(s->boot, i++, b->gateway_anchor ? 1 : 2);
    bulk_u64(s->boot, i++, b->uncertainty_us);
    bulk_i64(s->boot, i++, b->host_anchor_us);
    bulk_u64(s->boot, i++, b->first_sequence);
    bulk_bytes(s->boot, i++, slice_of(b->first_digest, 32));
    bulk_u64(s->boot, i++, b->tip_sequence);
    bulk_bytes(s->boot, i++, slice_of(b->tip_digest, 32));
    bulk_bytes(s->boot, i++, slice_of(b->tip_run, 16));
    bulk_u64(s->boot, i++, b->has_key);
    bulk_bytes(s->boot, i++, slice_of(b->hash_key, 16));
    bulk_u64(s->boot, i++, b->last_tick_us);
    bulk_time(s->boot, i++, row_wall(&b->row, b->last_tick_us));
    bulk_i64(s->boot, i++, b->drift_us);
    bulk_u64(s->boot, i++, b->closed + 1U);
    bulk_u64(s->boot, i++, b->resumed_us);
    bulk_next(s->boot);
    return bulk_full(s->boot) ? bulk_run(s->boot, NULL, w->err) : 0;
}

static int put_groups(struct world *w, struct store_host_statements *s, const struct host_boot *b)
{
    static const enum bulk_type types[] = { BULK_U64, BULK_U64, BULK_U64, BULK_U64, BULK_U64, BULK_U64,
                                            BULK_U64, BULK_U64, BULK_U64, BULK_U64, BULK_TIME };
    int code = 0;

    if (!s->open) {
        code = bulk_new(
            w->db,
            "INSERT INTO open_state (host_id, boot, group_id, open_count, digest, keyframe_us, clean, parts_us, "
            "parts_low, parts_low_cookie, compared) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE "
            "open_count = VALUES(open_count), digest = VALUES(digest), keyframe_us = VALUES(keyframe_us), clean = "
            "VALUES(clean), parts_us = VALUES(parts_us), parts_low = VALUES(parts_low), parts_low_cookie = "
            "VALUES(parts_low_cookie), compared = VALUES(compared)",
            types, pofr_countof(types), &s->open, w->err);
    }
    for (int g = GROUP_PROCESS; g < GROUP_END && code == 0; g++) {
        const struct group_state *state = &b->groups[g];
        size_t i = 0;

        bulk_u64(s->open, i++, b->row.host_id);
        bulk_u64(s->open, i++, b->row.number);
        bulk_u64(s->open, i++, (uint64_t)g);
        bulk_u64(s->open, i++, state->count);
        bulk_u64(s->open, i++, state->digest);
        bulk_u64(s->open, i++, state->keyframe_us);
        bulk_u64(s->open, i++, state->clean);
        bulk_u64(s->open, i++, state->parts_us);
        bulk_u64(s->open, i++, state->parts_low);
        bulk_u64(s->open, i++, state->parts_low_cookie);
        if (state->compared_day >= 0) {
            bulk_time(s->open, i++, (int64_t)state->compared_day * INT64_C(86400000000));
        } else {
            bulk_null(s->open, i++);
        }
        bulk_next(s->open);
        if (bulk_full(s->open)) {
            code = bulk_run(s->open, NULL, w->err);
        }
    }
    return code;
}

/* After an error nothing may be left in the arrays for the next transaction. */
static int run_all(struct world *w, struct store_host_statements *s, int code)
{
    struct bulk *const list[] = { s->state, s->boot, s->open };

    for (size_t i = 0; i < pofr_countof(list); i++) {
        if (!list[i]) {
            continue;
        }
        if (code == 0) {
            code = bulk_run(list[i], NULL, w->err);
            w->error = bulk_error(list[i]);
        } else {
            bulk_reset(list[i]);
        }
    }
    return code;
}

int store_host_write(struct world *w, struct store_host_statements **statements, struct store_host *first)
{
    int code = 0;

    if (!*statements) {
        *statements = calloc(1, sizeof(**statements));
        if (!*statements) {
            return pofr_err_set(w->err, POFR_ENOMEM, "statements");
        }
    }
    for (struct store_host *h = first; h && code == 0; h = h->next_touched) {
        if (h->h.changed) {
            code = put_state(w, *statements, &h->h);
        }
        for (struct host_boot *b = h->h.boots; b && code == 0; b = b->next) {
            if (b->changed || !b->stored) {
                code = put_boot(w, *statements, b);
                if (code == 0) {
                    code = put_groups(w, *statements, b);
                }
                b->changed = false;
                b->stored = true;
            }
        }
        h->h.changed = false;
        h->h.stored = true;
    }
    return run_all(w, *statements, code);
}

void store_host_statements_free(struct store_host_statements *s)
{
    if (s) {
        bulk_free(s->state);
        bulk_free(s->boot);
        bulk_free(s->open);
        free(s);
    }
}
