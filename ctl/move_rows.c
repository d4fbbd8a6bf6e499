/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ORDER  Rows are read in the order of the primary key, so many at a time, each time from behind the last key on; every statement
 *        that writes is a transaction of its own. Nothing is kept of how far it got: who begins again deletes first.
 * TEXT   Values go over as bytes or numbers, as the server gives them; only ids of strings are looked up.
 */
#include "ctl/move_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/os/stop_point.h"
#include "ctl/move_strings.h"

#define COLUMNS_MAX       96u
#define KEYS_MAX          16u
#define BATCH_ROWS        500u
#define INSERT_BYTES      (1U << 20) /* one row may be more */
#define DELETE_ROWS       5000u
#define TRIES             20
#define LOCK_WAIT_TIMEOUT 1205 /* of the server */
#define LOCK_DEADLOCK     1213

struct kind { /* of table */
    const char *table;
    const char *by;
    const char *strings;
    bool left; /* not copied */
};

#define MOVE_TABLE(table, by, strings) { #table, #by, strings, false },
#define MOVE_LEFT(table, by)           { #table, #by, "", true },
static const struct kind kinds[] = {
#include "ctl/move.def"
};

struct column {
    char name[65];
    bool string; /* holds an id of table string */
    bool large;
};

struct layout {
    const struct kind *kind;
    struct column columns[COLUMNS_MAX];
    size_t count;
    size_t keys[KEYS_MAX]; /* columns of the primary key, but the one that is the same in all rows */
    size_t keys_count;
};

struct copy {
    struct db *from, *to;
    struct strings *strings;
    struct layout layout;
    uint64_t rows;
};

static bool by_host(const struct kind *k)
{
    return strcmp(k->by, "host_id") == 0;
}

static const char *where(const struct kind *k)
{
    return by_host(k) ? "host_id = ?" : strcmp(k->by, "slot") == 0 ? "slot = ?" : "host_id MOD 1024 = ?";
}

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = words; (at = strstr(at, word)) != NULL; at += len) {
        if ((at == words || at[-1] == ' ') && (at[len] == 0 || at[len] == ' ')) {
            return true;
        }
    }
    return false;
}

/* Others write there, too. */
int move_run(struct db *db, const char *sql, const struct db_value *values, size_t count, struct db_result **out,
             struct pofr_err *err)
{
    int code = db_run(db, sql, values, count, out, err);

    for (int i = 0; i < TRIES && code == POFR_EDBBUSY &&
                    (db_last_error(db) == LOCK_DEADLOCK || db_last_error(db) == LOCK_WAIT_TIMEOUT);
         i++) {
        code = db_run(db, sql, values, count, out, err);
    }
    return code;
}

int move_rows_known(struct db *shard, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code =
        db_run(shard,
               "SELECT DISTINCT c.table_name FROM information_schema.columns c JOIN information_schema.tables t ON "
               "t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE' "
               "WHERE c.table_schema = 'pofr_store' AND (c.column_name IN ('host_id', 'slot')) AND c.table_name "
               "NOT IN ('slot', 'ingest_offset')",
               NULL, 0, &r, err);

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        const char *name = (const char *)db_get(r, i, 0).data;
        bool known = false;

        for (size_t k = 0; k < pofr_countof(kinds); k++) {
            known = known || strcmp(kinds[k].table, name) == 0;
        }
        if (!known) {
            code = pofr_err_set(err, POFR_EREFUSED, "table %s of the shard is not known to this pofrctl", name);
        }
    }
    db_result_free(r);
    return code;
}

static int read_keys(struct db *db, struct layout *l, struct pofr_err *err)
{
    struct db_value value = DB_V_C(l->kind->table);
    struct db_result *r = NULL;
    int code = db_run(db,
                      "SELECT column_name FROM information_schema.statistics WHERE table_schema = 'pofr_store' AND "
                      "table_name = ? AND index_name = 'PRIMARY' ORDER BY seq_in_index",
                      &value, 1, &r, err);

    for (size_t i = 0; !code && i < db_rows(r); i++) {
        const char *name = (const char *)db_get(r, i, 0).data;

        for (size_t c = 0; c < l->count && l->keys_count < KEYS_MAX && strcmp(name, l->kind->by) != 0; c++) {
            if (strcmp(l->columns[c].name, name) == 0) {
                l->keys[l->keys_count++] = c;
            }
        }
    }
    db_result_free(r);
    return code;
}

static int read_layout(struct db *db, const struct kind *k, struct layout *out, struct pofr_err *err)
{
    struct db_value value = DB_V_C(k->table);
    struct db_result *r = NULL;
    int code = db_run(db,
                      "SELECT column_name, data_type LIKE '%blob' FROM information_schema.columns WHERE table_schema = "
                      "'pofr_store' AND table_name = ? ORDER BY ordinal_position",
                      &value, 1, &r, err);

    memset(out, 0, sizeof(*out));
    out->kind = k;
    if (!code && (db_rows(r) == 0 || db_rows(r) > COLUMNS_MAX)) {
        code = pofr_err_set(err, POFR_ECONFIG, "table %s has %zu columns", k->table, db_rows(r));
    }
    for (size_t i = 0; !code && i < db_rows(r); i++) {
        struct column *c = &out->columns[out->count++];

        snprintf(c->name, sizeof(c->name), "%s", (const char *)db_get(r, i, 0).data);
        c->string = has_word(k->strings, c->name);
        c->large = db_get_u64(r, i, 1) != 0;
    }
    db_result_free(r);
    return code ? code : read_keys(db, out, err);
}

/* Bound as numbers, so that they are compared as numbers. */
static struct db_value value_of(const struct db_result *r, size_t row, size_t column)
{
    struct slice s = db_get(r, row, column);

    if (db_is_null(r, row, column)) {
        return DB_V_NULL;
    }
    if (!db_is_number(r, column)) {
        return DB_V_S(s);
    }
    return s.len && s.data[0] == '-' ? DB_V_I(strtoll((const char *)s.data, NULL, 10))
                                     : DB_V_U(db_get_u64(r, row, column));
}

/* --- reading ---------------------------------------------------------------------------------------------------------- */

/* Behind the last row: (a > ?) or (a = ? and b > ?) or ..., which the server reads from the index, other than (a, b) > (?, ?). */
static size_t add_behind(const struct layout *l, const struct db_result *last, struct buf *sql, struct db_value *values)
{
    size_t n = 0;
    size_t row = db_rows(last) - 1;

    buf_str(sql, " AND (");
    for (size_t i = 0; i < l->keys_count; i++) {
        buf_str(sql, i ? " OR (" : "(");
        for (size_t k = 0; k <= i; k++) {
            buf_printf(sql, "%s`%s` %s ?", k ? " AND " : "", l->columns[l->keys[k]].name, k < i ? "=" : ">");
            values[n++] = value_of(last, row, l->keys[k]);
        }
        buf_str(sql, ")");
    }
    buf_str(sql, ")");
    return n;
}

static int read_batch(const struct copy *c, uint64_t id, const struct db_result *last, size_t max,
                      struct db_result **out, struct pofr_err *err)
{
    const struct layout *l = &c->layout;
    struct db_value values[1 + KEYS_MAX * (KEYS_MAX + 1) / 2 + 1];
    struct buf sql = BUF_INIT(65536);
    size_t n = 1;
    int code;

    values[0] = DB_V_U(id);
    for (size_t i = 0; i < l->count; i++) {
        buf_printf(&sql, "%s`%s`", i ? ", " : "SELECT ", l->columns[i].name);
    }
    buf_printf(&sql, " FROM `%s` WHERE %s", l->kind->table, where(l->kind));
    if (last) {
        n += add_behind(l, last, &sql, values + n);
    }
    for (size_t i = 0; i < l->keys_count; i++) {
        buf_printf(&sql, "%s`%s`", i ? ", " : " ORDER BY ", l->columns[l->keys[i]].name);
    }
    buf_str(&sql, " LIMIT ?");
    values[n++] = DB_V_U(max);
    code = buf_cstr(&sql) ? db_run(c->from, (const char *)sql.data, values, n, out, err) : sql.err;
    buf_free(&sql);
    return code;
}

/* --- writing ---------------------------------------------------------------------------------------------------------- */

static int learn_strings(struct copy *c, const struct db_result *r, struct pofr_err *err)
{
    const struct layout *l = &c->layout;

    strings_begin(c->strings);
    for (size_t i = 0; i < l->count; i++) {
        for (size_t row = 0; l->columns[i].string && row < db_rows(r); row++) {
            int code = strings_want(c->strings, db_get_u64(r, row, i), err);

            if (code) {
                return code;
            }
        }
    }
    return strings_learn(c->strings, err);
}

static size_t fill(const struct copy *c, const struct db_result *r, size_t row, struct db_value *values)
{
    size_t bytes = 0;

    for (size_t i = 0; i < c->layout.count; i++) {
        values[i] = value_of(r, row, i);
        if (c->layout.columns[i].string && values[i].kind != DB_NULL) {
            values[i] = DB_V_U(strings_id(c->strings, values[i].u));
        }
        bytes += values[i].kind == DB_BYTES ? values[i].bytes.len : 8;
    }
    return bytes;
}

static int insert(const struct copy *c, const struct db_value *values, size_t rows, struct pofr_err *err)
{
    const struct layout *l = &c->layout;
    struct buf sql = BUF_INIT(1U << 20);
    int code;

    buf_printf(&sql, "INSERT INTO `%s` (", l->kind->table);
    for (size_t i = 0; i < l->count; i++) {
        buf_printf(&sql, "%s`%s`", i ? ", " : "", l->columns[i].name);
    }
    buf_str(&sql, ") VALUES ");
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < l->count; i++) {
            buf_str(&sql, i ? ",?" : row ? "),(?" : "(?");
        }
    }
    buf_str(&sql, ")");
    code = buf_cstr(&sql) ? move_run(c->to, (const char *)sql.data, values, rows * l->count, NULL, err) : sql.err;
    buf_free(&sql);
    STOP_POINT("move_inserted");
    return code;
}

static int write_batch(struct copy *c, const struct db_result *r, struct pofr_err *err)
{
    size_t columns = c->layout.count;
    size_t begun = 0, bytes = 0;
    struct db_value *values = calloc(db_rows(r) * columns, sizeof(*values));
    int code = values ? learn_strings(c, r, err) : pofr_err_set(err, POFR_ENOMEM, "rows");

    for (size_t row = 0; !code && row < db_rows(r); row++) {
        bytes += fill(c, r, row, &values[row * columns]);
        if (bytes >= INSERT_BYTES || row + 1 == db_rows(r)) {
            code = insert(c, &values[begun * columns], row + 1 - begun, err);
            begun = row + 1;
            bytes = 0;
        }
    }
    c->rows += code ? 0 : db_rows(r);
    free(values);
    return code;
}

/* One host of a table, or the slot of one that is by slot. */
static int copy_part(struct copy *c, uint64_t id, struct pofr_err *err)
{
    struct db_result *last = NULL;
    size_t max = BATCH_ROWS;
    bool more = true;
    int code = 0;

    while (!code && more) {
        struct db_result *r = NULL;

        code = read_batch(c, id, last, max, &r, err);
        if (code == POFR_ETOOBIG && max > 1) { /* large values */
            max /= 2;
            code = 0;
            continue;
        }
        if (!code && db_rows(r)) {
            code = write_batch(c, r, err);
        }
        more = !code && c->layout.keys_count && db_rows(r) == max;
        db_result_free(last);
        last = r;
    }
    db_result_free(last);
    return code;
}

/* --- which hosts ------------------------------------------------------------------------------------------------------ */

static int hosts_of(struct db *db, unsigned slot, struct db_result **out, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(slot), DB_V_U(slot), DB_V_U(slot) };

    return db_run(
        db,
        "SELECT host_id FROM host WHERE slot = ? UNION SELECT host_id FROM host_state WHERE host_id MOD 1024 = "
        "? UNION SELECT host_id FROM tombstone WHERE host_id MOD 1024 = ? ORDER BY 1",
        values, 3, out, err);
}

int move_rows_copy(struct db *from, struct db *to, unsigned slot, uint64_t *out_rows, struct pofr_err *err)
{
    struct copy c = { .from = from, .to = to };
    struct db_result *hosts = NULL;
    int code = hosts_of(from, slot, &hosts, err);

    if (!code) {
        code = strings_new(from, to, &c.strings, err);
    }
    for (size_t k = 0; k < pofr_countof(kinds) && !code; k++) {
        if (kinds[k].left) {
            continue;
        }
        code = read_layout(from, &kinds[k], &c.layout, err);
        if (!by_host(&kinds[k])) {
            code = code ? code : copy_part(&c, slot, err);
        }
        for (size_t i = 0; by_host(&kinds[k]) && i < db_rows(hosts) && !code; i++) {
            code = copy_part(&c, db_get_u64(hosts, i, 0), err);
        }
        if (code) {
            code = pofr_err_prefix(err, "table %s", kinds[k].table);
        }
    }
    strings_free(c.strings);
    db_result_free(hosts);
    if (!code) {
        *out_rows = c.rows;
    }
    return code;
}

/* --- comparing -------------------------------------------------------------------------------------------------------- */

/* Of strings the digest is compared. NULL is no value that a column could have. */
static int add_sum(const struct layout *l, struct buf *sql)
{
    buf_str(sql, "SELECT COUNT(*), COALESCE(SUM(CRC32(CONCAT_WS(','");
    for (size_t i = 0; i < l->count; i++) {
        const struct column *c = &l->columns[i];

        buf_printf(sql,
                   c->string  ? ", IFNULL((SELECT HEX(s.digest) FROM string s WHERE s.id = x.`%s`), '-')"
                   : c->large ? ", IFNULL(MD5(x.`%s`), '-')"
                              : ", IFNULL(HEX(CONCAT(x.`%s`)), '-')",
                   c->name);
    }
    buf_printf(sql, "))), 0) FROM `%s` x WHERE %s", l->kind->table, where(l->kind));
    return buf_cstr(sql) ? 0 : sql->err;
}

static int compare_part(struct db *a, struct db *b, const char *sql, uint64_t id, bool *out_same, struct pofr_err *err)
{
    struct db_value value = DB_V_U(id);
    struct db_result *one = NULL, *two = NULL;
    int code = db_run(a, sql, &value, 1, &one, err);

    if (!code) {
        code = db_run(b, sql, &value, 1, &two, err);
    }
    if (!code) {
        *out_same = slice_eq(db_get(one, 0, 0), db_get(two, 0, 0)) && slice_eq(db_get(one, 0, 1), db_get(two, 0, 1));
    }
    db_result_free(one);
    db_result_free(two);
    return code;
}

static int compare_table(struct db *a, struct db *b, const struct kind *k, unsigned slot, const struct db_result *hosts,
                         bool *out_same, struct pofr_err *err)
{
    struct buf sql = BUF_INIT(65536);
    struct layout l;
    bool same = true;
    int code = read_layout(a, k, &l, err);

    if (!code) {
        code = add_sum(&l, &sql);
    }
    if (!code && !by_host(k)) {
        code = compare_part(a, b, (const char *)sql.data, slot, &same, err);
    }
    for (size_t i = 0; by_host(k) && i < db_rows(hosts) && !code && same; i++) {
        code = compare_part(a, b, (const char *)sql.data, db_get_u64(hosts, i, 0), &same, err);
    }
    buf_free(&sql);
    if (!code) {
        *out_same = same;
    }
    return code;
}

int move_rows_compare(struct db *a, struct db *b, unsigned slot, const char **out_table, struct pofr_err *err)
{
    struct db_result *hosts = NULL;
    const char *table = NULL;
    int code = hosts_of(a, slot, &hosts, err);

    for (size_t k = 0; k < pofr_countof(kinds) && !code && !table; k++) {
        bool same = true;

        if (!kinds[k].left) {
            code = compare_table(a, b, &kinds[k], slot, hosts, &same, err);
        }
        table = same ? NULL : kinds[k].table;
    }
    db_result_free(hosts);
    if (!code) {
        *out_table = table;
    }
    return code;
}

/* --- deleting --------------------------------------------------------------------------------------------------------- */

static int delete_part(struct db *db, const struct kind *k, uint64_t id, uint64_t *rows, struct pofr_err *err)
{
    struct db_value values[] = { DB_V_U(id), DB_V_U(DELETE_ROWS) };
    struct buf sql = BUF_INIT(1024);
    int code;

    buf_printf(&sql, "DELETE FROM `%s` WHERE %s LIMIT ?", k->table, where(k));
    code = buf_cstr(&sql) ? 0 : sql.err;
    while (!code) {
        code = move_run(db, (const char *)sql.data, values, 2, NULL, err);
        *rows += code ? 0 : db_affected(db);
        if (code || db_affected(db) < DELETE_ROWS) {
            break;
        }
    }
    buf_free(&sql);
    return code;
}

static int delete_hosts(struct db *db, const struct kind *k, const struct db_result *hosts, uint64_t *rows,
                        struct pofr_err *err)
{
    int code = 0;

    for (size_t i = 0; hosts && i < db_rows(hosts) && !code; i++) {
        code = delete_part(db, k, db_get_u64(hosts, i, 0), rows, err);
    }
    return code;
}

int move_rows_delete(struct db *shard, struct db *more, unsigned slot, uint64_t *out_rows, struct pofr_err *err)
{
    struct db_result *own = NULL, *other = NULL;
    uint64_t rows = 0;
    int code = hosts_of(shard, slot, &own, err);

    if (!code && more) {
        code = hosts_of(more, slot, &other, err);
    }
    for (size_t k = 0; k < pofr_countof(kinds) && !code; k++) {
        if (by_host(&kinds[k])) {
            code = delete_hosts(shard, &kinds[k], own, &rows, err);
            code = code ? code : delete_hosts(shard, &kinds[k], other, &rows, err);
        } else {
            code = delete_part(shard, &kinds[k], slot, &rows, err);
        }
    }
    db_result_free(own);
    db_result_free(other);
    if (!code) {
        *out_rows = rows;
    }
    return code;
}
