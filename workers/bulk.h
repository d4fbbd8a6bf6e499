/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bulk.h -- one prepared statement and arrays of values for it: many rows in one round trip.
 *
 * Values are put column by column, then bulk_next() ends the row; bulk_run() sends what there is. Bytes are borrowed until
 * then. A statement is atomic: on an error none of its rows is stored. Belongs to its connection; not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/slice.h"

struct bulk;
struct db;

enum bulk_type {
    BULK_U64,
    BULK_I64,
    BULK_TIME,
    BULK_BYTES
};

#define BULK_COLUMNS_MAX 72u
#define BULK_ROWS_MAX    5000u                 /* of one round trip */
#define BULK_BYTES_MAX   (16u * 1024u * 1024u) /* of values of one round trip; a shard takes packets of 64 MiB */

/* sql has as many ? as there are types. POFR_EDBBUSY, POFR_ENOMEM; POFR_ECONFIG: tables or rights are not what we know. */
POFR_MUST_USE int bulk_new(struct db *db, const char *sql, const enum bulk_type *types, size_t columns,
                           struct bulk **out, struct pofr_err *err);
void bulk_free(struct bulk *b); /* NULL is allowed; also after the connection was lost */

/* Values of the row at hand; every column must be put. */
void bulk_u64(struct bulk *b, size_t column, uint64_t v);
void bulk_i64(struct bulk *b, size_t column, int64_t v);
void bulk_time(struct bulk *b, size_t column, int64_t wall_us); /* clamped to 1970 … 9999-12-31 */
void bulk_bytes(struct bulk *b, size_t column, struct slice v);
void bulk_null(struct bulk *b, size_t column);
void bulk_next(struct bulk *b);

size_t bulk_rows(const struct bulk *b);
bool bulk_full(const struct bulk *b); /* run it before the next row */

/* Send the rows and empty the arrays, also after an error. *out_affected may be NULL. number: the server's, where there was one. */
POFR_MUST_USE int bulk_run(struct bulk *b, uint64_t *out_affected, struct pofr_err *err);
/* The same row by row, for what MariaDB does not take an array for: INSERT … SELECT (error 1295). Not atomic. */
POFR_MUST_USE int bulk_run_each(struct bulk *b, uint64_t *out_affected, struct pofr_err *err);
void bulk_reset(struct bulk *b);
unsigned bulk_error(const struct bulk *b); /* the server's number of the last failure, 0: none */

#define BULK_OPEN_US INT64_C(253402300799999999) /* 9999-12-31 23:59:59.999999: ended of what is open */
