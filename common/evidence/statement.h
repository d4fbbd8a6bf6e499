/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * statement.h -- the signed text <-> struct. The lines are fixed (docs/RECORD.md, part 2): one struct has
 * exactly one text, and statement_parse() accepts nothing else, so a statement can be rebuilt byte for
 * byte from a ledger row. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/base/uuid.h"

enum statement_origin {
    STATEMENT_FIRST = 1, /* the host's first: no statement before, none expected */
    STATEMENT_CONTINUES, /* same run as the one before */
    STATEMENT_RESTART,   /* first of a run; names the last one that was on disk */
    STATEMENT_RECOVERED, /* sealed at the next start from what a crash left; run is that of the crashed one */
    STATEMENT_LOST,      /* first of a run whose state on disk was lost: no predecessor known */
};

#define STATEMENT_COUNTS_MAX 192

struct statement_count {
    uint32_t kind;  /* record kind; or number of a source, in lost[] */
    uint64_t here;  /* in this bundle */
    uint64_t total; /* since the host's first bundle, this one included */
};

struct statement {
    unsigned version; /* 1 */
    struct uuid host;
    uint8_t run[16];
    uint64_t sequence;    /* from 1 */
    uint8_t previous[32]; /* digest of the statement before; all zero: none */
    enum statement_origin origin;
    struct uuid boot;                  /* /proc/sys/kernel/random/boot_id */
    uint64_t from_boot_us, to_boot_us; /* first and last tick, CLOCK_BOOTTIME */
    uint64_t from_wall_us, to_wall_us; /* the host's own wall clock */
    uint64_t ticks, ticks_total;
    uint64_t keyframe;             /* 0 none, 1 parts of one, 2 the last part of one is in it */
    unsigned counts_len, lost_len; /* ascending by kind; only kinds whose total is not 0 */
    struct statement_count counts[STATEMENT_COUNTS_MAX];
    struct statement_count lost[64];
    uint64_t payload_size;  /* uncompressed */
    uint64_t payload_bytes; /* as it lies there */
    uint8_t payload_digest[32];
    uint8_t key_id[32]; /* SHA-256 of the 32 bytes of the public key that signs */
    char recorder[64];  /* "pofr-agent/0.1.0" */
};

/* Sources of lost[] (who counted the loss). Append only. */
enum statement_lost {
    STATEMENT_LOST_SPOOL = 1,     /* records refused: spool full */
    STATEMENT_LOST_WRITER = 2,    /* records refused: disk behind */
    STATEMENT_LOST_CRASH = 3,     /* records in what a crash left unreadable, where known */
    STATEMENT_LOST_TICKS = 4,     /* ticks that were due and not made */
    STATEMENT_LOST_BLOCKED = 5,   /* looks at one process given up */
    STATEMENT_LOST_EVENTS = 6,    /* kernel events lost */
    STATEMENT_LOST_ARGUMENTS = 7, /* arguments missed */
    STATEMENT_LOST_REFUSED = 8,   /* records in bundles finally refused */
};

/* Append the text to out. The result has at most STATEMENT_MAX bytes. */
POFR_MUST_USE int statement_format(const struct statement *s, struct buf *out);
/* POFR_EUNSUPPORTED: a version this program does not know. POFR_EFORMAT otherwise. text is the whole text. */
POFR_MUST_USE int statement_parse(struct slice text, struct statement *out_statement, struct pofr_err *err);
void statement_digest(struct slice text, uint8_t out_digest[32]); /* SHA-256 of the text */
const char *statement_origin_name(enum statement_origin origin);
/* counts[] and lost[] as one compact blob for the ledger, and back. */
POFR_MUST_USE int statement_pack_counts(const struct statement *s, struct buf *out);
POFR_MUST_USE int statement_unpack_counts(struct slice blob, struct statement *s);
uint64_t statement_records(const struct statement *s);       /* sum of counts[].here */
uint64_t statement_records_total(const struct statement *s); /* sum of counts[].total */
