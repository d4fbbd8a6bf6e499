/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a worker does on a shard besides storing: new incarnations, skipped offsets, replay, relay, hosts' names. */
#include "workers/store_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/os/clock.h"
#include "workers/apply.h"

/* --- the log is not the one we knew ---------------------------------------------------------------------------- */

static int put_slot_gap(struct store *s, const struct store_position *at, int64_t to, const char *kind)
{
    char now[32];
    struct db_value v[] = { DB_V_U(at->slot), DB_V_U(at->incarnation),     DB_V_I(at->next_offset), DB_V_I(to),
                            DB_V_C(kind),     world_time(s->w.now_us, now) };

    return world_run(
        &s->w,
        "INSERT INTO slot_gap (slot, incarnation, from_offset, to_offset, kind, noted) VALUES (?, ?, ?, ?, ?, ?) "
        "ON DUPLICATE KEY UPDATE to_offset = VALUES(to_offset), noted = VALUES(noted)",
        v, pofr_countof(v), NULL);
}

/* The slot goes on at next, with a row that says what was passed over. POFR_EBUSY: it is not where we thought. */
static int jump(struct store *s, const struct store_position *at, struct store_position *next, const char *kind,
                struct pofr_err *err)
{
    bool same = false;
    int code = store_prepare(s, err);

    if (code == 0) {
        code = store_begin(s, err);
    }
    if (code == 0) {
        code = store_move(s, at, next, &same, err);
    }
    if (code == 0 && !same) {
        code = pofr_err_set(err, POFR_EBUSY, "slot %u has moved", at->slot);
    }
    if (code == 0) {
        code = put_slot_gap(s, at, next->next_offset, kind);
    }
    if (code == 0) {
        code = db_run(s->db, "COMMIT", NULL, 0, NULL, err);
    }
    if (code) {
        store_roll_back(s);
    }
    return code;
}

int store_reincarnate(struct store *s, const struct store_position *at, int64_t low, struct store_position *out,
                      struct pofr_err *err)
{
    struct store_position next = *at;
    int code;

    next.incarnation++;
    next.next_offset = low;
    memset(next.before_digest, 0, sizeof(next.before_digest));
    code = jump(s, at, &next, "incarnation", err);
    if (code == 0) {
        *out = next;
    }
    return code;
}

int store_skip(struct store *s, const struct store_position *at, int64_t low, struct store_position *out,
               struct pofr_err *err)
{
    struct store_position next = *at;
    int code;

    next.next_offset = low;
    memset(next.before_digest, 0, sizeof(next.before_digest)); /* what was before it is gone: nothing to compare */
    code = jump(s, at, &next, "retention", err);
    if (code == 0) {
        *out = next;
    }
    return code;
}

/* --- messages that were set aside ---------------------------------------------------------------------------------- */

static void release(void *owner)
{
    db_result_free(owner);
}

static void take_headers(struct message *m, struct slice headers)
{
    struct slice name, value;
    size_t at = 0;

    while (message_next_header(headers, &at, &name, &value)) {
        message_put_header(m, name, value);
    }
}

#define ASIDE_COLUMNS                                                                                                  \
    "slot, incarnation, kafka_offset, message_key, headers, message, COALESCE(TIMESTAMPDIFF(MICROSECOND, "             \
    "'1970-01-01', received), 0), reason"

/* The first row; takes r. */
static int take_message(struct db_result *r, struct message **out)
{
    struct message *m = NULL;
    int code = message_new(&m);

    if (code) {
        db_result_free(r);
        return code;
    }
    m->owner = r;
    m->release = release;
    m->slot = (unsigned)db_get_u64(r, 0, 0);
    m->incarnation = (uint32_t)db_get_u64(r, 0, 1);
    m->offset = world_i64(r, 0, 2);
    m->key = db_get(r, 0, 3);
    take_headers(m, db_get(r, 0, 4));
    m->value = db_get(r, 0, 5);
    m->received_us = world_i64(r, 0, 6);
    m->appended_us = m->received_us;
    m->replayed = true;
    *out = m;
    return 0;
}

int store_requested(struct store *s, const struct store_position *at, struct message **out, struct pofr_err *err)
{
    struct db_value v = DB_V_U(at->slot);
    struct db_result *r = NULL;
    int code =
        db_run(s->db,
               "SELECT " ASIDE_COLUMNS " FROM set_aside WHERE slot = ? AND requested IS NOT NULL AND replayed IS NULL "
               "ORDER BY incarnation, kafka_offset LIMIT 1",
               &v, 1, &r, err);

    *out = NULL;
    if (code == 0 && db_rows(r) == 1) {
        return take_message(r, out);
    }
    db_result_free(r);
    return code;
}

static int mark_replayed(struct store *s, const struct message *m, const struct verdict *v)
{
    char now[32];
    bool good = v->kind == VERDICT_GOOD || v->kind == VERDICT_DROP;
    struct db_value done[] = { world_time(s->w.now_us, now), DB_V_U(m->slot), DB_V_U(m->incarnation),
                               DB_V_I(m->offset) };
    struct db_value again[] = { DB_V_C(reason_word(v->reason)), DB_V_C(v->detail), DB_V_U(m->slot),
                                DB_V_U(m->incarnation), DB_V_I(m->offset) };

    return good
               ? world_run(&s->w,
                           "UPDATE set_aside SET replayed = ?, requested = NULL WHERE slot = ? AND incarnation = ? AND "
                           "kafka_offset = ?",
                           done, pofr_countof(done), NULL)
               : world_run(
                     &s->w,
                     "UPDATE set_aside SET requested = NULL, reason = ?, detail = ? WHERE slot = ? AND incarnation = ? "
                     "AND kafka_offset = ?",
                     again, pofr_countof(again), NULL);
}

/* Stored, and not all of it was understood: it is kept for a newer worker, whatever it had been set aside for. */
static int keep_unknown(struct store *s, const struct message *m)
{
    struct db_value v[] = { DB_V_C(reason_word(REASON_UNKNOWN_KIND)), DB_V_U(m->slot), DB_V_U(m->incarnation),
                            DB_V_I(m->offset) };

    return world_run(
        &s->w,
        "UPDATE set_aside SET replayed = NULL, reason = ?, detail = '' WHERE slot = ? AND incarnation = ? AND "
        "kafka_offset = ?",
        v, pofr_countof(v), NULL);
}

static bool same_position(const struct store_position *a, const struct store_position *b)
{
    return a->incarnation == b->incarnation && a->generation == b->generation && a->revision == b->revision &&
           a->owned && b->owned && a->next_offset == b->next_offset &&
           memcmp(a->before_digest, b->before_digest, 32) == 0;
}

/* The slot's row is locked and not changed: the message is stored as a late one, and its row says so, or neither. */
static int replay(struct store_batch_state *b, struct store_slot *slot, bool *out_fenced, struct pofr_err *err)
{
    struct store *s = b->s;
    struct store_item *item = slot->items[0];
    struct store_position now;
    int code = store_begin(s, err);

    if (code == 0) {
        code = store_read_position(s, slot->at.slot, STORE_POSITION " FOR UPDATE", &now, err);
    }
    if (code == 0 && !same_position(&now, &slot->at)) {
        *out_fenced = true;
        b->report->fenced = slot->at.slot;
        return 0;
    }
    if (code == 0) {
        code = mark_replayed(s, item->message, &item->verdict); /* first: it is no longer counted as set aside */
    }
    if (code == 0 && item->verdict.kind == VERDICT_GOOD) {
        code = store_apply_item(b, item);
        if (code == 0 && item->decoded.unknown_kinds + item->decoded.unknown_fields > 0) {
            code = keep_unknown(s, item->message);
        }
    }
    return code ? code : store_write_all(b);
}

enum store_outcome store_replay(struct store *s, struct store_slot *slot, struct store_report *report,
                                struct pofr_err *err)
{
    struct store_batch_state b = { .s = s, .report = report };
    bool fenced = false;
    enum store_outcome outcome;
    int code;

    store_clear(report);
    code = store_prepare(s, err);
    if (code == 0) {
        code = replay(&b, slot, &fenced, err);
    }
    if (code == 0 && !fenced) {
        code = db_run(s->db, "COMMIT", NULL, 0, NULL, err); /* in doubt: the row says whether it is to be done again */
    }
    if (code || fenced) {
        outcome = fenced ? STORE_FENCED : store_outcome_of(s, code, report);
        store_roll_back(s);
        return outcome;
    }
    store_untouch(&b);
    rows_figures(s->w.rows, &report->rows);
    memcpy(report->keys, s->w.keys, sizeof(report->keys));
    report->keys_count = s->w.keys_count;
    return STORE_COMMITTED;
}

int store_rounds(struct store *s, bool *slots, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(s->db,
                      "SELECT DISTINCT slot FROM set_aside WHERE requested IS NOT NULL AND replayed IS NULL "
                      "UNION SELECT DISTINCT slot FROM set_aside WHERE relayed = 0",
                      NULL, 0, &r, err);

    for (size_t i = 0; code == 0 && i < db_rows(r); i++) {
        uint64_t slot = db_get_u64(r, i, 0);

        if (slot < KEYS_SLOTS_MAX) {
            slots[slot] = true;
        }
    }
    db_result_free(r);
    return code;
}

int store_unrelayed(struct store *s, unsigned slot, size_t max, struct store_aside **out, struct pofr_err *err)
{
    struct db_value v = DB_V_U(slot);
    struct db_result *list = NULL;
    struct store_aside **end = out;
    int code = db_run(s->db,
                      "SELECT incarnation, kafka_offset FROM set_aside WHERE slot = ? AND relayed = 0 ORDER BY "
                      "incarnation, kafka_offset LIMIT 64",
                      &v, 1, &list, err);

    *out = NULL;
    for (size_t i = 0; code == 0 && i < db_rows(list) && i < max; i++) { /* one by one: a message may have megabytes */
        struct db_value key[] = { DB_V_U(slot), DB_V_U(db_get_u64(list, i, 0)), DB_V_I(world_i64(list, i, 1)) };
        struct store_aside *a = NULL;
        struct db_result *r = NULL;

        code = db_run(s->db,
                      "SELECT " ASIDE_COLUMNS " FROM set_aside WHERE slot = ? AND incarnation = ? AND kafka_offset = ?",
                      key, 3, &r, err);
        if (code || db_rows(r) != 1) {
            db_result_free(r);
            continue;
        }
        a = calloc(1, sizeof(*a));
        if (!a) {
            db_result_free(r);
            code = pofr_err_set(err, POFR_ENOMEM, "messages to relay");
            break;
        }
        snprintf(a->reason, sizeof(a->reason), "%.*s", SLICE_FMT(db_get(r, 0, 7)));
        code = take_message(r, &a->message);
        *end = a;
        end = &a->next;
    }
    db_result_free(list);
    if (code) {
        store_aside_free(*out);
        *out = NULL;
    }
    return code;
}

void store_aside_free(struct store_aside *list)
{
    while (list) {
        struct store_aside *next = list->next;

        message_free(list->message);
        free(list);
        list = next;
    }
}

int store_mark_relayed(struct store *s, const struct message *m, struct pofr_err *err)
{
    struct db_value v[] = { DB_V_U(m->slot), DB_V_U(m->incarnation), DB_V_I(m->offset) };

    return db_run(s->db, "UPDATE set_aside SET relayed = 1 WHERE slot = ? AND incarnation = ? AND kafka_offset = ?", v,
                  3, NULL, err);
}

/* --- hosts as the catalog has them --------------------------------------------------------------------------------- */

static const char *const state_words[] = { "", "pending", "active", "retired", "erased" };

/* The row of a host that is retired now: what is open ended with its newest bundle. */
static int close_retired(struct store *s, const struct keys_host *k, struct store_host **touched)
{
    struct store_host *h = NULL;
    int code = store_host_of(s, k, touched, &h);

    for (struct host_boot *b = code == 0 ? h->h.boots : NULL; b && code == 0; b = b->next) {
        if (b->closed == BOOT_RUNNING) {
            code = apply_close_boot(&s->w, &s->changes, b, BOOT_RETIRED);
        }
    }
    return code;
}

static int sync_host(struct store *s, const struct db_result *r, size_t row, const struct keys *k,
                     struct store_host **touched, size_t *changed)
{
    struct keys_host now;
    bool retired;
    int code;

    if (keys_host_by_id(k, db_get_u64(r, row, 0), &now) != 0) {
        return 0;
    }
    retired = now.state == KEYS_RETIRED;
    if (slice_eq_str(db_get(r, row, 1), now.host) && slice_eq_str(db_get(r, row, 2), now.host_group) &&
        slice_eq_str(db_get(r, row, 3), state_words[now.state])) {
        return 0;
    }
    {
        struct db_value v[] = { DB_V_C(now.host), DB_V_C(now.host_group), DB_V_C(state_words[now.state]),
                                DB_V_U(now.host_id) };

        code = world_run(&s->w, "UPDATE host SET host = ?, host_group = ?, state = ? WHERE host_id = ?", v, 4, NULL);
    }
    if (code == 0 && retired) {
        code = close_retired(s, &now, touched);
    }
    (*changed)++;
    return code;
}

int store_sync_hosts(struct store *s, struct store_position *at, const struct keys *k, size_t *out_changed,
                     struct pofr_err *err)
{
    struct store_report report = { 0 };
    struct store_batch_state b = { .s = s, .report = &report };
    struct store_position now;
    struct db_result *r = NULL;
    struct db_value v = DB_V_U(at->slot);
    int code = store_prepare(s, err);

    *out_changed = 0;
    if (code == 0) {
        code = store_begin(s, err);
    }
    if (code == 0) {
        code = store_read_position(s, at->slot, STORE_POSITION " FOR UPDATE", &now, err);
    }
    if (code == 0 && !same_position(&now, at)) {
        code = pofr_err_set(err, POFR_EBUSY, "slot %u has moved", at->slot);
    }
    if (code == 0) {
        code = world_run(&s->w, "SELECT host_id, host, host_group, state FROM host WHERE slot = ?", &v, 1, &r);
    }
    for (size_t i = 0; code == 0 && i < db_rows(r); i++) {
        code = sync_host(s, r, i, k, &b.touched, out_changed);
    }
    if (code == 0) {
        code = store_write_all(&b);
    }
    if (code == 0) {
        code = db_run(s->db, "COMMIT", NULL, 0, NULL, err);
    }
    db_result_free(r);
    if (code) {
        store_roll_back(s);
    } else {
        store_untouch(&b);
    }
    return code;
}
