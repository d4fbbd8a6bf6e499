/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/db/db.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/db/db_parts.h"
#include "common/os/fsio.h"
#include "common/tls/tls_expiry.h"

struct kept { /* a statement that stays prepared */
    MYSQL_STMT *stmt;
    char *sql;
    uint64_t used; /* when, in runs */
};

struct db {
    MYSQL *mysql;
    atomic_uint_fast64_t *beats;
    unsigned last_error;
    uint64_t affected;
    uint64_t insert_id;
    struct kept *kept; /* NULL: none is kept */
    size_t kept_count, kept_max;
    uint64_t runs;
};

struct db_cell {
    struct slice bytes;
    bool null;
};

struct db_column {
    char *name;
    bool number;
    bool binary;
};

struct db_result {
    struct arena arena;
    struct db_column *columns;
    size_t columns_count;
    struct db_cell *cells;
    size_t rows;
    size_t rows_room;
};

/* Numbers from mysqld_error.h and errmsg.h. What is not listed: refused, because repeating it would not help. */
static const struct {
    unsigned error;
    int code;
} codes[] = {
    { ER_LOCK_WAIT_TIMEOUT, POFR_EDBBUSY },
    { ER_LOCK_DEADLOCK, POFR_EDBBUSY },
    { ER_CHECKREAD, POFR_EDBBUSY }, /* 1020: record has changed since last read (snapshot isolation) */
    { ER_CON_COUNT_ERROR, POFR_EDBBUSY },
    { ER_SERVER_SHUTDOWN, POFR_EDBBUSY },
    { ER_OPTION_PREVENTS_STATEMENT, POFR_EDBBUSY }, /* 1290: read only */
    { ER_RECORD_FILE_FULL, POFR_EDBBUSY },
    { ER_DISK_FULL, POFR_EDBBUSY },
    { ER_ERROR_ON_WRITE, POFR_EDBBUSY },
    { ER_STATEMENT_TIMEOUT, POFR_EDBBUSY },
    { ER_QUERY_INTERRUPTED, POFR_EDBBUSY },
    { ER_CONNECTION_KILLED, POFR_EDBBUSY },
    { ER_MAX_PREPARED_STMT_COUNT_REACHED, POFR_EDBBUSY },
    { ER_NEED_REPREPARE, POFR_EDBBUSY },
    { ER_CONNECT_TO_FOREIGN_DATA_SOURCE, POFR_EDBBUSY }, /* 1429: a shard behind Spider is down */
    { ER_ACCESS_DENIED_ERROR, POFR_EPERMISSION },
    { ER_DBACCESS_DENIED_ERROR, POFR_EPERMISSION },
    { ER_TABLEACCESS_DENIED_ERROR, POFR_EPERMISSION },
    { CR_CONNECTION_ERROR, POFR_EDBBUSY },
    { CR_CONN_HOST_ERROR, POFR_EDBBUSY },
    { CR_SSL_CONNECTION_ERROR, POFR_EDBBUSY }, /* whose certificates these are is seen to by people; the data is kept */
    { CR_UNKNOWN_HOST, POFR_EDBBUSY },
    { CR_SERVER_GONE_ERROR, POFR_EDBBUSY },
    { CR_SERVER_LOST, POFR_EDBBUSY },
    { CR_SERVER_LOST_EXTENDED, POFR_EDBBUSY },
    { CR_OUT_OF_MEMORY, POFR_ENOMEM },
};

int db_code_of(unsigned server_error)
{
    for (size_t i = 0; i < pofr_countof(codes); i++) {
        if (codes[i].error == server_error) {
            return codes[i].code;
        }
    }
    return POFR_EDBREFUSED;
}

const char *db_library(void)
{
    static char text[64];

    snprintf(text, sizeof(text), "libmariadb %s", mysql_get_client_info());
    return text;
}

struct st_mysql *db_handle(struct db *db)
{
    return db->mysql;
}

void db_beat(struct db *db)
{
    if (db->beats) {
        atomic_fetch_add(db->beats, 1);
    }
}

unsigned db_last_error(const struct db *db)
{
    return db->last_error;
}

static int fail(struct db *db, struct pofr_err *err, unsigned number, const char *text)
{
    db->last_error = number;
    return pofr_err_set(err, db_code_of(number), "%s (%u)", text, number);
}

/*
 * Of a statement. What breaks off while rows come (the connection, or the server with an error in place of a row) the
 * library notes for the connection alone.
 */
static int fail_statement(struct db *db, MYSQL_STMT *stmt, struct pofr_err *err)
{
    if (mysql_stmt_errno(stmt)) {
        return fail(db, err, mysql_stmt_errno(stmt), mysql_stmt_error(stmt));
    }
    if (mysql_errno(db->mysql)) {
        return fail(db, err, mysql_errno(db->mysql), mysql_error(db->mysql));
    }
    return fail(db, err, CR_SERVER_LOST, "the server's answer broke off");
}

int db_connect(const struct db_address *a, struct db **out_db, struct pofr_err *err)
{
    struct db *db = calloc(1, sizeof(*db));
    struct buf password = BUF_INIT(65536);
    unsigned connect_s = a->connect_timeout_s ? a->connect_timeout_s : 5;
    unsigned io_s = a->io_timeout_s ? a->io_timeout_s : 60;
    unsigned tcp = MYSQL_PROTOCOL_TCP;
    my_bool no = 0;
    int code = 0;

    if (!db) {
        return pofr_err_set(err, POFR_ENOMEM, "database connection");
    }
    if (a->password_file && a->password_file[0]) {
        code = fsio_read_secret(a->password_file, &password, err);
        if (code) {
            goto out;
        }
    }
    db->mysql = mysql_init(NULL);
    if (!db->mysql) {
        code = pofr_err_set(err, POFR_ENOMEM, "database connection");
        goto out;
    }
    mysql_options(db->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(db->mysql, MYSQL_OPT_READ_TIMEOUT, &io_s);
    mysql_options(db->mysql, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
    mysql_options(db->mysql, MYSQL_OPT_RECONNECT, &no);
    mysql_options(db->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(db->mysql, MYSQL_INIT_COMMAND,
                  "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,"
                  "NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION'");
    if (!a->socket || !a->socket[0]) { /* also to "localhost", which the library would take for a unix socket */
        mysql_options(db->mysql, MYSQL_OPT_PROTOCOL, &tcp);
    }
    code = db_set_tls(db->mysql, a, err);
    if (code) {
        goto out;
    }
    if (!mysql_real_connect(db->mysql, a->host, a->user, password.len ? buf_cstr(&password) : NULL, a->database,
                            a->port, a->socket, CLIENT_MULTI_RESULTS)) {
        char ours[160] = "";

        db->last_error = mysql_errno(db->mysql);
        /* What the library finds wrong itself is the server's certificate; of ours an alert tells, or nothing but an end. */
        if (db->last_error != CR_SSL_CONNECTION_ERROR || strstr(mysql_error(db->mysql), "alert")) {
            tls_expiry_explain(&a->tls, ours, sizeof(ours));
        }
        code = pofr_err_set(err, db_code_of(db->last_error), "%s (%u)%s", mysql_error(db->mysql), db->last_error, ours);
        goto out;
    }
    db->beats = a->beats;
    db_beat(db);
    *out_db = db;
    db = NULL;
out:
    if (password.data) {
        explicit_bzero(password.data, password.cap);
    }
    buf_free(&password);
    db_close(db);
    return code;
}

static void forget(struct kept *k)
{
    mysql_stmt_close(k->stmt);
    free(k->sql);
}

int db_keep_statements(struct db *db, size_t max)
{
    db->kept = calloc(max, sizeof(*db->kept));
    db->kept_max = db->kept ? max : 0;
    return db->kept ? 0 : POFR_ENOMEM;
}

void db_close(struct db *db)
{
    if (!db) {
        return;
    }
    for (size_t i = 0; i < db->kept_count; i++) {
        forget(&db->kept[i]);
    }
    free(db->kept);
    if (db->mysql) {
        mysql_close(db->mysql);
    }
    free(db);
}

uint64_t db_affected(const struct db *db)
{
    return db->affected;
}

uint64_t db_insert_id(const struct db *db)
{
    return db->insert_id;
}

static void bind_values(MYSQL_BIND *binds, const struct db_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        MYSQL_BIND *b = &binds[i];

        switch (values[i].kind) {
        case DB_NULL:
            b->buffer_type = MYSQL_TYPE_NULL;
            break;
        case DB_U64:
        case DB_I64:
            b->buffer_type = MYSQL_TYPE_LONGLONG;
            b->is_unsigned = values[i].kind == DB_U64;
            b->buffer = (void *)&values[i].u;
            break;
        case DB_BYTES:
            b->buffer_type = MYSQL_TYPE_STRING;
            b->buffer =
                values[i].bytes.data ? (void *)(uintptr_t)values[i].bytes.data : (void *)(uintptr_t) ""; /* not NULL */
            b->buffer_length = values[i].bytes.len;
            break;
        }
    }
}

static int take_columns(struct db_result *r, MYSQL_RES *meta, struct pofr_err *err)
{
    r->columns_count = mysql_num_fields(meta);
    r->columns = arena_array(&r->arena, r->columns_count, sizeof(*r->columns));
    if (!r->columns) {
        return pofr_err_set(err, POFR_ENOMEM, "result columns");
    }
    for (size_t i = 0; i < r->columns_count; i++) {
        const MYSQL_FIELD *f = mysql_fetch_field_direct(meta, (unsigned)i);

        r->columns[i].name = arena_strdup(&r->arena, slice_of(f->name, f->name_length));
        r->columns[i].number = IS_NUM(f->type) && f->type != MYSQL_TYPE_TIMESTAMP;
        r->columns[i].binary = f->charsetnr == 63 && !IS_NUM(f->type) && f->type != MYSQL_TYPE_DATETIME &&
                               f->type != MYSQL_TYPE_DATE && f->type != MYSQL_TYPE_TIME;
        if (!r->columns[i].name) {
            return pofr_err_set(err, POFR_ENOMEM, "result columns");
        }
    }
    return 0;
}

static struct db_cell *next_row(struct db_result *r)
{
    if (r->rows == r->rows_room) {
        size_t room = r->rows_room ? r->rows_room * 2 : 64;
        struct db_cell *cells;

        if (r->rows >= DB_ROWS_MAX) {
            return NULL;
        }
        cells = reallocarray(r->cells, room * r->columns_count, sizeof(*cells));
        if (!cells) {
            return NULL;
        }
        r->cells = cells;
        r->rows_room = room;
    }
    memset(&r->cells[r->rows * r->columns_count], 0, r->columns_count * sizeof(*r->cells));
    return &r->cells[r->rows++ * r->columns_count];
}

/* Each cell is asked for twice, first for its length: nothing is allocated for a length that is not there. */
static int take_row(struct db *db, MYSQL_STMT *stmt, struct db_result *r, MYSQL_BIND *binds, struct pofr_err *err)
{
    struct db_cell *row = next_row(r);

    if (!row) {
        return pofr_err_set(err, POFR_ETOOBIG, "result has more than %zu rows", r->rows);
    }
    for (size_t i = 0; i < r->columns_count; i++) {
        unsigned long length = *binds[i].length;
        uint8_t *to;

        row[i].null = *binds[i].is_null;
        if (row[i].null) {
            continue;
        }
        to = arena_alloc(&r->arena, length + 1);
        if (!to) {
            return pofr_err_set(err, POFR_ETOOBIG, "result is larger than %u bytes", DB_RESULT_MAX);
        }
        if (length > 0) {
            MYSQL_BIND b = { 0 };

            b.buffer_type = MYSQL_TYPE_STRING;
            b.buffer = to;
            b.buffer_length = length;
            b.length = binds[i].length;
            b.is_null = binds[i].is_null;
            if (mysql_stmt_fetch_column(stmt, &b, (unsigned)i, 0)) {
                return fail_statement(db, stmt, err);
            }
        }
        to[length] = 0;
        row[i].bytes = slice_of(to, length);
    }
    return 0;
}

static int take_result(struct db *db, MYSQL_STMT *stmt, MYSQL_RES *meta, struct db_result *r, struct pofr_err *err)
{
    MYSQL_BIND *binds = NULL;
    unsigned long *lengths = NULL;
    my_bool *nulls = NULL;
    char *small = NULL;
    int code = take_columns(r, meta, err);
    int rc;

    if (code) {
        return code;
    }
    binds = arena_array(&r->arena, r->columns_count, sizeof(*binds));
    lengths = arena_array(&r->arena, r->columns_count, sizeof(*lengths));
    nulls = arena_array(&r->arena, r->columns_count, sizeof(*nulls));
    small = arena_array(&r->arena, r->columns_count, 64);
    if (!binds || !lengths || !nulls || !small) {
        return pofr_err_set(err, POFR_ENOMEM, "result");
    }
    for (size_t i = 0; i < r->columns_count; i++) {
        binds[i].buffer_type = MYSQL_TYPE_STRING;
        binds[i].buffer = small + i * 64; /* numbers are turned into text here, to learn their length */
        binds[i].buffer_length = 64;
        binds[i].length = &lengths[i];
        binds[i].is_null = &nulls[i];
    }
    if (mysql_stmt_bind_result(stmt, binds)) {
        return fail_statement(db, stmt, err);
    }
    while ((rc = mysql_stmt_fetch(stmt)) == 0 || rc == MYSQL_DATA_TRUNCATED) {
        code = take_row(db, stmt, r, binds, err);
        if (code) {
            return code;
        }
    }
    if (rc != MYSQL_NO_DATA) {
        return fail_statement(db, stmt, err);
    }
    return 0;
}

/* --- statements ----------------------------------------------------------------------------------- */

/* The statement goes out of the place where it is kept, if it is: its user puts it back when all went well. */
static MYSQL_STMT *take_kept(struct db *db, const char *sql)
{
    for (size_t i = 0; i < db->kept_count; i++) {
        if (strcmp(db->kept[i].sql, sql) == 0) {
            MYSQL_STMT *stmt = db->kept[i].stmt;

            free(db->kept[i].sql);
            db->kept[i] = db->kept[--db->kept_count];
            return stmt;
        }
    }
    return NULL;
}

/* In place of the one that was not used for longest. */
static void keep(struct db *db, const char *sql, MYSQL_STMT *stmt)
{
    char *copy = db->kept_max > 0 ? strdup(sql) : NULL;
    struct kept *to;

    if (!copy || mysql_stmt_free_result(stmt)) {
        free(copy);
        mysql_stmt_close(stmt);
        return;
    }
    if (db->kept_count == db->kept_max) {
        to = &db->kept[0];
        for (size_t i = 1; i < db->kept_count; i++) {
            to = db->kept[i].used < to->used ? &db->kept[i] : to;
        }
        forget(to);
    } else {
        to = &db->kept[db->kept_count++];
    }
    *to = (struct kept){ .stmt = stmt, .sql = copy, .used = ++db->runs };
}

static int prepared(struct db *db, const char *sql, MYSQL_STMT **out, struct pofr_err *err)
{
    MYSQL_STMT *stmt = take_kept(db, sql);

    if (!stmt) {
        stmt = mysql_stmt_init(db->mysql);
        if (!stmt) {
            return pofr_err_set(err, POFR_ENOMEM, "statement");
        }
        if (mysql_stmt_prepare(stmt, sql, strlen(sql))) {
            int code = fail_statement(db, stmt, err);

            mysql_stmt_close(stmt);
            return code;
        }
    }
    *out = stmt;
    return 0;
}

int db_run(struct db *db, const char *sql, const struct db_value *values, size_t count, struct db_result **out_result,
           struct pofr_err *err)
{
    MYSQL_STMT *stmt = NULL;
    MYSQL_RES *meta = NULL;
    MYSQL_BIND *binds = NULL;
    struct db_result *r = NULL;
    int code;
    int more;

    db->last_error = 0;
    if (out_result) {
        *out_result = NULL;
    }
    code = prepared(db, sql, &stmt, err);
    if (code) {
        db_beat(db);
        return code;
    }
    if (mysql_stmt_param_count(stmt) != count) {
        code = pofr_err_set(err, POFR_EUSAGE, "statement takes %lu values, %zu given", mysql_stmt_param_count(stmt),
                            count);
        goto out;
    }
    binds = calloc(count ? count : 1, sizeof(*binds));
    r = calloc(1, sizeof(*r));
    if (!binds || !r) {
        code = pofr_err_set(err, POFR_ENOMEM, "statement");
        goto out;
    }
    arena_init(&r->arena, DB_RESULT_MAX);
    bind_values(binds, values, count);
    if ((count && mysql_stmt_bind_param(stmt, binds)) || mysql_stmt_execute(stmt)) {
        code = fail_statement(db, stmt, err);
        goto out;
    }
    db->affected = mysql_stmt_affected_rows(stmt);
    db->insert_id = mysql_stmt_insert_id(stmt);
    meta = mysql_stmt_result_metadata(stmt);
    if (meta) {
        code = take_result(db, stmt, meta, r, err);
        if (code) {
            goto out;
        }
    }
    while ((more = mysql_stmt_next_result(stmt)) == 0) { /* a CALL ends with a status of its own */
        mysql_stmt_free_result(stmt);
    }
    if (more > 0) {
        code = fail_statement(db, stmt, err);
        goto out;
    }
    if (out_result) {
        *out_result = r;
        r = NULL;
    }
out:
    if (meta) {
        mysql_free_result(meta);
    }
    if (code) {
        mysql_stmt_close(stmt);
    } else {
        keep(db, sql, stmt);
    }
    free(binds);
    db_result_free(r);
    db_beat(db);
    return code;
}

int db_script(struct db *db, struct slice statement, struct pofr_err *err)
{
    db->last_error = 0;
    if (mysql_real_query(db->mysql, (const char *)statement.data, statement.len)) {
        return fail(db, err, mysql_errno(db->mysql), mysql_error(db->mysql));
    }
    db->affected = 0;
    if (mysql_field_count(db->mysql) == 0) {
        db->affected = mysql_affected_rows(db->mysql);
    }
    do {
        MYSQL_RES *res = mysql_store_result(db->mysql);

        if (res) {
            mysql_free_result(res);
        }
    } while (mysql_next_result(db->mysql) == 0);
    db_beat(db);
    if (mysql_errno(db->mysql)) {
        return fail(db, err, mysql_errno(db->mysql), mysql_error(db->mysql));
    }
    return 0;
}

size_t db_rows(const struct db_result *r)
{
    return r->rows;
}

size_t db_columns(const struct db_result *r)
{
    return r->columns_count;
}

const char *db_column_name(const struct db_result *r, size_t column)
{
    return r->columns[column].name;
}

bool db_is_number(const struct db_result *r, size_t column)
{
    return r->columns[column].number;
}

bool db_is_binary(const struct db_result *r, size_t column)
{
    return r->columns[column].binary;
}

bool db_is_null(const struct db_result *r, size_t row, size_t column)
{
    return r->cells[row * r->columns_count + column].null;
}

struct slice db_get(const struct db_result *r, size_t row, size_t column)
{
    return r->cells[row * r->columns_count + column].bytes;
}

uint64_t db_get_u64(const struct db_result *r, size_t row, size_t column)
{
    const struct db_cell *c = &r->cells[row * r->columns_count + column];

    return c->null || c->bytes.len == 0 ? 0 : strtoull((const char *)c->bytes.data, NULL, 10);
}

void db_result_free(struct db_result *r)
{
    if (!r) {
        return;
    }
    arena_free(&r->arena);
    free(r->cells);
    free(r);
}
