/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ORDER  Table by table; in each: copies (they read what is to change), rows that go (deletions, and open rows whose end is
 *        known), updates, insertions. Apply sees to it that no change depends on another of the same kind.
 *        The tables in the order of tables[], and in each the order in which hosts come in the batch: one transaction
 *        holds its slots' rows first, so two of them never touch the same host.
 */
#include "workers/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/db/db.h"
#include "workers/ending.h"
#include "workers/strings.h"

#define DAY_US INT64_C(86400000000)

struct rows {
    struct db *db;
    struct strings *strings;
    struct bulk *statements[TABLES_COUNT][TABLE_STATEMENTS];
    struct ending *endings[TABLES_COUNT]; /* for many ENDs at once */
    int64_t oldest_us;
    struct arena scratch; /* texts of addresses, until their statement was run */
    struct rows_figures figures;
    unsigned error;
};

#define SCRATCH_MAX (256u * 1024u * 1024u)

int rows_new(struct db *db, struct strings *strings, struct rows **out)
{
    struct rows *r = calloc(1, sizeof(*r));

    if (!r) {
        return POFR_ENOMEM;
    }
    r->db = db;
    r->strings = strings;
    arena_init(&r->scratch, SCRATCH_MAX);
    *out = r;
    return 0;
}

void rows_free(struct rows *r)
{
    if (!r) {
        return;
    }
    for (size_t t = 0; t < TABLES_COUNT; t++) {
        for (size_t s = 0; s < TABLE_STATEMENTS; s++) {
            bulk_free(r->statements[t][s]);
        }
        ending_free(r->endings[t]);
    }
    arena_free(&r->scratch);
    free(r);
}

void rows_set_oldest(struct rows *r, int64_t oldest_us)
{
    r->oldest_us = oldest_us;
}

int64_t rows_oldest(const struct rows *r)
{
    return r->oldest_us;
}

unsigned rows_error(const struct rows *r)
{
    return r->error;
}

void rows_figures(struct rows *r, struct rows_figures *out)
{
    *out = r->figures;
    memset(&r->figures, 0, sizeof(r->figures));
}

static int statement(struct rows *r, size_t t, enum table_statement s, struct bulk **out, struct pofr_err *err)
{
    enum bulk_type types[BULK_COLUMNS_MAX];
    struct buf sql = BUF_INIT(65536);
    int code = 0;

    if (!r->statements[t][s]) {
        size_t n = table_statement(&tables[t], s, &sql, types);

        code = buf_cstr(&sql) ? bulk_new(r->db, buf_cstr(&sql), types, n, &r->statements[t][s], err)
                              : pofr_err_set(err, POFR_ENOMEM, "statement");
        if (code) {
            r->error = 0;
        }
    }
    *out = r->statements[t][s];
    buf_free(&sql);
    return code;
}

/* --- values -------------------------------------------------------------------------------------------------- */

static uint64_t u64_at(const struct record *r, size_t offset)
{
    uint64_t v;

    memcpy(&v, (const uint8_t *)r + offset, sizeof(v));
    return v;
}

static struct slice slice_at(const struct record *r, size_t offset)
{
    struct slice s;

    memcpy(&s, (const uint8_t *)r + offset, sizeof(s));
    return s;
}

/* The number within its jiffy lies behind the jiffies in every entity. */
static int64_t started(const struct row_boot *b, const struct record *r, size_t offset)
{
    uint64_t jiffies = u64_at(r, offset), number = u64_at(r, offset + sizeof(uint64_t));

    return row_wall(b, jiffies < UINT64_MAX / 20000 ? jiffies * 10000 + number : UINT64_MAX);
}

static uint64_t family_of(const struct record *r)
{
    switch (r->entity) {
    case REC_SOCKET:
        return r->socket.family;
    case REC_NETINT:
        return r->netint.family;
    default:
        return r->netroute.family;
    }
}

static uint64_t access_of(uint64_t bits)
{
    if (bits & REC_ACCESS_PATH) {
        return 5;
    }
    return 1 + (bits & REC_ACCESS_READ ? 1 : 0) + (bits & REC_ACCESS_WRITE ? 2 : 0);
}

static struct slice hardware_text(struct arena *a, struct slice s)
{
    char *text = s.len ? arena_alloc(a, s.len * 3) : NULL;

    for (size_t i = 0; text && i < s.len; i++) {
        snprintf(text + i * 3, 3, "%02x", s.data[i]);
        text[i * 3 + 2] = ':';
    }
    return text ? slice_of(text, s.len * 3 - 1) : SLICE_EMPTY;
}

static struct slice address(struct arena *a, const struct record *r, size_t offset)
{
    char buffer[ADDRESS_TEXT_MAX];
    struct slice bytes = slice_at(r, offset);
    struct slice text = address_text(family_of(r), bytes, buffer);

    return text.data == bytes.data ? bytes : arena_dup(a, text);
}

static void put_or_null(struct bulk *b, size_t i, bool known, uint64_t v)
{
    if (known) {
        bulk_u64(b, i, v);
    } else {
        bulk_null(b, i);
    }
}

static void put_column(struct rows *rows, struct bulk *b, size_t i, const struct table_column *c,
                       const struct row_boot *boot, const struct record *r)
{
    struct slice s;
    uint64_t v;

    switch (c->fill) {
    case FILL_U:
        bulk_u64(b, i, u64_at(r, c->offset));
        break;
    case FILL_UID:
        v = u64_at(r, c->offset);
        put_or_null(b, i, v != REC_LOGIN_UID_UNSET, v);
        break;
    case FILL_STARTED:
        bulk_time(b, i, r->entity == REC_SOCKET && r->socket.pid == 0 ? 0 : started(boot, r, c->offset));
        break;
    case FILL_PARENT:
        if (r->process.parent_known) {
            bulk_time(b, i, started(boot, r, c->offset));
        } else {
            bulk_null(b, i);
        }
        break;
    case FILL_STRING:
        bulk_u64(b, i, strings_id(rows->strings, slice_at(r, c->offset)));
        break;
    case FILL_STRING_NULL:
        s = slice_at(r, c->offset);
        put_or_null(b, i, s.len > 0, s.len > 0 ? strings_id(rows->strings, s) : 0);
        break;
    case FILL_BYTES:
        bulk_bytes(b, i, slice_at(r, c->offset));
        break;
    case FILL_BYTES_NULL:
        s = slice_at(r, c->offset);
        if (s.len > 0) {
            bulk_bytes(b, i, s);
        } else {
            bulk_null(b, i);
        }
        break;
    case FILL_UNLESS_EXE:
        put_or_null(b, i, r->process.exe.len > 0, u64_at(r, c->offset));
        break;
    case FILL_EXIT:
        put_or_null(b, i, r->process.exit_known != 0, u64_at(r, c->offset));
        break;
    case FILL_TRAFFIC:
        put_or_null(b, i, r->socket.bytes_known != 0, u64_at(r, c->offset));
        break;
    case FILL_KIND:
        v = u64_at(r, c->offset);
        bulk_u64(b, i, v <= REC_FILE_ANONYMOUS ? v + 1 : 1);
        break;
    case FILL_ACCESS:
        bulk_u64(b, i, access_of(u64_at(r, c->offset)));
        break;
    case FILL_ADDRESS:
        bulk_bytes(b, i, address(&rows->scratch, r, c->offset));
        break;
    case FILL_HARDWARE:
        bulk_bytes(b, i, hardware_text(&rows->scratch, slice_at(r, c->offset)));
        break;
    case FILL_WALL:
        v = u64_at(r, c->offset);
        if (v > 0) {
            bulk_time(b, i, v < (uint64_t)ROW_WALL_MAX ? (int64_t)v : ROW_WALL_MAX);
        } else {
            bulk_null(b, i);
        }
        break;
    }
}

struct times { /* a row's times as the columns get them */
    int64_t first, last, ended, own_first, own_ended;
    bool moved;
};

/* CORRECTNESS 4.3: an end that lies beyond what is kept, or in the future, is its receipt. */
static struct times times_of(const struct rows *r, const struct change *c)
{
    struct times t = { .first = row_wall(c->boot, c->row.first),
                       .last = row_wall(c->boot, c->row.last),
                       .ended = BULK_OPEN_US };

    if (c->row.ended == ROW_OPEN) {
        return t;
    }
    t.ended = row_wall(c->boot, c->row.ended);
    if (t.ended > c->received_us + DAY_US || t.ended < r->oldest_us) {
        t.moved = true;
        t.own_first = t.first;
        t.own_ended = t.ended;
        t.ended = c->received_us;
        t.first = t.first < t.ended ? t.first : t.ended;
        t.last = t.last < t.ended ? t.last : t.ended;
    }
    return t;
}

#define NAME_TEXT_MAX 21u

static void put_names(struct rows *r, struct bulk *b, size_t i, const struct row *row)
{
    char *text = row->names_count > 0 ? arena_alloc(&r->scratch, (size_t)row->names_count * NAME_TEXT_MAX) : NULL;
    size_t len = 0;

    for (unsigned n = 0; text && n < row->names_count; n++) {
        len += (size_t)snprintf(text + len, NAME_TEXT_MAX, n ? " %" PRIu64 : "%" PRIu64, row->names[n]);
    }
    if (text) {
        bulk_bytes(b, i, slice_of(text, len));
    } else {
        bulk_null(b, i);
    }
}

static size_t put_row(struct rows *r, struct bulk *b, size_t i, const struct change *c)
{
    struct times t = times_of(r, c);

    r->figures.moved_times += t.moved;
    bulk_time(b, i++, t.first);
    bulk_time(b, i++, t.last);
    bulk_time(b, i++, t.ended);
    bulk_u64(b, i++, c->row.source + 1U);
    bulk_u64(b, i++, c->row.inferred);
    bulk_u64(b, i++, c->row.unseen);
    bulk_u64(b, i++, t.moved);
    if (t.moved) {
        bulk_time(b, i++, t.own_first);
        bulk_time(b, i++, t.own_ended);
    } else {
        bulk_null(b, i++);
        bulk_null(b, i++);
    }
    if (c->row.before) {
        bulk_time(b, i++, row_wall(c->boot, c->row.before));
    } else {
        bulk_null(b, i++);
    }
    put_names(r, b, i++, &c->row);
    bulk_u64(b, i++, c->row.hash);
    return i;
}

static size_t put_slot(struct rows *r, struct bulk *b, size_t i, const struct table *t, const struct change *c)
{
    bulk_u64(b, i++, c->boot->host_id);
    bulk_u64(b, i++, c->boot->number);
    for (size_t k = 0; k < t->id_count; k++) {
        put_column(r, b, i++, &t->columns[k], c->boot, c->record);
    }
    return i;
}

static void put_key(struct rows *r, struct bulk *b, size_t i, const struct table *t, const struct change *c)
{
    i = put_slot(r, b, i, t, c);
    bulk_time(b, i++, c->key_first);
    bulk_time(b, i, c->key_ended == ROW_KEY_OPEN ? BULK_OPEN_US : c->key_ended);
}

/* --- one statement over all changes of a table ------------------------------------------------------------------ */

static bool belongs(enum table_statement s, const struct change *c)
{
    switch (s) {
    case TABLE_COPY:
        return c->kind == CHANGE_COPY;
    case TABLE_DELETE:
        return c->kind == CHANGE_DELETE;
    case TABLE_END:
        return c->kind == CHANGE_END;
    case TABLE_VOLATILE:
        return c->kind == CHANGE_UPDATE && c->volatiles;
    case TABLE_FIXED:
        return c->kind == CHANGE_UPDATE && c->fixed;
    case TABLE_ARGUMENTS:
        return c->kind == CHANGE_UPDATE && c->arguments;
    case TABLE_UPDATE:
        return c->kind == CHANGE_UPDATE;
    default:
        return c->kind == CHANGE_INSERT || c->kind == CHANGE_END;
    }
}

static bool has_role(const struct table *t, enum column_role role)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->columns[i].role == role) {
            return true;
        }
    }
    return false;
}

static size_t put_columns(struct rows *r, struct bulk *b, const struct table *t, enum column_role role,
                          const struct change *c, const struct record *from)
{
    size_t n = 0;

    for (size_t i = 0; i < t->count; i++) {
        if (t->columns[i].role == role) {
            put_column(r, b, n++, &t->columns[i], c->boot, from);
        }
    }
    return n;
}

static void put_change(struct rows *r, struct bulk *b, enum table_statement s, const struct table *t,
                       const struct change *c)
{
    size_t i;

    switch (s) {
    case TABLE_INSERT:
        i = put_row(r, b, put_slot(r, b, 0, t, c), c);
        for (size_t k = t->id_count; k < t->count; k++) {
            put_column(r, b, i++, &t->columns[k], c->boot, c->record);
        }
        break;
    case TABLE_END:
        i = put_slot(r, b, 0, t, c);
        bulk_time(b, i, row_wall(c->boot, c->row.first));
        break;
    case TABLE_DELETE:
        put_key(r, b, 0, t, c);
        break;
    case TABLE_VOLATILE:
        put_key(r, b, put_columns(r, b, t, COLUMN_VOLATILE, c, c->volatiles), t, c);
        break;
    case TABLE_FIXED:
        put_key(r, b, put_columns(r, b, t, COLUMN_FIXED, c, c->fixed), t, c);
        break;
    case TABLE_ARGUMENTS:
        put_key(r, b, put_columns(r, b, t, COLUMN_ARGUMENTS, c, c->arguments), t, c);
        break;
    default: /* UPDATE, COPY */
        put_key(r, b, put_row(r, b, 0, c), t, c);
        break;
    }
    bulk_next(b);
}

static int run(struct rows *r, struct bulk *b, enum table_statement s, size_t t, struct pofr_err *err)
{
    struct ending *ending = s == TABLE_END && b != r->statements[t][s] ? r->endings[t] : NULL;
    uint64_t affected = 0;
    size_t n = bulk_rows(b);
    int code;

    if (r->scratch.err) {
        bulk_reset(b);
        return pofr_err_set(err, r->scratch.err, "values of %s", tables[t].name);
    }
    if (n == 0) {
        return 0;
    }
    if (ending) {
        code = ending_run(ending, &affected, err);
    } else {
        code = s == TABLE_COPY ? bulk_run_each(b, &affected, err) : bulk_run(b, &affected, err);
    }
    arena_reset(&r->scratch);
    r->error = ending ? ending_error(ending) : bulk_error(b);
    if (code) {
        return pofr_err_prefix(err, "%s", tables[t].name);
    }
    if (s == TABLE_END) {
        r->figures.ended[t] += affected;
    } else if (s == TABLE_INSERT || s == TABLE_COPY) {
        r->figures.inserted[t] += n;
    } else if (s == TABLE_UPDATE) {
        r->figures.updated[t] += n;
    }
    return 0;
}

/* volatiles and others by themselves first: the update may change the key that they are found by */
static const enum table_statement order[] = { TABLE_COPY,  TABLE_DELETE,    TABLE_END,    TABLE_VOLATILE,
                                              TABLE_FIXED, TABLE_ARGUMENTS, TABLE_UPDATE, TABLE_INSERT };

/* Where the values of n changes are put. */
static int statement_for(struct rows *r, size_t t, enum table_statement s, size_t n, struct bulk **out,
                         struct pofr_err *err)
{
    int code = 0;

    if (s != TABLE_END || n < ENDING_MANY) {
        return statement(r, t, s, out, err);
    }
    if (!r->endings[t]) {
        code = ending_new(r->db, &tables[t], &r->endings[t], err);
        r->error = 0;
    }
    *out = r->endings[t] ? ending_keys(r->endings[t]) : NULL;
    return code;
}

static int write_table(struct rows *r, const struct changes *c, size_t t, struct pofr_err *err)
{
    size_t wanted[TABLE_STATEMENTS] = { 0 };
    int code = 0;

    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i].record->entity == tables[t].entity) {
            for (size_t s = 0; s < pofr_countof(order); s++) {
                wanted[order[s]] += belongs(order[s], &c->list[i]);
            }
        }
    }
    wanted[TABLE_VOLATILE] *= has_role(&tables[t], COLUMN_VOLATILE);
    wanted[TABLE_FIXED] *= has_role(&tables[t], COLUMN_FIXED);
    wanted[TABLE_ARGUMENTS] *= has_role(&tables[t], COLUMN_ARGUMENTS);
    for (size_t s = 0; s < pofr_countof(order) && code == 0; s++) {
        struct bulk *b = NULL;

        if (wanted[order[s]] == 0) {
            continue;
        }
        code = statement_for(r, t, order[s], wanted[order[s]], &b, err);
        for (size_t i = 0; i < c->count && code == 0; i++) {
            if (c->list[i].record->entity == tables[t].entity && belongs(order[s], &c->list[i])) {
                put_change(r, b, order[s], &tables[t], &c->list[i]);
                if (bulk_full(b)) {
                    code = run(r, b, order[s], t, err);
                }
            }
        }
        if (code == 0) {
            code = run(r, b, order[s], t, err);
        } else if (b) {
            bulk_reset(b);
        }
    }
    return code;
}

/* --- texts ------------------------------------------------------------------------------------------------------- */

static int want(struct rows *r, const struct record *from)
{
    const struct table *t = table_of(from->entity);

    for (size_t i = 0; i < t->count; i++) {
        const struct table_column *c = &t->columns[i];

        if (c->fill == FILL_STRING || c->fill == FILL_STRING_NULL) {
            struct slice s = slice_at(from, c->offset);
            int code = s.len > 0 || c->fill == FILL_STRING ? strings_want(r->strings, s) : 0;

            if (code) {
                return code;
            }
        }
    }
    return 0;
}

static int resolve(struct rows *r, const struct changes *c, struct pofr_err *err)
{
    int code = 0;

    for (size_t i = 0; i < c->count && code == 0; i++) {
        const struct change *change = &c->list[i];

        if (change->record->entity > REC_SOCKET) {
            continue;
        }
        if (change->kind == CHANGE_INSERT || change->kind == CHANGE_END) {
            code = want(r, change->record);
        } else if (change->fixed) {
            code = want(r, change->fixed);
        }
    }
    return code ? pofr_err_set(err, code, "texts of rows") : strings_resolve(r->strings, err);
}

int rows_write(struct rows *r, struct changes *c, struct pofr_err *err)
{
    int code = c->err;

    r->error = 0;
    if (code) {
        changes_reset(c);
        return pofr_err_set(err, code, "changes of a transaction");
    }
    if (c->count == 0) {
        return 0;
    }
    code = resolve(r, c, err);
    for (size_t t = 0; t < TABLES_COUNT && code == 0; t++) {
        code = write_table(r, c, t, err);
    }
    changes_reset(c);
    return code;
}
