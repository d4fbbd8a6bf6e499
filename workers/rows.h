/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rows.h -- changes -> bulk statements on the tables of intervals.
 *
 * Plain INSERT, UPDATE, DELETE: a duplicate key is an error that the caller sees (CORRECTNESS 6.1). Belongs to its
 * connection; not thread-safe.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "workers/changes.h"
#include "workers/tables.h"

struct db;
struct rows;
struct strings;

POFR_MUST_USE int rows_new(struct db *db, struct strings *strings, struct rows **out);
void rows_free(struct rows *r); /* NULL is allowed */

/* What ended before this (wall clock) would be dropped by the next retention run: it counts as ended at its receipt. */
void rows_set_oldest(struct rows *r, int64_t oldest_us);
int64_t rows_oldest(const struct rows *r);

/* Carry them out inside the caller's transaction and empty c. */
POFR_MUST_USE int rows_write(struct rows *r, struct changes *c, struct pofr_err *err);

/* The server's number behind the last failure, 0: none. */
unsigned rows_error(const struct rows *r);

struct rows_figures {
    uint64_t inserted[TABLES_COUNT]; /* index: entity - REC_PROCESS; since the last rows_figures() */
    uint64_t ended[TABLES_COUNT];    /* open rows that were taken away for it */
    uint64_t updated[TABLES_COUNT];
    uint64_t moved_times; /* ends that were moved to the receipt */
};
void rows_figures(struct rows *r, struct rows_figures *out);
