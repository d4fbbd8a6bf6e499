/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * segments.h -- the spool's segments on disk: append, sync, make room, read back. format.h has the bytes and the rule
 * where a bundle lies.
 *
 * What is acked is removable, whole segments, the oldest first, and only when room is needed; the one that is
 * written never. Behind the last entry SEGMENTS_RESERVE bytes are kept allocated, which only a bundle that says what was
 * lost may use. One owner (the writer thread).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect/ipc.h"
#include "agent/spool/format.h"
#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/err.h"

#define SEGMENTS_RESERVE 65536u

struct segments_limits {
    uint64_t total;   /* bytes of all segments */
    uint64_t segment; /* a new one is begun beyond this */
};

struct segment {
    uint64_t first, last; /* sequences; last < first: nothing committed in it */
    uint64_t bytes;
};

struct segments {
    char *dir;
    struct segments_limits limits;
    struct segment *list; /* by first */
    size_t len, cap;
    uint64_t bytes;  /* of all */
    int fd;          /* of the last of list, where it is written; -1: the next append begins a new one */
    uint64_t offset; /* end of what is written in it */
    uint64_t acked;  /* all up to here may go */
    struct ipc_range wanted[IPC_RANGES_MAX]; /* but not these */
    unsigned wanted_len;
    int read_fd; /* reading: the segment it has open, and a place in it */
    uint64_t read_first, read_sequence, read_offset;
};

struct segments_place {
    uint64_t segment, offset; /* as in struct spool_head */
};

/*
 * head: what counts. What lies behind it is left alone until segments_trim(). Makes the folder.
 */
POFR_MUST_USE int segments_open(struct segments *s, const char *dir, const struct segments_limits *limits,
                                const struct spool_head *head, struct pofr_err *err);
void segments_close(struct segments *s);

/* Remove segments that begin behind the head's, and cut that one behind it. */
void segments_trim(struct segments *s, const struct spool_head *head);

/*
 * Write the next bundle and sync it, its folder too where the file is new. It counts once the head says so.
 * POFR_EFULL: no room below the limit or on the disk, though all that is removable was removed; nothing is stored. Another
 * error: the segment is closed, and what it did not sync is to be appended again, to a new one.
 * last_resort: may use the reserve, and go over the limit by it.
 */
POFR_MUST_USE int segments_append(struct segments *s, uint64_t sequence, const uint8_t digest[32], struct slice block,
                                  bool last_resort, struct segments_place *out_place, struct pofr_err *err);
/* It counts now; it lies in this segment. */
void segments_committed(struct segments *s, uint64_t segment, uint64_t sequence);

/* What another process wrote to a segment is made durable, and its name. */
POFR_MUST_USE int segments_sync(struct segments *s, uint64_t segment, struct pofr_err *err);

void segments_acked(struct segments *s, uint64_t sequence);
void segments_wanted(struct segments *s, const struct ipc_range *ranges, unsigned len);

/* Bytes that can't be removed. */
uint64_t segments_held(const struct segments *s);
uint64_t segments_oldest(const struct segments *s); /* sequence; 0: none */

/* The entry of a sequence. out_block may be NULL: its header alone. POFR_ENOTFOUND, POFR_EFORMAT (rotten). */
POFR_MUST_USE int segments_read(struct segments *s, uint64_t sequence, struct spool_entry *out_entry,
                                struct buf *out_block, struct pofr_err *err);

/* The entry at a place, whatever its sequence; *out_end is the place behind it. For what lies behind the head. */
POFR_MUST_USE int segments_read_at(struct segments *s, uint64_t segment, uint64_t offset, struct spool_entry *out_entry,
                                   struct buf *out_block, uint64_t *out_end, struct pofr_err *err);
