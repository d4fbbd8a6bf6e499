/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bulk DELETE is executed by the server row by row, each time from the opening of the table on (25 us a row); only an INSERT is
 * one statement for all of its rows. So the keys are inserted, which costs 1 us each, and one DELETE joins them: it finds
 * each row by its whole primary key, in the partition of open rows alone.
 *
 * A table in memory does not know transactions: it is emptied before it is filled, not after.
 */
#include "workers/ending.h"

#include <stdlib.h>

#include "common/db/db.h"
#include "workers/bulk.h"

struct ending {
    struct db *db;
    const struct table *table;
    struct bulk *keys;
    struct buf clear, delete;
    unsigned error;
};

static void columns_text(const struct table *t, struct buf *sql)
{
    buf_str(sql, "host_id, boot");
    for (size_t i = 0; i < t->id_count; i++) {
        buf_printf(sql, ", %s", t->columns[i].name);
    }
    buf_str(sql, ", first_seen");
}

static void delete_text(const struct table *t, struct buf *sql)
{
    buf_printf(
        sql,
        "DELETE t FROM ending_%s k STRAIGHT_JOIN %s t FORCE INDEX (PRIMARY) ON t.host_id = k.host_id AND t.boot = "
        "k.boot AND t.first_seen = k.first_seen",
        t->name, t->name);
    for (size_t i = 0; i < t->id_count; i++) {
        buf_printf(sql, " AND t.%s = k.%s", t->columns[i].name, t->columns[i].name);
    }
    buf_str(sql, " WHERE t.ended = '9999-12-31 23:59:59.999999'");
}

static int run(struct ending *e, const struct buf *sql, struct pofr_err *err)
{
    int code = sql->err ? pofr_err_set(err, sql->err, "statement") : db_script(e->db, buf_slice(sql), err);

    e->error = code ? db_last_error(e->db) : 0;
    return code;
}

/* Types and lengths are those of the table itself. */
static int make(struct ending *e, struct pofr_err *err)
{
    struct buf sql = BUF_INIT(4096);
    int code;

    buf_printf(&sql, "CREATE OR REPLACE TEMPORARY TABLE ending_%s ENGINE = MEMORY AS SELECT ", e->table->name);
    columns_text(e->table, &sql);
    buf_printf(&sql, " FROM %s LIMIT 0", e->table->name);
    code = run(e, &sql, err);
    buf_free(&sql);
    if (code == POFR_EPERMISSION) { /* the account is older than we are */
        (void)pofr_err_prefix(err, "temporary tables are a right that pofrctl migrate gives");
    }
    return code == POFR_EDBREFUSED ? POFR_ECONFIG : code; /* the schema is not the one we know, no data's fault */
}

static int prepare(struct ending *e, struct pofr_err *err)
{
    enum bulk_type types[BULK_COLUMNS_MAX];
    struct buf sql = BUF_INIT(4096), ignored = BUF_INIT(4096);
    size_t n = table_statement(e->table, TABLE_END, &ignored, types);
    int code;

    buf_printf(&sql, "INSERT INTO ending_%s (", e->table->name);
    columns_text(e->table, &sql);
    buf_str(&sql, ") VALUES (?");
    for (size_t i = 1; i < n; i++) {
        buf_str(&sql, ", ?");
    }
    buf_str(&sql, ")");
    code = buf_cstr(&sql) ? bulk_new(e->db, buf_cstr(&sql), types, n, &e->keys, err)
                          : pofr_err_set(err, POFR_ENOMEM, "statement");
    buf_free(&sql);
    buf_free(&ignored);
    return code;
}

int ending_new(struct db *db, const struct table *t, struct ending **out, struct pofr_err *err)
{
    struct ending *e = calloc(1, sizeof(*e));
    int code;

    if (!e) {
        return pofr_err_set(err, POFR_ENOMEM, "statement");
    }
    e->db = db;
    e->table = t;
    buf_init(&e->clear, 4096);
    buf_init(&e->delete, 4096);
    buf_printf(&e->clear, "DELETE FROM ending_%s", t->name);
    delete_text(t, &e->delete);
    code = make(e, err);
    if (code == 0) {
        code = prepare(e, err);
    }
    if (code) {
        ending_free(e);
        return code;
    }
    *out = e;
    return 0;
}

void ending_free(struct ending *e)
{
    if (!e) {
        return;
    }
    bulk_free(e->keys);
    buf_free(&e->clear);
    buf_free(&e->delete);
    free(e);
}

struct bulk *ending_keys(struct ending *e)
{
    return e->keys;
}

int ending_run(struct ending *e, uint64_t *out_affected, struct pofr_err *err)
{
    int code = run(e, &e->clear, err);

    if (code) {
        bulk_reset(e->keys);
        return code;
    }
    code = bulk_run(e->keys, NULL, err);
    e->error = bulk_error(e->keys);
    if (code == 0) {
        code = run(e, &e->delete, err);
        *out_affected = db_affected(e->db);
    }
    return code;
}

unsigned ending_error(const struct ending *e)
{
    return e->error;
}
