/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * db.h -- one connection to a MariaDB server, statements with bound parameters, results in memory.
 *
 * There is no other way to send a value than as a bound parameter. Times of a connection are UTC. A lost
 * connection is never reopened behind the caller's back: POFR_EDBBUSY, and db_connect() again.
 *
 * Meant for tools and for the programs' slow paths; the workers' bulk statements are in workers/.
 * Not thread-safe: one owner per struct db.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/tls/tls_files.h"

struct db;
struct db_result;

struct db_address {
    const char *host; /* name or address; not used where socket is set */
    unsigned port;
    const char *socket; /* path, or NULL */
    const char *user;
    const char *password_file;   /* first line is the password; NULL or "": none */
    const char *database;        /* NULL: none */
    struct tls_files tls;        /* all zero: a plain connection; not used where socket is set */
    unsigned connect_timeout_s;  /* 0: 5 */
    unsigned io_timeout_s;       /* for one read or write; 0: 60 */
    atomic_uint_fast64_t *beats; /* counts statements that came to an end, whatever end; NULL: nobody looks */
};

enum db_kind {
    DB_NULL,
    DB_U64,
    DB_I64,
    DB_BYTES
};

struct db_value {
    enum db_kind kind;
    union {
        uint64_t u;
        int64_t i;
        struct slice bytes;
    };
};

#define DB_V_NULL     ((struct db_value){ .kind = DB_NULL })
#define DB_V_U(value) ((struct db_value){ .kind = DB_U64, .u = (uint64_t)(value) })
#define DB_V_I(value) ((struct db_value){ .kind = DB_I64, .i = (int64_t)(value) })
#define DB_V_S(value) ((struct db_value){ .kind = DB_BYTES, .bytes = (value) })
#define DB_V_C(value) ((struct db_value){ .kind = DB_BYTES, .bytes = slice_str(value) })

/* Sets the session: UTC, strict sql_mode, utf8mb4. */
POFR_MUST_USE int db_connect(const struct db_address *address, struct db **out_db, struct pofr_err *err);
void db_close(struct db *db); /* NULL is allowed */

/* From now on the last max statements of db_run() stay prepared on the server: for who runs the same few over and over. */
POFR_MUST_USE int db_keep_statements(struct db *db, size_t max);

/* The library's own handle, for statements of arrays (workers/bulk.c), which count their own ends by db_beat(). */
struct st_mysql *db_handle(struct db *db);
void db_beat(struct db *db);

/* "libmariadb 3.3.19", for --version. Static. */
const char *db_library(void);

/* The class of a server's or client's error number: what to do with the data. Table in db.c, tested. */
int db_code_of(unsigned server_error);
unsigned db_last_error(const struct db *db); /* the number behind the last failure */

#define DB_ROWS_MAX   1000000u
#define DB_RESULT_MAX (256u * 1024u * 1024u)

/*
 * Prepare, bind, run, fetch everything. out_result may be NULL where none is expected. Of a CALL, the
 * first result set is given. POFR_EDBBUSY: try again later; POFR_EDBREFUSED: the statement or its data
 * were refused; POFR_ETOOBIG: more than DB_ROWS_MAX rows or DB_RESULT_MAX bytes.
 */
POFR_MUST_USE int db_run(struct db *db, const char *sql, const struct db_value *values, size_t count,
                         struct db_result **out_result, struct pofr_err *err);
uint64_t db_affected(const struct db *db); /* rows that the last db_run() or db_script() changed */
uint64_t db_insert_id(const struct db *db);

/* One statement of a trusted file of ours (sql/), or of a constant text: no parameters, text protocol. */
POFR_MUST_USE int db_script(struct db *db, struct slice statement, struct pofr_err *err);

size_t db_rows(const struct db_result *r);
size_t db_columns(const struct db_result *r);
const char *db_column_name(const struct db_result *r, size_t column);
bool db_is_null(const struct db_result *r, size_t row, size_t column);
bool db_is_number(const struct db_result *r, size_t column); /* for JSON output */
bool db_is_binary(const struct db_result *r, size_t column); /* bytes without a character set */
/* Text form of a number, bytes of anything else; NULL gives an empty slice. NUL-terminated behind its end. */
struct slice db_get(const struct db_result *r, size_t row, size_t column);
uint64_t db_get_u64(const struct db_result *r, size_t row, size_t column); /* 0 for NULL or what is no number */
void db_result_free(struct db_result *r);
