/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * world.h on a shard: rows of intervals, read and changed where apply can't name them one by one.
 *
 * READING  Slots are asked for by pid, a prefix of the primary key, and sorted out here; facts and coverage are few and read
 *          as a whole. Open rows lie in one partition, and that is where nearly all reading is.
 * MOVED    Where an end was moved to its receipt (4.3) the host's own times are read back from own_*.
 */
#include "workers/store_parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/parse_num.h"
#include "common/os/clock.h"

#define PIDS_CHUNK 128u
#define DAY_US     (86400 * CLOCK_US_PER_S)

/* --- a row of a result -> a stored row --------------------------------------------------------------------------- */

static size_t id_size(const struct table *t)
{
    size_t size = 0;

    for (size_t i = 0; i < t->id_count; i++) {
        size_t end = t->columns[i].offset + sizeof(struct slice); /* also jiffies and number */

        size = end > size ? end : size;
    }
    return size;
}

static uint64_t boot_us(const struct host_boot *b, int64_t wall_us)
{
    return wall_us > b->row.anchor_us ? (uint64_t)(wall_us - b->row.anchor_us) : 0;
}

static void put_u64(struct record *id, size_t offset, uint64_t v)
{
    memcpy((uint8_t *)id + offset, &v, sizeof(v));
}

static void put_slice(struct record *id, size_t offset, struct slice s)
{
    memcpy((uint8_t *)id + offset, &s, sizeof(s));
}

static void take_started(struct record *id, size_t offset, const struct host_boot *b, int64_t wall_us)
{
    uint64_t us = id->entity == REC_SOCKET && id->socket.pid == 0 ? 0 : boot_us(b, wall_us);

    put_u64(id, offset, us / 10000);
    put_u64(id, offset + sizeof(uint64_t), us % 10000);
}

static void take_address(struct world *w, struct record *id, size_t offset, struct slice text)
{
    uint8_t buffer[16];
    uint64_t family = id->entity == REC_NETINT ? id->netint.family : id->netroute.family;

    put_slice(id, offset, arena_dup(&w->arena, address_bytes(family, text, buffer)));
}

static struct record *take_id(struct world *w, const struct host_boot *b, const struct table *t,
                              const struct db_result *r, size_t row)
{
    struct record *id = arena_zalloc(&w->arena, id_size(t));

    if (!id) {
        return NULL;
    }
    id->kind = REC_KIND(t->entity, REC_START);
    id->entity = (uint16_t)t->entity;
    for (size_t i = 0; i < t->id_count; i++) {
        const struct table_column *c = &t->columns[i];

        switch (c->fill) {
        case FILL_STARTED:
            take_started(id, c->offset, b, world_i64(r, row, i));
            break;
        case FILL_BYTES:
            put_slice(id, c->offset, arena_dup(&w->arena, db_get(r, row, i)));
            break;
        case FILL_ADDRESS:
            take_address(w, id, c->offset, db_get(r, row, i));
            break;
        default:
            put_u64(id, c->offset, db_get_u64(r, row, i));
            break;
        }
    }
    return id;
}

/* Numbers with a space between. */
static void take_names(struct world *w, struct slice text, struct row *out)
{
    uint64_t *names = text.len > 0 ? arena_array(&w->arena, ROW_NAMES_MAX, sizeof(*names)) : NULL;
    unsigned n = 0;

    while (names && text.len > 0 && n < ROW_NAMES_MAX &&
           parse_u64(slice_split(&text, ' '), UINT64_MAX, &names[n]) == 0) {
        n++;
    }
    out->names = names;
    out->names_count = n;
}

static void take_row(struct world *w, const struct host_boot *b, const struct table *t, const struct db_result *r,
                     size_t row, struct stored_row *out)
{
    size_t i = t->id_count;
    bool moved = !db_is_null(r, row, i + 7);

    out->key_first = world_i64(r, row, i);
    out->key_ended = world_i64(r, row, i + 2);
    out->row.source = (enum row_source)(db_get_u64(r, row, i + 3) - 1);
    out->row.inferred = db_get_u64(r, row, i + 4) != 0;
    out->row.unseen = db_get_u64(r, row, i + 5) != 0;
    out->row.first = boot_us(b, moved ? world_i64(r, row, i + 6) : out->key_first);
    if (out->row.source == ROW_SOURCE_OPEN) {
        out->key_ended = ROW_KEY_OPEN;
        out->row.ended = ROW_OPEN;
        out->row.last = out->row.first;
    } else {
        out->row.ended = boot_us(b, moved ? world_i64(r, row, i + 7) : out->key_ended);
        out->row.last = moved ? out->row.ended : boot_us(b, world_i64(r, row, i + 1));
    }
    out->row.before = db_is_null(r, row, i + 8) ? 0 : boot_us(b, world_i64(r, row, i + 8));
    take_names(w, db_get(r, row, i + 9), &out->row);
    out->row.hash = db_get_u64(r, row, i + 10);
}

/* Room doubles; count is 0 or what was appended before. */
static struct stored_row *append(struct world *w, struct row_list *list)
{
    if ((list->count & (list->count - 1)) == 0) {
        size_t room = list->count ? list->count * 2 : 1;
        struct stored_row *rows = arena_array(&w->arena, room, sizeof(*rows));

        if (!rows) {
            return NULL;
        }
        if (list->count) {
            memcpy(rows, list->rows, list->count * sizeof(*rows));
        }
        list->rows = rows;
    }
    return &list->rows[list->count];
}

typedef bool (*keep_fn)(const struct record *id, const void *arg);

static int take_rows(struct world *w, const struct host_boot *b, const struct table *t, const struct db_result *r,
                     keep_fn keep, const void *arg, struct row_list *out)
{
    for (size_t i = 0; i < db_rows(r); i++) {
        const struct record *id = take_id(w, b, t, r, i);
        struct stored_row *row = id && keep(id, arg) ? append(w, out) : NULL;

        if (w->arena.err) {
            return pofr_err_set(w->err, w->arena.err, "rows of %s", t->name);
        }
        if (row) {
            row->id = id;
            take_row(w, b, t, r, i, row);
            out->count++;
        }
    }
    return 0;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/*
 * The condition on ended, with three values: open rows only, or also what may have to do with a look at from: rows that ended
 * then or later, and those that were taken to have ended before it because nothing was known of them until after it.
 * A boot whose clock runs far ahead has ends that were moved back to their receipt: then all of it is read.
 */
#define ENDED_OPEN " AND ended = '9999-12-31 23:59:59.999999' AND ? <= ? AND ? IS NOT NULL"
#define ENDED_FROM                                                                                                     \
    " AND (ended >= ? OR (end_inferred = 1 AND (end_before IS NULL OR end_before > ?)) OR own_ended >= ?)"

static const char *ended_from(const struct host_boot *b, uint64_t from, struct db_value v[3], char text[32])
{
    v[0] = v[1] = v[2] = world_time(row_wall(&b->row, from == ROW_OPEN ? 0 : from), text);
    return from == ROW_OPEN ? ENDED_OPEN : ENDED_FROM;
}

static bool all(const struct record *id, const void *arg)
{
    (void)id;
    (void)arg;
    return true;
}

static int read_where(struct world *w, const struct host_boot *b, const struct table *t, const char *condition,
                      const struct db_value *more, size_t more_count, uint64_t from, keep_fn keep, const void *arg,
                      struct row_list *out)
{
    struct buf sql = BUF_INIT(65536);
    struct db_value v[5 + PIDS_CHUNK];
    struct db_result *r = NULL;
    char text[32];
    int code;

    table_select(t, &sql);
    buf_printf(&sql, " WHERE host_id = ? AND boot = ?%s%s", ended_from(b, from, &v[2], text), condition);
    v[0] = DB_V_U(b->row.host_id);
    v[1] = DB_V_U(b->row.number);
    for (size_t i = 0; i < more_count; i++) {
        v[5 + i] = more[i];
    }
    code = buf_cstr(&sql) ? world_run(w, buf_cstr(&sql), v, 5 + more_count, &r)
                          : pofr_err_set(w->err, POFR_ENOMEM, "statement");
    if (code == 0) {
        code = take_rows(w, b, t, r, keep, arg, out);
    }
    db_result_free(r);
    buf_free(&sql);
    return code;
}

struct wanted {
    const struct record *const *slots; /* sorted by rec_compare_id() */
    size_t count;
};

static int compare_slot(const void *key, const void *element)
{
    return rec_compare_id(key, *(const struct record *const *)element);
}

static bool is_wanted(const struct record *id, const void *arg)
{
    const struct wanted *wanted = arg;

    return bsearch(id, wanted->slots, wanted->count, sizeof(*wanted->slots), compare_slot) != NULL;
}

static uint64_t pid_of(const struct record *r)
{
    switch (r->entity) {
    case REC_PROCESS:
        return r->process.pid;
    case REC_FILE:
        return r->file.pid;
    default:
        return r->socket.pid;
    }
}

static int by_number(const void *pa, const void *pb)
{
    const uint64_t *a = pa, *b = pb;

    return (*a > *b) - (*a < *b);
}

/* Each pid once, a chunk of them in one statement whose text is always the same. */
static int read_pids(struct world *w, const struct host_boot *b, const struct table *t, const struct wanted *wanted,
                     uint64_t from, struct row_list *out)
{
    uint64_t *pids = arena_array(&w->arena, wanted->count, sizeof(*pids));
    struct buf condition = BUF_INIT(4096);
    size_t n = 0;
    int code = 0;

    if (!pids) {
        return pofr_err_set(w->err, w->arena.err, "pids");
    }
    for (size_t i = 0; i < wanted->count; i++) {
        pids[i] = pid_of(wanted->slots[i]);
    }
    qsort(pids, wanted->count, sizeof(*pids), by_number);
    for (size_t i = 0; i < wanted->count && code == 0; i++) {
        if (n == 0 || pids[n - 1] != pids[i]) {
            pids[n++] = pids[i];
        }
    }
    for (size_t i = 0; i < n && code == 0;) {
        size_t chunk = n - i >= PIDS_CHUNK ? PIDS_CHUNK : n - i > 8 ? PIDS_CHUNK : 8;
        struct db_value v[PIDS_CHUNK];

        buf_reset(&condition);
        buf_str(&condition, " AND pid IN (?");
        for (size_t k = 0; k < chunk; k++) {
            v[k] = DB_V_U(pids[i + k < n ? i + k : n - 1]);
            buf_str(&condition, k ? ", ?" : "");
        }
        buf_str(&condition, ")");
        code = read_where(w, b, t, buf_cstr(&condition), v, chunk, from, is_wanted, wanted, out);
        i += chunk;
    }
    buf_free(&condition);
    return code;
}

int world_rows(struct world *w, const struct host_boot *b, unsigned entity, const struct record *const *slots,
               size_t count, uint64_t from, struct row_list *out)
{
    const struct table *t = table_of(entity);
    struct wanted wanted = { slots, count };

    if (entity <= REC_SOCKET) {
        return read_pids(w, b, t, &wanted, from, out);
    }
    return read_where(w, b, t, "", NULL, 0, from, is_wanted, &wanted, out);
}

static bool in_range(const struct record *id, const void *arg)
{
    return keyframe_covers(arg, id);
}

int world_range(struct world *w, const struct host_boot *b, unsigned entity, const struct keyframe_mark *range,
                uint64_t from, struct row_list *out)
{
    struct db_value v[] = { DB_V_U(range->low), DB_V_U(range->high) };
    bool by_pid = entity == REC_PROCESS || entity == REC_FILE;

    return read_where(w, b, table_of(entity), by_pid ? " AND pid >= ? AND pid <= ?" : "", v, by_pid ? 2 : 0, from,
                      in_range, range, out);
}

int world_inferred_at(struct world *w, const struct host_boot *b, unsigned entity, uint64_t ended, struct row_list *out)
{
    char text[32];
    struct db_value at = world_time(row_wall(&b->row, ended), text);
    struct db_value v[] = { at, at };

    return read_where(w, b, table_of(entity),
                      " AND (ended = ? OR own_ended = ?) AND end_inferred = 1 AND end_before IS NOT NULL", v, 2, ended,
                      all, NULL, out);
}

/* --- changing many at once ----------------------------------------------------------------------------------------- */

int world_close_open(struct world *w, const struct host_boot *b, unsigned entity, uint64_t shown, uint64_t ended,
                     enum row_source source)
{
    int64_t wall_us = row_wall(&b->row, ended);
    bool moved = wall_us > w->received_us + DAY_US || wall_us < rows_oldest(w->rows);
    struct buf sql = BUF_INIT(2048);
    char end_text[32], own_text[32], shown_text[32];
    struct db_value end = world_time(moved ? w->received_us : wall_us, end_text);
    struct db_value v[16];
    size_t n = 0;
    int code;

    buf_printf(&sql, "UPDATE %s SET ", table_of(entity)->name);
    if (moved) { /* assignments are made from left to right */
        buf_str(&sql,
                "own_first_seen = first_seen, own_ended = ?, time_source = 1, first_seen = LEAST(first_seen, ?), ");
        v[n++] = world_time(wall_us, own_text);
        v[n++] = end;
    }
    buf_str(
        &sql,
        "last_seen = ?, ended = ?, end_source = ?, end_inferred = 1, end_before = NULL WHERE host_id = ? AND boot = ? "
        "AND ended = '9999-12-31 23:59:59.999999' AND first_seen <= ?");
    v[n++] = end;
    v[n++] = end;
    v[n++] = DB_V_U(source + 1U);
    v[n++] = DB_V_U(b->row.host_id);
    v[n++] = DB_V_U(b->row.number);
    v[n++] = world_time(row_wall(&b->row, shown), shown_text);
    code = buf_cstr(&sql) ? world_run(w, buf_cstr(&sql), v, n, NULL) : pofr_err_set(w->err, POFR_ENOMEM, "statement");
    buf_free(&sql);
    return code;
}

int world_move_gone(struct world *w, const struct host_boot *b, unsigned entity, uint64_t from, uint64_t to)
{
    struct buf sql = BUF_INIT(2048);
    char from_text[32], to_text[32];
    struct db_value old = world_time(row_wall(&b->row, from), from_text),
                    new = world_time(row_wall(&b->row, to), to_text);
    struct db_value v[] = { new, new, DB_V_U(b->row.host_id), DB_V_U(b->row.number), old };
    struct db_value own[] = { new, DB_V_U(b->row.host_id), DB_V_U(b->row.number), old };
    const char *name = table_of(entity)->name;
    int code;

    buf_printf(
        &sql,
        "UPDATE %s SET last_seen = ?, ended = ? WHERE host_id = ? AND boot = ? AND ended = ? AND end_inferred = 1 AND "
        "end_before IS NULL AND time_source = 0",
        name);
    code = buf_cstr(&sql) ? world_run(w, buf_cstr(&sql), v, pofr_countof(v), NULL)
                          : pofr_err_set(w->err, POFR_ENOMEM, "statement");
    if (code == 0) {
        buf_reset(&sql);
        buf_printf(
            &sql,
            "UPDATE %s SET own_ended = ? WHERE host_id = ? AND boot = ? AND own_ended = ? AND end_inferred = 1 AND "
            "end_before IS NULL AND time_source = 1",
            name);
        code = buf_cstr(&sql) ? world_run(w, buf_cstr(&sql), own, pofr_countof(own), NULL)
                              : pofr_err_set(w->err, POFR_ENOMEM, "statement");
    }
    buf_free(&sql);
    return code;
}

/* --- carrying out ---------------------------------------------------------------------------------------------------- */

int world_flush(struct world *w, struct changes *c)
{
    int code = rows_write(w->rows, c, w->err);

    if (code) {
        w->error = rows_error(w->rows);
    }
    return code;
}

int world_flush_host(struct world *w, const struct host_boot *b, unsigned entity, struct changes *c)
{
    changes_take(c, b->row.host_id, entity, &w->taken);
    return world_flush(w, &w->taken);
}
