/* SPDX-License-Identifier: GPL-2.0-or-later */
/* world.h on a shard: what is read and written besides rows and offsets. */
#include "workers/store_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/parse_num.h"
#include "common/os/clock.h"

struct arena *world_arena(struct world *w)
{
    return &w->arena;
}

int world_run(struct world *w, const char *sql, const struct db_value *values, size_t count, struct db_result **out)
{
    int code = db_run(w->db, sql, values, count, out, w->err);

    w->error = code ? db_last_error(w->db) : 0;
    return code;
}

int64_t world_i64(const struct db_result *r, size_t row, size_t column)
{
    int64_t v = 0;

    return parse_i64(db_get(r, row, column), INT64_MIN, INT64_MAX, &v) == 0 ? v : 0;
}

struct db_value world_time(int64_t wall_us, char text[32])
{
    if (wall_us > ROW_WALL_MAX) {
        wall_us = ROW_WALL_MAX;
    }
    clock_format(wall_us < 0 ? 0 : wall_us, text); /* 2026-08-22T10:11:12.123456Z */
    text[10] = ' ';
    text[26] = 0;
    return DB_V_C(text);
}

static void get_bytes(const struct db_result *r, size_t row, size_t column, void *to, size_t n)
{
    struct slice s = db_get(r, row, column);

    memset(to, 0, n);
    if (s.len == n) {
        memcpy(to, s.data, n);
    }
}

/* --- the ledger ------------------------------------------------------------------------------------------- */

static const char *const origins[] = { "first", "continues", "restart", "recovered", "lost" };

static int pack_counts(struct world *w, const struct statement *st, struct slice *out)
{
    struct buf b = BUF_INIT(4096); /* the column's size */
    int code = statement_pack_counts(st, &b);

    if (code == 0) {
        *out = arena_dup(&w->arena, buf_slice(&b));
        code = w->arena.err;
    }
    buf_free(&b);
    return code ? pofr_err_set(w->err, code, "counts of a statement") : 0;
}

static uint64_t lost_total(const struct statement *st)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < st->lost_len; i++) {
        sum += st->lost[i].total;
    }
    return sum;
}

#define LEDGER_COLUMNS                                                                                                 \
    "host_id, sequence, statement_digest, previous_digest, payload_digest, key_id, signature, run, boot, "             \
    "boot_id, origin, from_boot_us, to_boot_us, from_wall_us, to_wall_us, ticks, ticks_total, keyframe, "              \
    "counts, records, records_total, lost_total, payload_size, payload_bytes, recorder, captured_from, "               \
    "captured_to, clock_offset, clock_uncertainty, received, stored, slot, incarnation, kafka_offset, "                \
    "bytes, unknown_records, marks, replayed, before_boot_us"

static int ledger_statement(struct world *w)
{
    static const enum bulk_type types[] = {
        BULK_U64,   BULK_U64,   BULK_BYTES, BULK_BYTES, BULK_BYTES, BULK_BYTES, BULK_BYTES, BULK_BYTES,
        BULK_U64,   BULK_BYTES, BULK_BYTES, BULK_U64,   BULK_U64,   BULK_U64,   BULK_U64,   BULK_U64,
        BULK_U64,   BULK_U64,   BULK_BYTES, BULK_U64,   BULK_U64,   BULK_U64,   BULK_U64,   BULK_U64,
        BULK_BYTES, BULK_TIME,  BULK_TIME,  BULK_I64,   BULK_U64,   BULK_TIME,  BULK_TIME,  BULK_U64,
        BULK_U64,   BULK_I64,   BULK_U64,   BULK_U64,   BULK_BYTES, BULK_U64,   BULK_U64,
    };
    char sql[2048];
    size_t n = pofr_countof(types);
    int at;

    if (w->ledger) {
        return 0;
    }
    at = snprintf(sql, sizeof(sql), "INSERT INTO bundle (" LEDGER_COLUMNS ") VALUES (?");
    for (size_t i = 1; i < n; i++) {
        at += snprintf(sql + at, sizeof(sql) - (size_t)at, ", ?");
    }
    snprintf(sql + at, sizeof(sql) - (size_t)at, ")");
    return bulk_new(w->db, sql, types, n, &w->ledger, w->err);
}

static struct slice digest_of(const uint8_t d[32])
{
    return slice_of(d, 32);
}

int world_put_bundle(struct world *w, const struct host *h, const struct world_bundle *wb)
{
    const struct bundle_meta *m = wb->meta;
    const struct statement *st = &m->view->statement;
    const struct row_boot *boot = &wb->boot->row;
    struct slice counts;
    struct bulk *b;
    size_t i = 0;
    int code = ledger_statement(w);

    if (code == 0) {
        code = pack_counts(w, st, &counts);
    }
    if (code) {
        return code;
    }
    b = w->ledger;
    bulk_u64(b, i++, h->host_id);
    bulk_u64(b, i++, st->sequence);
    bulk_bytes(b, i++, digest_of(m->view->statement_digest));
    bulk_bytes(b, i++, digest_of(st->previous));
    bulk_bytes(b, i++, digest_of(st->payload_digest));
    bulk_bytes(b, i++, digest_of(st->key_id));
    bulk_bytes(b, i++, slice_of(m->view->signature, 64));
    bulk_bytes(b, i++, slice_of(st->run, 16));
    bulk_u64(b, i++, boot->number);
    bulk_bytes(b, i++, slice_of(st->boot.b, 16));
    bulk_bytes(b, i++, slice_str(origins[st->origin - STATEMENT_FIRST]));
    bulk_u64(b, i++, st->from_boot_us);
    bulk_u64(b, i++, st->to_boot_us);
    bulk_u64(b, i++, st->from_wall_us);
    bulk_u64(b, i++, st->to_wall_us);
    bulk_u64(b, i++, st->ticks);
    bulk_u64(b, i++, st->ticks_total);
    bulk_u64(b, i++, (st->keyframe <= 2 ? st->keyframe : 1) + 1);
    bulk_bytes(b, i++, counts);
    bulk_u64(b, i++, statement_records(st));
    bulk_u64(b, i++, statement_records_total(st));
    bulk_u64(b, i++, lost_total(st));
    bulk_u64(b, i++, st->payload_size);
    bulk_u64(b, i++, st->payload_bytes);
    bulk_bytes(b, i++, arena_dup(&w->arena, slice_str(st->recorder)));
    bulk_time(b, i++, row_wall(boot, st->from_boot_us));
    bulk_time(b, i++, row_wall(boot, st->to_boot_us));
    if (m->has_offset) {
        bulk_i64(b, i++, m->offset_us);
        bulk_u64(b, i++, m->uncertainty_us);
    } else {
        bulk_null(b, i++);
        bulk_null(b, i++);
    }
    bulk_time(b, i++, m->received_us);
    bulk_time(b, i++, w->now_us);
    bulk_u64(b, i++, m->slot);
    bulk_u64(b, i++, m->incarnation);
    bulk_i64(b, i++, m->kafka_offset);
    bulk_u64(b, i++, m->bytes);
    bulk_u64(b, i++, wb->unknown);
    bulk_bytes(b, i++, arena_dup(&w->arena, wb->marks));
    bulk_u64(b, i++, m->replayed);
    bulk_u64(b, i++, wb->look_before);
    bulk_next(b);
    if (w->arena.err) {
        return pofr_err_set(w->err, w->arena.err, "ledger");
    }
    return bulk_full(b) ? world_write_ledger(w) : 0;
}

int world_write_ledger(struct world *w)
{
    int code = w->ledger ? bulk_run(w->ledger, NULL, w->err) : 0;

    if (code) {
        w->error = bulk_error(w->ledger);
    }
    return code;
}

#define LEDGER_READ                                                                                                    \
    "SELECT sequence, statement_digest, previous_digest, run, boot, from_boot_us, to_boot_us, records, "               \
    "records_total, "                                                                                                  \
    "unknown_records "                                                                                                 \
    "FROM bundle"

static int take_ledger(struct world *w, const struct db_result *r, struct ledger_row **out, size_t *out_count)
{
    size_t n = db_rows(r);
    struct ledger_row *rows = arena_array(&w->arena, n ? n : 1, sizeof(*rows));

    if (!rows) {
        return pofr_err_set(w->err, w->arena.err, "ledger");
    }
    for (size_t i = 0; i < n; i++) {
        rows[i].sequence = db_get_u64(r, i, 0);
        get_bytes(r, i, 1, rows[i].digest, 32);
        get_bytes(r, i, 2, rows[i].previous, 32);
        get_bytes(r, i, 3, rows[i].run, 16);
        rows[i].boot = (uint32_t)db_get_u64(r, i, 4);
        rows[i].from_us = db_get_u64(r, i, 5);
        rows[i].to_us = db_get_u64(r, i, 6);
        rows[i].records = db_get_u64(r, i, 7);
        rows[i].records_total = db_get_u64(r, i, 8);
        rows[i].unknown = db_get_u64(r, i, 9);
    }
    *out = rows;
    *out_count = n;
    return 0;
}

static int read_ledger(struct world *w, const char *sql, const struct db_value *v, size_t n, struct ledger_row **out,
                       size_t *out_count)
{
    struct db_result *r = NULL;
    int code = world_write_ledger(w);

    if (code == 0) {
        code = world_run(w, sql, v, n, &r);
    }
    if (code == 0) {
        code = take_ledger(w, r, out, out_count);
    }
    db_result_free(r);
    return code;
}

int world_change_bundle(struct world *w, const struct host *h, const struct world_bundle *wb)
{
    const struct bundle_view *view = wb->meta->view;
    struct db_value v[] = { DB_V_U(wb->unknown), DB_V_S(wb->marks), DB_V_U(h->host_id),
                            DB_V_U(view->statement.sequence),
                            DB_V_S(slice_of(view->statement_digest, sizeof(view->statement_digest))) };

    return world_run(w,
                     "UPDATE bundle SET unknown_records = ?, marks = ? WHERE host_id = ? AND sequence = ? AND "
                     "statement_digest = ?",
                     v, pofr_countof(v), NULL);
}

int world_ledger_at(struct world *w, const struct host *h, uint64_t sequence, struct ledger_row **out,
                    size_t *out_count)
{
    struct db_value v[] = { DB_V_U(h->host_id), DB_V_U(sequence) };

    return read_ledger(w, LEDGER_READ " WHERE host_id = ? AND sequence = ? LIMIT 100", v, 2, out, out_count);
}

int world_ledger_near(struct world *w, const struct host_boot *b, uint64_t sequence, struct ledger_row **out_before,
                      struct ledger_row **out_after)
{
    struct db_value v[] = { DB_V_U(b->row.host_id), DB_V_U(b->row.number), DB_V_U(sequence) };
    size_t n = 0;
    int code =
        read_ledger(w, LEDGER_READ " WHERE host_id = ? AND boot = ? AND sequence < ? ORDER BY sequence DESC LIMIT 1", v,
                    3, out_before, &n);

    if (code == 0 && n == 0) {
        *out_before = NULL;
    }
    if (code == 0) {
        code = read_ledger(w, LEDGER_READ " WHERE host_id = ? AND boot = ? AND sequence > ? ORDER BY sequence LIMIT 1",
                           v, 3, out_after, &n);
    }
    if (code == 0 && n == 0) {
        *out_after = NULL;
    }
    return code;
}

/* --- runs ---------------------------------------------------------------------------------------------------- */

static int read_runs(struct world *w, const char *sql, const struct db_value *v, struct run_row **out,
                     size_t *out_count)
{
    struct db_result *r = NULL;
    struct run_row *runs = NULL;
    int code = world_run(w, sql, v, 2, &r);

    *out_count = 0;
    if (code == 0) {
        runs = arena_array(&w->arena, db_rows(r) ? db_rows(r) : 1, sizeof(*runs));
        code = runs ? 0 : pofr_err_set(w->err, w->arena.err, "runs");
    }
    for (size_t i = 0; runs && i < db_rows(r); i++) {
        get_bytes(r, i, 0, runs[i].run, 16);
        runs[i].boot = (uint32_t)db_get_u64(r, i, 1);
        runs[i].first_sequence = db_get_u64(r, i, 2);
        runs[i].first_us = db_get_u64(r, i, 3);
        runs[i].before_us = db_get_u64(r, i, 4);
        *out_count = i + 1;
    }
    *out = runs;
    db_result_free(r);
    return code;
}

#define RUN_READ "SELECT run, boot, first_sequence, first_us, before_us FROM run"

int world_runs_of_boot(struct world *w, const struct host_boot *b, struct run_row **out, size_t *out_count)
{
    struct db_value v[] = { DB_V_U(b->row.host_id), DB_V_U(b->row.number) };

    return read_runs(w, RUN_READ " WHERE host_id = ? AND boot = ? ORDER BY first_us LIMIT 10000", v, out, out_count);
}

int world_runs_of_run(struct world *w, const struct host *h, const uint8_t run[16], struct run_row **out,
                      size_t *out_count)
{
    struct db_value v[] = { DB_V_U(h->host_id), DB_V_S(slice_of(run, 16)) };

    return read_runs(w, RUN_READ " WHERE host_id = ? AND run = ? LIMIT 1000", v, out, out_count);
}

int world_put_run(struct world *w, const struct host *h, const struct run_row *run)
{
    struct db_value v[] = { DB_V_U(h->host_id),          DB_V_S(slice_of(run->run, 16)), DB_V_U(run->boot),
                            DB_V_U(run->first_sequence), DB_V_U(run->first_us),          DB_V_U(run->before_us) };

    return world_run(
        w,
        "INSERT INTO run (host_id, run, boot, first_sequence, first_us, before_us) VALUES (?, ?, ?, ?, ?, ?) "
        "ON DUPLICATE KEY UPDATE first_sequence = VALUES(first_sequence), first_us = VALUES(first_us), "
        "before_us = VALUES(before_us)",
        v, 6, NULL);
}

/* --- gaps, findings -------------------------------------------------------------------------------------------- */

static const char *const gap_words[] = { "",      "stopped", "crash",    "spool",     "refused", "writer",
                                         "ticks", "state",   "sequence", "retention", "erased" };

#define GAP_READ                                                                                                       \
    "SELECT gap_id, boot, kind + 0, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', from_time), "                             \
    "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', to_time), lost, explained, first_sequence, last_sequence, "              \
    "digest, detail FROM gap"

static int read_gaps(struct world *w, const char *sql, const struct db_value *v, size_t values, struct gap_row **out,
                     size_t *out_count)
{
    struct db_result *r = NULL;
    struct gap_row *gaps = NULL;
    int code = world_run(w, sql, v, values, &r);

    *out_count = 0;
    if (code == 0) {
        gaps = arena_array(&w->arena, db_rows(r) ? db_rows(r) : 1, sizeof(*gaps));
        code = gaps ? 0 : pofr_err_set(w->err, w->arena.err, "gaps");
    }
    for (size_t i = 0; gaps && i < db_rows(r); i++) {
        struct gap_row *g = &gaps[i];

        g->gap_id = db_get_u64(r, i, 0);
        g->boot = (uint32_t)db_get_u64(r, i, 1);
        g->kind = (enum gap_kind)db_get_u64(r, i, 2);
        g->from_us = world_i64(r, i, 3);
        g->to_us = world_i64(r, i, 4);
        g->lost_known = !db_is_null(r, i, 5);
        g->lost = db_get_u64(r, i, 5);
        g->explained = db_get_u64(r, i, 6) != 0;
        g->first_sequence = db_get_u64(r, i, 7);
        g->last_sequence = db_get_u64(r, i, 8);
        g->digest = arena_dup(&w->arena, db_get(r, i, 9));
        g->detail = arena_dup(&w->arena, db_get(r, i, 10));
        *out_count = i + 1;
    }
    *out = gaps;
    db_result_free(r);
    return code ? code : w->arena.err;
}

int world_gaps_of_boot(struct world *w, const struct host_boot *b, struct gap_row **out, size_t *out_count)
{
    struct db_value v[] = { DB_V_U(b->row.host_id), DB_V_U(b->row.number) };

    return read_gaps(w,
                     GAP_READ
                     " WHERE host_id = ? AND boot = ? AND explained = 0 AND kind <> 'ticks' ORDER BY from_time LIMIT "
                     "10000",
                     v, 2, out, out_count);
}

int world_gap_of_sequence(struct world *w, const struct host *h, uint32_t boot, uint64_t sequence, struct gap_row **out)
{
    struct db_value v[] = { DB_V_U(h->host_id), DB_V_U(sequence), DB_V_U(sequence), DB_V_U(boot), DB_V_U(boot) };
    size_t n = 0;
    int code = read_gaps(w,
                         GAP_READ
                         " WHERE host_id = ? AND first_sequence <= ? AND last_sequence >= ? AND kind = 'sequence' AND "
                         "explained = 0 AND (? = 0 OR boot = ?) ORDER BY gap_id LIMIT 1",
                         v, 5, out, &n);

    if (code == 0 && n == 0) {
        *out = NULL;
    }
    return code;
}

int world_put_gap(struct world *w, const struct host *h, const struct gap_row *g)
{
    char from[32], to[32], noted[32];
    bool sequences = g->first_sequence > 0;
    struct db_value v[] = {
        DB_V_U(g->boot),
        DB_V_C(gap_words[g->kind]),
        world_time(g->from_us, from),
        world_time(g->to_us, to),
        g->lost_known ? DB_V_U(g->lost) : DB_V_NULL,
        DB_V_U(g->explained),
        sequences ? DB_V_U(g->first_sequence) : DB_V_NULL,
        sequences ? DB_V_U(g->last_sequence) : DB_V_NULL,
        g->digest.len == 32 ? DB_V_S(g->digest) : DB_V_NULL,
        DB_V_S(slice_sub(g->detail, 0, 1024)),
        DB_V_U(h->host_id),
        g->gap_id ? DB_V_U(g->gap_id) : world_time(w->now_us, noted),
    };

    return world_run(
        w,
        g->gap_id ? "UPDATE gap SET boot = ?, kind = ?, from_time = ?, to_time = ?, lost = ?, explained = ?, "
                    "first_sequence = ?, last_sequence = ?, digest = ?, detail = ? WHERE host_id = ? AND gap_id = ?"
                  : "INSERT INTO gap (boot, kind, from_time, to_time, lost, explained, first_sequence, "
                    "last_sequence, digest, detail, host_id, noted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        v, pofr_countof(v), NULL);
}

int world_set_aside_records(struct world *w, const struct host *h, uint64_t first, uint64_t last, uint64_t *out_records)
{
    struct db_value v[] = { DB_V_U(h->host_id), DB_V_U(first), DB_V_U(last) };
    struct db_result *r = NULL;
    int code = world_run(
        w,
        "SELECT CAST(COALESCE(SUM(records), 0) AS UNSIGNED) FROM set_aside WHERE host_id = ? AND sequence >= ? "
        "AND sequence <= ? AND replayed IS NULL AND reason <> 'unknown_kind'",
        v, 3, &r);

    if (code == 0) {
        *out_records = db_get_u64(r, 0, 0);
    }
    db_result_free(r);
    return code;
}

int world_put_finding(struct world *w, const struct host *h, uint32_t boot, int64_t at_us, struct slice kind,
                      struct slice detail)
{
    char at[32];
    struct db_value v[] = { DB_V_U(h->host_id), DB_V_U(boot), world_time(at_us, at), DB_V_S(slice_sub(kind, 0, 64)),
                            DB_V_S(detail) };

    return world_run(w, "INSERT INTO finding (host_id, boot, at_time, kind, detail) VALUES (?, ?, ?, ?, ?)", v, 5,
                     NULL);
}

int world_put_key(struct world *w, const struct host *h, const uint8_t public_key[32])
{
    if (w->keys_count < STORE_KEYS_MAX) { /* more than that in one transaction is no host that rolls its key */
        w->keys[w->keys_count].host_id = h->host_id;
        memcpy(w->keys[w->keys_count++].public_key, public_key, 32);
    }
    return 0;
}

int world_new_boot(struct world *w, struct host_boot **out)
{
    *out = calloc(1, sizeof(**out)); /* lives in the cache, longer than the transaction; freed with its host */
    return *out ? 0 : pofr_err_set(w->err, POFR_ENOMEM, "boot");
}
