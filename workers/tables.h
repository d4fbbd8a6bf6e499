/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tables.h -- the tables of intervals: which column comes from which field of a record, and how (docs/SCHEMA.md).
 * Pure data, and the text of the statements made from it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "workers/bulk.h"
#include "workers/row.h"

enum fill {
    FILL_U,           /* the number */
    FILL_UID,         /* the number, NULL where it is not set (4294967295) */
    FILL_STARTED,     /* start_jiffies and, behind it, start_number as a moment; 1970-01-01 where pid is 0 */
    FILL_PARENT,      /* the same of the parent; NULL where it is not known */
    FILL_STRING,      /* id of the text */
    FILL_STRING_NULL, /* the same, NULL where it is empty */
    FILL_BYTES,       /* the bytes */
    FILL_BYTES_NULL,  /* the same, NULL where there are none */
    FILL_UNLESS_EXE,  /* the number, NULL where exe is empty */
    FILL_EXIT,        /* exit_status, NULL unless exit_known */
    FILL_TRAFFIC,     /* the number, NULL unless bytes_known */
    FILL_KIND,        /* enum rec_file_kind as the column's word */
    FILL_ACCESS,      /* REC_ACCESS_* as the column's word */
    FILL_ADDRESS,     /* an address of the record's family as text, else the bytes */
    FILL_HARDWARE,    /* bytes in hex with colons */
    FILL_WALL,        /* microseconds since 1970 as a time, NULL for 0 */
};

enum column_role {
    COLUMN_ID,
    COLUMN_FIXED,
    COLUMN_VOLATILE,
    COLUMN_ARGUMENTS, /* attributes that an END may lack (stripped.h) */
    COLUMN_ATTRIBUTE
};

struct table_column {
    const char *name;
    enum fill fill;
    enum column_role role;
    size_t offset; /* of the field in struct record */
};

struct table {
    unsigned entity;
    const char *name;
    const struct table_column *columns; /* ID columns first, in the order of the entity's ID fields */
    size_t count, id_count;
};

#define TABLES_COUNT 11u
extern const struct table tables[TABLES_COUNT];
const struct table *table_of(unsigned entity); /* NULL: none */

/* Columns that every one of these tables has between host_id, boot, the ID columns and the rest. */
#define TABLE_ROW_COLUMNS                                                                                              \
    "first_seen, last_seen, ended, end_source, end_inferred, start_unseen, time_source, own_first_seen, "              \
    "own_ended, end_before, names, hash"
#define TABLE_ROW_COLUMNS_COUNT 12u

enum bulk_type table_type(enum fill fill);

/* Text of a statement, and the types of its values. Their order is that of the functions in rows.c. */
enum table_statement {
    TABLE_INSERT,    /* host_id, boot, ID, row, rest */
    TABLE_END,       /* DELETE of an open row: host_id, boot, ID, first_seen */
    TABLE_DELETE,    /* host_id, boot, ID, first_seen, ended */
    TABLE_UPDATE,    /* row, then key: host_id, boot, ID, first_seen, ended */
    TABLE_VOLATILE,  /* volatile columns, then key */
    TABLE_FIXED,     /* fixed columns, then key */
    TABLE_ARGUMENTS, /* columns of arguments, then key */
    TABLE_COPY,      /* row, then key */
    TABLE_STATEMENTS,
};
size_t table_statement(const struct table *t, enum table_statement s, struct buf *sql,
                       enum bulk_type types[BULK_COLUMNS_MAX]);

/* "SELECT host_id …" of what a stored row needs: ID columns, then row (times as microseconds since 1970). */
void table_select(const struct table *t, struct buf *sql);

/* Text of an address; needs ADDRESS_TEXT_MAX bytes. Returns what to store: buffer, or the bytes themselves. */
#define ADDRESS_TEXT_MAX 64u
struct slice address_text(uint64_t family, struct slice bytes, char *buffer);
/* And back: the bytes that address_text() made text of. buffer: 16 bytes. */
struct slice address_bytes(uint64_t family, struct slice text, uint8_t *buffer);
