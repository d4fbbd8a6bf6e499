/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * row.h -- an interval as a row of a table, and what is to be done to the tables: the words that apply
 * and store share. Times are microseconds of the boot clock; store adds the boot's anchor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/record/record.h"

#define ROW_OPEN      UINT64_MAX /* ended of an open row */
#define ROW_NAMES_MAX 24u        /* of later names the newest are kept */

/* rec_end_source, and 0: open. The words of the column end_source, in sql/shard, in this order. */
enum row_source {
    ROW_SOURCE_OPEN = 0,
    ROW_SOURCE_EXIT,
    ROW_SOURCE_GONE,
    ROW_SOURCE_EXEC,
    ROW_SOURCE_CHANGE,
    ROW_SOURCE_CLOSE,
    ROW_SOURCE_UNKNOWN,
    ROW_SOURCE_REBOOT,
    ROW_SOURCE_RETIRED,
};
enum row_source row_source_of(uint64_t rec_end_source);

struct row {
    uint64_t first, last, ended;
    uint64_t before;       /* of an inferred end: the first look that no longer showed it; 0: there was none */
    uint64_t hash;         /* row_hash(); 0: not known any more */
    const uint64_t *names; /* later names: first_seen by which runs that had lost their state name it, ascending */
    unsigned names_count;
    enum row_source source;
    bool inferred;
    bool unseen; /* start_unseen */
};

/* Which boot of which host, and where its clock begins. Lives as long as whatever points to it. */
struct row_boot {
    uint64_t host_id;
    uint32_t number;
    int64_t anchor_us; /* wall clock at boot clock 0 */
};

#define ROW_WALL_MAX INT64_C(253402300798000000) /* 9999-12-31 23:59:58: what is open is later */

/* A moment of the boot clock as wall clock; a host that says nonsense gets the end of time, not an overflow. */
static inline int64_t row_wall(const struct row_boot *b, uint64_t boot_us)
{
    uint64_t us = boot_us < (uint64_t)ROW_WALL_MAX ? boot_us : (uint64_t)ROW_WALL_MAX;
    int64_t wall;

    if (__builtin_add_overflow(b->anchor_us, (int64_t)us, &wall)) {
        return ROW_WALL_MAX;
    }
    return wall < 0 ? 0 : wall > ROW_WALL_MAX ? ROW_WALL_MAX : wall;
}

/* A row that is in a table. */
struct stored_row {
    const struct record *id;      /* entity and ID fields are set, and there is no memory behind them */
    int64_t key_first, key_ended; /* first_seen and ended as the columns have them (wall clock; ROW_KEY_OPEN) */
    struct row row;               /* as the host meant them */
};

#define ROW_KEY_OPEN INT64_MAX

/* Of identity and attributes; the same for a shard's whole life, unlike the agent's keyed hash. Never 0. */
struct buf;
uint64_t row_hash(const struct record *r, struct buf *scratch);

/* The newest name of a row, by which records of today know it. */
static inline uint64_t row_newest_name(const struct row *r)
{
    return r->names_count > 0 ? r->names[r->names_count - 1] : r->first;
}

/* The row keeps its hash while something may be found to be the same thing again. */
static inline bool row_keeps_hash(const struct row *r)
{
    return r->ended == ROW_OPEN || r->inferred || r->unseen || r->names_count > 0;
}

enum change_kind {
    CHANGE_INSERT, /* row, with all attributes of record */
    CHANGE_END,    /* take the open row (slot of record, row.first) away if it is there, then as CHANGE_INSERT */
    CHANGE_UPDATE, /* the row (slot of record, key) becomes row */
    CHANGE_COPY,   /* another row beside that one, with its attributes: row */
    CHANGE_DELETE, /* that row goes */
};

struct change {
    enum change_kind kind;
    const struct row_boot *boot;
    int64_t received_us; /* wall clock: when its bundle reached a gateway */
    const struct record *record;
    int64_t key_first, key_ended;   /* of the stored row that is meant, as in struct stored_row */
    const struct record *volatiles; /* UPDATE: and has the volatile fields of this record; NULL: keeps its own */
    const struct record *fixed;     /* UPDATE: and has the fixed fields of this record; NULL: keeps its own */
    const struct record *arguments; /* UPDATE: and has its arguments, with what belongs to them; NULL: keeps its own */
    uint32_t place;                 /* of changes alone: where it finds the slot that this one opened, 0: none */
    struct row row;
};
