/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connector/C, found by trial: STMT_ATTR_ARRAY_SIZE before each bind; fixed types are arrays side by side, strings
 * arrays of pointers and lengths, but DATETIME an array of pointers to MYSQL_TIME; NULL by an indicator per value.
 */
#include "workers/bulk.h"

#include <stdlib.h>
#include <string.h>

#include <mysql.h>

#include "common/db/db.h"

#define DAY_US INT64_C(86400000000)

struct column {
    enum bulk_type type;
    char *indicators;
    union {
        uint64_t *numbers;
        struct {
            MYSQL_TIME *values;
            MYSQL_TIME **pointers;
        } times;
        struct {
            const void **pointers;
            unsigned long *lengths;
        } bytes;
    };
};

struct bulk {
    struct db *db;
    MYSQL_STMT *stmt;
    struct column *columns;
    MYSQL_BIND *binds;
    size_t columns_count;
    size_t rows;
    size_t room;
    size_t bytes;
    unsigned error;
    int64_t day;     /* of the last time that was put, */
    MYSQL_TIME date; /* and its date: rows lie close together */
};

/* Days since 1970 -> year, month, day (proleptic Gregorian; days from 0 on). */
static void civil(int64_t days, MYSQL_TIME *out)
{
    int64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

    out->day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    out->month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    out->year = (unsigned)(yoe + era * 400 + (out->month <= 2));
}

static bool room_for(struct bulk *b, size_t rows)
{
    for (size_t i = 0; i < b->columns_count; i++) {
        struct column *c = &b->columns[i];
        void *p = realloc(c->indicators, rows);

        if (!p) {
            return false;
        }
        c->indicators = p;
        if (c->type == BULK_TIME) {
            p = reallocarray(c->times.values, rows, sizeof(*c->times.values));
            if (!p) {
                return false;
            }
            c->times.values = p;
            p = reallocarray(c->times.pointers, rows, sizeof(*c->times.pointers));
            if (!p) {
                return false;
            }
            c->times.pointers = p;
            for (size_t r = 0; r < rows; r++) {
                c->times.pointers[r] = &c->times.values[r];
            }
        } else if (c->type == BULK_BYTES) {
            p = reallocarray(c->bytes.pointers, rows, sizeof(*c->bytes.pointers));
            if (!p) {
                return false;
            }
            c->bytes.pointers = p;
            p = reallocarray(c->bytes.lengths, rows, sizeof(*c->bytes.lengths));
            if (!p) {
                return false;
            }
            c->bytes.lengths = p;
        } else {
            p = reallocarray(c->numbers, rows, sizeof(*c->numbers));
            if (!p) {
                return false;
            }
            c->numbers = p;
        }
    }
    b->room = rows;
    return true;
}

int bulk_new(struct db *db, const char *sql, const enum bulk_type *types, size_t columns, struct bulk **out,
             struct pofr_err *err)
{
    struct bulk *b = calloc(1, sizeof(*b));
    int code = 0;

    if (!b) {
        return pofr_err_set(err, POFR_ENOMEM, "statement");
    }
    b->day = -1;
    b->db = db;
    b->columns = calloc(columns, sizeof(*b->columns));
    b->binds = calloc(columns, sizeof(*b->binds));
    b->columns_count = columns;
    b->stmt = mysql_stmt_init(db_handle(db));
    if (!b->columns || !b->binds || !b->stmt) {
        code = pofr_err_set(err, POFR_ENOMEM, "statement");
        goto out;
    }
    for (size_t i = 0; i < columns; i++) {
        b->columns[i].type = types[i];
    }
    if (mysql_stmt_prepare(b->stmt, sql, strlen(sql))) {
        code = db_code_of(mysql_stmt_errno(b->stmt)); /* refused: the schema is not the one we know, no data's fault */
        code = pofr_err_set(err, code == POFR_EDBREFUSED ? POFR_ECONFIG : code, "%s (%u)", mysql_stmt_error(b->stmt),
                            mysql_stmt_errno(b->stmt));
        goto out;
    }
    if (mysql_stmt_param_count(b->stmt) != columns) {
        code = pofr_err_set(err, POFR_EUSAGE, "statement takes %lu values, %zu given", mysql_stmt_param_count(b->stmt),
                            columns);
        goto out;
    }
    *out = b;
    b = NULL;
out:
    bulk_free(b);
    return code;
}

void bulk_free(struct bulk *b)
{
    if (!b) {
        return;
    }
    if (b->stmt) {
        mysql_stmt_close(b->stmt);
    }
    for (size_t i = 0; b->columns && i < b->columns_count; i++) {
        struct column *c = &b->columns[i];

        free(c->indicators);
        if (c->type == BULK_TIME) {
            free(c->times.values);
            free(c->times.pointers);
        } else if (c->type == BULK_BYTES) {
            free(c->bytes.pointers);
            free(c->bytes.lengths);
        } else {
            free(c->numbers);
        }
    }
    free(b->columns);
    free(b->binds);
    free(b);
}

/* The first value of a row makes room for it; without memory the row's values go nowhere and bulk_run() says so. */
static struct column *at(struct bulk *b, size_t column)
{
    if (b->rows >= b->room) {
        size_t room = b->room ? b->room * 2 : 64;

        if (!room_for(b, room < BULK_ROWS_MAX ? room : BULK_ROWS_MAX)) {
            return NULL;
        }
    }
    return b->rows < b->room ? &b->columns[column] : NULL;
}

void bulk_u64(struct bulk *b, size_t column, uint64_t v)
{
    struct column *c = at(b, column);

    if (c) {
        c->numbers[b->rows] = v;
        c->indicators[b->rows] = STMT_INDICATOR_NONE;
    }
}

void bulk_i64(struct bulk *b, size_t column, int64_t v)
{
    bulk_u64(b, column, (uint64_t)v);
}

void bulk_time(struct bulk *b, size_t column, int64_t wall_us)
{
    struct column *c = at(b, column);
    MYSQL_TIME *t;
    int64_t rest;

    if (!c) {
        return;
    }
    wall_us = wall_us < 0 ? 0 : wall_us > BULK_OPEN_US ? BULK_OPEN_US : wall_us;
    rest = wall_us % DAY_US;
    if (wall_us / DAY_US != b->day) {
        b->day = wall_us / DAY_US;
        civil(b->day, &b->date);
    }
    t = &c->times.values[b->rows];
    *t = b->date;
    t->second_part = (unsigned long)(rest % 1000000);
    rest /= 1000000;
    t->second = (unsigned)(rest % 60);
    t->minute = (unsigned)(rest / 60 % 60);
    t->hour = (unsigned)(rest / 3600);
    t->time_type = MYSQL_TIMESTAMP_DATETIME;
    c->indicators[b->rows] = STMT_INDICATOR_NONE;
}

void bulk_bytes(struct bulk *b, size_t column, struct slice v)
{
    struct column *c = at(b, column);

    if (c) {
        c->bytes.pointers[b->rows] = v.len ? (const void *)v.data : "";
        c->bytes.lengths[b->rows] = v.len;
        c->indicators[b->rows] = STMT_INDICATOR_NONE;
        b->bytes += v.len;
    }
}

void bulk_null(struct bulk *b, size_t column)
{
    struct column *c = at(b, column);

    if (c) {
        c->indicators[b->rows] = STMT_INDICATOR_NULL;
        if (c->type == BULK_BYTES) {
            c->bytes.pointers[b->rows] = "";
            c->bytes.lengths[b->rows] = 0;
        } else if (c->type == BULK_TIME) {
            memset(&c->times.values[b->rows], 0, sizeof(MYSQL_TIME));
            c->times.values[b->rows].time_type = MYSQL_TIMESTAMP_DATETIME;
        } else {
            c->numbers[b->rows] = 0;
        }
    }
}

void bulk_next(struct bulk *b)
{
    b->rows++;
    b->bytes += b->columns_count * 8;
}

size_t bulk_rows(const struct bulk *b)
{
    return b->rows;
}

bool bulk_full(const struct bulk *b)
{
    return b->rows >= BULK_ROWS_MAX || b->bytes >= BULK_BYTES_MAX;
}

void bulk_reset(struct bulk *b)
{
    b->rows = 0;
    b->bytes = 0;
}

unsigned bulk_error(const struct bulk *b)
{
    return b->error;
}

static void bind_column(MYSQL_BIND *bind, struct column *c)
{
    memset(bind, 0, sizeof(*bind));
    bind->u.indicator = c->indicators;
    switch (c->type) {
    case BULK_U64:
    case BULK_I64:
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        bind->is_unsigned = c->type == BULK_U64;
        bind->buffer = c->numbers;
        break;
    case BULK_TIME:
        bind->buffer_type = MYSQL_TYPE_DATETIME;
        bind->buffer = c->times.pointers;
        break;
    case BULK_BYTES:
        bind->buffer_type = MYSQL_TYPE_BLOB;
        bind->buffer = c->bytes.pointers;
        bind->length = c->bytes.lengths;
        break;
    }
}

/* One value, as a statement takes it without an array. */
static void bind_value(MYSQL_BIND *bind, struct column *c, size_t row)
{
    memset(bind, 0, sizeof(*bind));
    switch (c->type) {
    case BULK_U64:
    case BULK_I64:
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        bind->is_unsigned = c->type == BULK_U64;
        bind->buffer = &c->numbers[row];
        break;
    case BULK_TIME:
        bind->buffer_type = MYSQL_TYPE_DATETIME;
        bind->buffer = &c->times.values[row];
        break;
    case BULK_BYTES:
        bind->buffer_type = MYSQL_TYPE_BLOB;
        bind->buffer = (void *)(uintptr_t)c->bytes.pointers[row];
        bind->length = &c->bytes.lengths[row];
        break;
    }
    if (c->indicators[row] != STMT_INDICATOR_NONE) {
        bind->buffer_type = MYSQL_TYPE_NULL;
    }
}

/* What is bound, of one row or of an array of them (rows 0: without one). */
static int execute(struct bulk *b, unsigned rows, uint64_t *affected, struct pofr_err *err)
{
    int code = 0;

    if (mysql_stmt_attr_set(b->stmt, STMT_ATTR_ARRAY_SIZE, &rows) || mysql_stmt_bind_param(b->stmt, b->binds) ||
        mysql_stmt_execute(b->stmt)) {
        b->error = mysql_stmt_errno(b->stmt);
        code = pofr_err_set(err, db_code_of(b->error), "%s (%u)", mysql_stmt_error(b->stmt), b->error);
    } else {
        *affected += mysql_stmt_affected_rows(b->stmt);
    }
    db_beat(b->db);
    return code;
}

static int run(struct bulk *b, bool each, uint64_t *out_affected, struct pofr_err *err)
{
    uint64_t affected = 0;
    int code = b->rows > b->room ? pofr_err_set(err, POFR_ENOMEM, "rows of a statement") : 0;

    b->error = 0;
    for (size_t row = 0; row < b->rows && code == 0; row += each ? 1 : b->rows) {
        for (size_t i = 0; i < b->columns_count; i++) {
            if (each) {
                bind_value(&b->binds[i], &b->columns[i], row);
            } else {
                bind_column(&b->binds[i], &b->columns[i]);
            }
        }
        code = execute(b, each ? 0 : (unsigned)b->rows, &affected, err);
    }
    if (code == 0 && out_affected) {
        *out_affected = affected;
    }
    bulk_reset(b);
    return code;
}

int bulk_run(struct bulk *b, uint64_t *out_affected, struct pofr_err *err)
{
    return run(b, false, out_affected, err);
}

int bulk_run_each(struct bulk *b, uint64_t *out_affected, struct pofr_err *err)
{
    return run(b, true, out_affected, err);
}
