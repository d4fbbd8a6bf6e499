/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * format.h -- the bytes of the spool: segments, head, journal. Pure; shared by collector (writes) and
 * shipper (reads segments). All numbers little-endian.
 *
 * FOLDER   <state>/spool/
 *   <first sequence, 20 digits>.seg   sealed bundles, append-only; ascending, without holes inside one segment
 *   head                              the chain's head: the collector's alone
 *   open                              the journal of the bundle that is not sealed yet: the collector's alone
 *   refused/<sequence, 20 digits>.bundle   blocks that the gateway refused finally
 *
 * SEGMENT  a run of entries from offset 0. An entry is
 *     0  u32  magic "PoFs"
 *     4  u32  block length
 *     8  u32  crc32c of bytes 12 to the end of the block, then of bytes 0 to 7
 *    12  u32  0
 *    16  u64  sequence
 *    24  32 B digest of the statement
 *    56  block (docs/RECORD.md part 1)
 *
 * VALID    The bundle of sequence s lies in the segment with the greatest first sequence that is not above
 *          s, and nowhere else: a segment whose sync failed is left as it is and what it should have held is
 *          written anew to one that begins there. A bundle exists if and only if its entry lies in that
 *          segment, is whole (magic, length, crc), and its sequence is not above the committed one.
 *
 * READER   The shipper learns the committed sequence from the collector (ipc.h: STATE and NEW), never from the
 *          files: between a write and its sync the page cache shows what a power cut would take away. A segment
 *          may vanish once all in it is acked; an fd that was opened before stays good.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/base/uuid.h"
#include "common/evidence/statement.h"

#define SPOOL_DIR     "spool" /* in the state folder */
#define SPOOL_HEAD    "head"  /* in the spool */
#define SPOOL_JOURNAL "open"
#define SPOOL_REFUSED "refused"

#define SPOOL_ENTRY_HEADER 56u
#define SPOOL_NAME_SIZE    32u /* room for a segment's or refused bundle's name and NUL */

/* --- names ---------------------------------------------------------------------------------------- */

char *spool_segment_name(uint64_t first_sequence, char out[SPOOL_NAME_SIZE]);  /* returns out */
bool spool_segment_name_parse(const char *name, uint64_t *out_first_sequence); /* exactly that form */
char *spool_refused_name(uint64_t sequence, char out[SPOOL_NAME_SIZE]);
bool spool_refused_name_parse(const char *name, uint64_t *out_sequence);

/* --- entries of a segment ------------------------------------------------------------------------- */

struct spool_entry {
    uint64_t sequence;
    uint8_t digest[32]; /* the statement's */
    uint32_t length;    /* of the block */
    uint32_t crc;
};

/* Append header and block to out. POFR_ETOOBIG: block over BUNDLE_MAX; else out's error. */
POFR_MUST_USE int spool_entry_put(uint64_t sequence, const uint8_t digest[32], struct slice block, struct buf *out);

/*
 * Read a header (SPOOL_ENTRY_HEADER bytes at least). POFR_ETRUNCATED: fewer bytes; POFR_EFORMAT: no entry
 * starts here (also where a preallocated or torn end is all zero).
 */
POFR_MUST_USE int spool_entry_header(struct slice in, struct spool_entry *out_entry);

/* header: the SPOOL_ENTRY_HEADER bytes as they lie there; block: entry.length bytes. 0 or POFR_EFORMAT. */
POFR_MUST_USE int spool_entry_check(struct slice header, struct slice block);

/* Both in one: in holds at least the entry. 0, POFR_ETRUNCATED, POFR_EFORMAT. *out_used: bytes of the whole entry. */
POFR_MUST_USE int spool_entry_get(struct slice in, struct spool_entry *out_entry, struct slice *out_block,
                                  size_t *out_used);

/* --- head ----------------------------------------------------------------------------------------- */

/*
 * Two slots of SPOOL_SLOT_SIZE at 0 and SPOOL_SLOT_SIZE, written in turn; the valid one with the higher
 * generation counts. A slot is magic, crc32c of what follows, length, fields. So a torn write costs the
 * newest state at most, which was not announced to anyone yet.
 */
#define SPOOL_SLOT_SIZE 4096u
#define SPOOL_HEAD_SIZE (2u * SPOOL_SLOT_SIZE)

struct spool_head {
    uint64_t generation;
    uint64_t sequence;  /* of the last bundle; 0: none yet */
    uint8_t digest[32]; /* of its statement */
    uint64_t segment;   /* first sequence of the segment that holds it */
    uint64_t offset;    /* end of its entry in that segment */
    uint64_t acked;     /* all up to here are acked or finally refused */
    struct uuid host;
    uint8_t run[16];      /* of the last bundle */
    struct uuid boot;     /* of the last bundle */
    uint8_t hash_key[16]; /* of that boot */
    uint64_t to_boot_us;  /* its last tick */
    uint64_t to_wall_us;
    uint64_t ticks_total;
    uint64_t refused_bytes_dropped; /* of refused/, because of its limit */
    bool clean;                     /* its run ended in order, and this is all of it */
    unsigned counts_len, lost_len;  /* totals since the host's first; here is not kept */
    struct statement_count counts[STATEMENT_COUNTS_MAX];
    struct statement_count lost[64];
};

/* Exactly SPOOL_SLOT_SIZE bytes. POFR_ETOOBIG: the counts do not fit. */
POFR_MUST_USE int spool_head_put(const struct spool_head *h, uint8_t out_slot[SPOOL_SLOT_SIZE]);
/* POFR_EFORMAT: not a whole slot. */
POFR_MUST_USE int spool_head_get(struct slice slot, struct spool_head *out_head);
/* The valid slot that counts, of a file's bytes (up to SPOOL_HEAD_SIZE). POFR_EFORMAT: neither is valid. */
POFR_MUST_USE int spool_head_pick(struct slice file, struct spool_head *out_head, unsigned *out_slot);

/* --- journal -------------------------------------------------------------------------------------- */

/*
 * The journal is written over in place, so that a full disk can't stop it: a run of chunks from offset 0, of which
 * those that carry the first one's mark count. A chunk is u32 magic "PoFj", u32 length of the body, u32 crc32c of bytes 12 to
 * the end of the body, u32 type, 16 bytes mark (random for each bundle), body. The first that is torn or has another mark ends it.
 */
#define SPOOL_CHUNK_HEADER 32u
#define SPOOL_JOURNAL_ROOM (1024u * 1024u) /* allocated beforehand */

enum spool_chunk_type {
    SPOOL_CHUNK_BEGIN = 1, /* struct spool_begin: what the bundle will be */
    SPOOL_CHUNK_TICK = 2,  /* bytes of the payload, as the encoder made them, whole records */
};

struct spool_begin {
    uint64_t sequence; /* the one that it will get */
    uint8_t previous[32];
    uint8_t run[16];
    struct uuid boot;
    uint8_t hash_key[16];
    uint64_t lost_len;               /* losses counted for this bundle before it began */
    struct statement_count lost[64]; /* kind and here */
};

struct spool_chunk {
    uint32_t type;
    uint8_t mark[16];
    struct slice body;
};

void spool_chunk_put(uint32_t type, const uint8_t mark[16], struct slice body, struct buf *out);
/* *out_used bytes are the chunk's. POFR_ETRUNCATED or POFR_EFORMAT: the journal ends here. */
POFR_MUST_USE int spool_chunk_get(struct slice in, struct spool_chunk *out_chunk, size_t *out_used);
void spool_begin_put(const struct spool_begin *b, struct buf *out);
POFR_MUST_USE int spool_begin_get(struct slice body, struct spool_begin *out_begin);

/*
 * The valid prefix: begin, and the payload bytes of all whole chunks appended to out_payload.
 * POFR_ENOTFOUND: there is none (empty, or the first chunk is torn).
 */
POFR_MUST_USE int spool_journal_read(struct slice file, struct spool_begin *out_begin, struct buf *out_payload);
