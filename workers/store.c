/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ONE TRANSACTION
 *   1  compare-and-set of each slot's row, ascending: takes the locks, and finds out whether we are still the one
 *   2  per message: bundle -> apply; or set aside; or dropped (erased host)
 *   3  rows, ledger, hosts' states
 *   4  COMMIT
 * Texts get their ids between 2 and 3 on another connection, so nobody waits for us there.
 *
 * CACHE   What is known of a host stays in memory as long as the slot's row is as we left it: nobody else changes
 *         a host's rows without changing that row (ingest_offset.revision is for tools). After any failure it is dropped.
 *
 * DOUBT   The connection is lost during COMMIT. The row of a slot says whether it happened: it is read with a lock, which
 *         waits for the server to end the old transaction one way or the other.
 */
#include "workers/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/os/clock.h"
#include "common/os/stop_point.h"
#include "workers/db_class.h"
#include "workers/store_parts.h"

#define DAY_US          INT64_C(86400000000)
#define HOSTS_CACHED    50000u
#define STATEMENTS_KEPT 48u
#define OLDEST_EVERY_US (600 * CLOCK_US_PER_S)

int store_new(const struct store_options *o, struct store **out)
{
    struct store *s = calloc(1, sizeof(*s));

    if (!s) {
        return POFR_ENOMEM;
    }
    s->o = *o;
    changes_init(&s->changes, o->changes_max);
    changes_init(&s->w.taken, o->changes_max);
    hashmap_init(&s->hosts, 10000000, 0);
    arena_init(&s->w.arena, (size_t)4 * 1024 * 1024 * 1024);
    *out = s;
    return 0;
}

static bool drop_all(void *value, void *arg)
{
    (void)arg;
    store_host_free(value);
    return false;
}

static void forget_all(struct store *s)
{
    (void)hashmap_retain(&s->hosts, drop_all, NULL);
}

void store_disconnect(struct store *s)
{
    rows_free(s->w.rows);
    s->w.rows = NULL;
    bulk_free(s->w.ledger);
    s->w.ledger = NULL;
    bulk_free(s->aside);
    s->aside = NULL;
    store_host_statements_free(s->host_statements);
    s->host_statements = NULL;
    strings_free(s->strings);
    s->strings = NULL;
    db_close(s->db);
    db_close(s->aux);
    s->db = s->aux = NULL;
    forget_all(s);
}

void store_free(struct store *s)
{
    if (!s) {
        return;
    }
    store_disconnect(s);
    changes_free(&s->changes);
    changes_free(&s->w.taken);
    hashmap_free(&s->hosts);
    arena_free(&s->w.arena);
    free(s);
}

bool store_is_connected(const struct store *s)
{
    return s->db != NULL;
}

static int set_session(struct db *db, struct pofr_err *err)
{
    int code = db_script(db, slice_str("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"), err);

    return code ? code
                : db_script(
                      db,
                      slice_str(
                          "SET SESSION idle_transaction_timeout = 10, innodb_lock_wait_timeout = 5, autocommit = 1, "
                          "max_heap_table_size = 67108864"), /* keys of ending.h, a round trip of the widest */
                      err);
}

int store_connect(struct store *s, struct pofr_err *err)
{
    int code;

    if (s->db) {
        return 0;
    }
    code = db_connect(&s->o.address, &s->db, err);
    if (code == 0) {
        code = db_connect(&s->o.address, &s->aux, err);
    }
    if (code == 0) {
        code = db_keep_statements(s->db, STATEMENTS_KEPT);
    }
    if (code == 0) {
        code = db_keep_statements(s->aux, STATEMENTS_KEPT);
    }
    if (code == 0) {
        code = set_session(s->db, err);
    }
    if (code == 0) {
        code = set_session(s->aux, err);
    }
    if (code == 0) {
        code = strings_new(s->aux, s->o.strings_bytes, &s->strings);
    }
    if (code == 0) {
        code = rows_new(s->db, s->strings, &s->w.rows);
    }
    s->w.db = s->db;
    s->oldest_read_us = 0;
    if (code) {
        store_disconnect(s);
    }
    return code;
}

/* --- positions ------------------------------------------------------------------------------------------------ */

int store_read_position(struct store *s, unsigned slot, const char *sql, struct store_position *out,
                        struct pofr_err *err)
{
    struct db_value v = DB_V_U(slot);
    struct db_result *r = NULL;
    int code = db_run(s->db, sql, &v, 1, &r, err);

    if (code == 0 && db_rows(r) != 1) {
        code = pofr_err_set(err, POFR_ENOTFOUND, "slot %u is not assigned to this shard", slot);
    }
    if (code == 0) {
        struct slice digest = db_get(r, 0, 5);

        *out = (struct store_position){ .slot = slot };
        out->incarnation = (uint32_t)db_get_u64(r, 0, 0);
        out->generation = (uint32_t)db_get_u64(r, 0, 1);
        out->revision = (uint32_t)db_get_u64(r, 0, 2);
        out->owned = db_get_u64(r, 0, 3) != 0;
        out->next_offset = world_i64(r, 0, 4);
        if (digest.len == 32) {
            memcpy(out->before_digest, digest.data, 32);
        }
    }
    db_result_free(r);
    return code;
}

int store_begin(struct store *s, struct pofr_err *err)
{
    return db_run(s->db, "START TRANSACTION", NULL, 0, NULL, err);
}

/* Whatever it says: after it the transaction is over, or the connection is. */
void store_roll_back(struct store *s)
{
    struct pofr_err ignored;

    changes_reset(&s->changes);
    changes_reset(&s->w.taken);
    if (s->w.ledger) {
        bulk_reset(s->w.ledger);
    }
    if (s->aside) {
        bulk_reset(s->aside);
    }
    forget_all(s);
    if (s->db && db_run(s->db, "ROLLBACK", NULL, 0, NULL, &ignored) != 0) {
        store_disconnect(s);
    }
}

int store_load(struct store *s, unsigned slot, struct store_position *out, struct pofr_err *err)
{
    int code = store_begin(s, err);

    store_forget(s, slot);
    if (code == 0) {
        code = store_read_position(s, slot, STORE_POSITION " FOR UPDATE", out, err);
    }
    if (code == 0) {
        code = db_run(s->db, "COMMIT", NULL, 0, NULL, err);
    }
    if (code) {
        store_roll_back(s);
    }
    return code;
}

static bool keep_other_slot(void *value, void *arg)
{
    struct store_host *h = value;

    if (h->slot != *(unsigned *)arg) {
        return true;
    }
    store_host_free(h);
    return false;
}

void store_forget(struct store *s, unsigned slot)
{
    (void)hashmap_retain(&s->hosts, keep_other_slot, &slot);
}

/* The slot's row is where we thought, and becomes next. *out_same false: it is not. */
int store_move(struct store *s, const struct store_position *at, const struct store_position *next, bool *out_same,
               struct pofr_err *err)
{
    char now[32];
    struct db_value v[] = {
        DB_V_I(next->next_offset),
        DB_V_S(slice_of(next->before_digest, 32)),
        DB_V_U(next->incarnation),
        DB_V_C(s->o.worker),
        world_time(s->w.now_us, now),
        DB_V_U(at->slot),
        DB_V_U(at->incarnation),
        DB_V_U(at->generation),
        DB_V_U(at->revision),
        DB_V_I(at->next_offset),
        DB_V_S(slice_of(at->before_digest, 32)),
    };
    int code =
        db_run(s->db,
               "UPDATE ingest_offset SET next_offset = ?, before_digest = ?, incarnation = ?, worker = ?, updated = ? "
               "WHERE slot = ? AND incarnation = ? AND generation = ? AND revision = ? AND state = 'owned' AND "
               "next_offset = ? AND before_digest = ?",
               v, pofr_countof(v), NULL, err);

    *out_same = code == 0 && db_affected(s->db) == 1;
    return code;
}

/* --- hosts ------------------------------------------------------------------------------------------------------ */

int store_host_of(struct store *s, const struct keys_host *k, struct store_host **touched, struct store_host **out)
{
    struct store_host *h = hashmap_get(&s->hosts, k->host_id, NULL, NULL);

    if (!h) {
        int code = store_host_load(&s->w, k, &h);

        if (code == 0) {
            code = hashmap_insert(&s->hosts, k->host_id, h);
            if (code) {
                store_host_free(h);
            }
        }
        if (code) {
            return code;
        }
    }
    h->h.retired = k->state == KEYS_RETIRED;
    if (!h->touched) {
        h->touched = true;
        h->next_touched = *touched;
        *touched = h;
    }
    *out = h;
    return 0;
}

/* --- the transaction ------------------------------------------------------------------------------------------------ */

/* The oldest day that is kept is that of the first partition; what ended before it would be dropped with it. */
static int read_oldest(struct store *s, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code;

    if (s->oldest_read_us && s->w.now_us - s->oldest_read_us < OLDEST_EVERY_US) {
        return 0;
    }
    code = db_run(
        s->db,
        "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', CAST(REPLACE(PARTITION_DESCRIPTION, '''', '') AS DATETIME)), "
        "COUNT(*) OVER () FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'psinfo' "
        "AND PARTITION_NAME NOT IN ('future', 'open') ORDER BY PARTITION_ORDINAL_POSITION LIMIT 1",
        NULL, 0, &r, err);
    if (code == 0) {
        rows_set_oldest(s->w.rows, db_rows(r) == 1 ? world_i64(r, 0, 0) - DAY_US : 0);
        s->oldest_read_us = s->w.now_us;
    }
    db_result_free(r);
    return code;
}

int store_prepare(struct store *s, struct pofr_err *err)
{
    if (s->hosts.count > HOSTS_CACHED) {
        forget_all(s);
    }
    arena_reset(&s->w.arena);
    s->w.err = err;
    s->w.error = 0;
    s->w.now_us = clock_wall_us();
    s->w.received_us = s->w.now_us;
    s->w.keys_count = 0;
    strings_begin(s->strings, (int32_t)(s->w.now_us / DAY_US));
    return read_oldest(s, err);
}

static struct store_position after(const struct store_slot *slot)
{
    struct store_position next = slot->at;
    const struct store_item *last = slot->items[slot->count - 1];

    next.next_offset = last->message->offset + 1;
    memcpy(next.before_digest, last->digest, 32);
    return next;
}

enum store_outcome store_outcome_of(struct store *s, int code, struct store_report *report)
{
    unsigned error = s->w.error;

    if (error == 0 && s->db) {
        error = db_last_error(s->db);
    }
    if (error == 0 && s->aux) {
        error = db_last_error(s->aux);
    }
    report->error = error;
    if (pofr_err_class(code) == POFR_CLASS_FATAL) {
        return STORE_BROKEN;
    }
    if (error == 0 && pofr_err_class(code) == POFR_CLASS_RETRY) {
        return STORE_RETRY;
    }
    switch (db_class_of(error)) {
    case DB_CLASS_RETRY:
        return STORE_RETRY;
    case DB_CLASS_BROKEN:
        return STORE_BROKEN;
    case DB_CLASS_CONFLICT:
        report->conflict = true;
        return STORE_POISON;
    default:
        return STORE_POISON;
    }
}

/* Did a COMMIT whose answer was lost happen? Decided by the first slot: they moved together or not at all. */
static int resolve_doubt(struct store *s, const struct store_slot *slot, bool *out_committed, struct pofr_err *err)
{
    struct store_position want = after(slot), now;
    int code;

    store_disconnect(s);
    code = store_connect(s, err);
    if (code == 0) {
        code = store_load(s, slot->at.slot, &now, err);
    }
    if (code == 0) {
        *out_committed = now.incarnation == want.incarnation && now.generation == want.generation &&
                         now.next_offset >= want.next_offset;
    }
    return code;
}

static int change_all(struct store_batch_state *b, struct store_slot *slots, size_t count, bool *out_fenced,
                      struct pofr_err *err)
{
    struct store *s = b->s;
    int code = store_begin(s, err);

    *out_fenced = false;
    for (size_t i = 0; i < count && code == 0; i++) {
        struct store_position next = after(&slots[i]);
        bool same = false;

        code = store_move(s, &slots[i].at, &next, &same, err);
        if (code == 0 && !same) {
            *out_fenced = true;
            b->report->fenced = slots[i].at.slot;
            return 0;
        }
    }
    if (code == 0) {
        STOP_POINT("worker.after_cas");
    }
    for (size_t i = 0; i < count && code == 0; i++) {
        code = store_take_items(b, &slots[i]);
    }
    return code ? code : store_write_all(b);
}

void store_clear(struct store_report *report)
{
    int64_t *ages = report->ages;

    memset(report, 0, sizeof(*report));
    report->ages = ages;
}

enum store_outcome store_batch(struct store *s, struct store_slot *slots, size_t count, struct store_report *report,
                               bool *out_doubt, struct pofr_err *err)
{
    struct store_batch_state b = { .s = s, .report = report };
    bool fenced = false, committed = true;
    enum store_outcome outcome;
    int code;

    store_clear(report);
    *out_doubt = false;
    code = store_prepare(s, err);
    if (code == 0) {
        code = change_all(&b, slots, count, &fenced, err);
    }
    if (code || fenced) {
        outcome = fenced ? STORE_FENCED : store_outcome_of(s, code, report);
        store_roll_back(s);
        return outcome;
    }
    STOP_POINT("worker.before_commit");
    code = db_run(s->db, "COMMIT", NULL, 0, NULL, err);
    if (code) {
        outcome = store_outcome_of(s, code, report);
        code = resolve_doubt(s, &slots[0], &committed, err);
        *out_doubt = code != 0;
        if (code || !committed) {
            return outcome == STORE_POISON ? STORE_RETRY : outcome;
        }
    } else {
        store_untouch(&b);
        rows_figures(s->w.rows, &report->rows);
    }
    STOP_POINT("worker.after_commit");
    memcpy(report->keys, s->w.keys, sizeof(report->keys));
    report->keys_count = s->w.keys_count;
    for (size_t i = 0; i < count; i++) {
        slots[i].at = after(&slots[i]);
    }
    return STORE_COMMITTED;
}
