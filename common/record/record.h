/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record.h -- one record <-> bytes. The fields are in record.def, the bytes in docs/RECORD.md.
 *
 * A payload is a run of records: TICK, then the records of that tick, then the next TICK. Strings are
 * kept once per bundle in a table that STRING records build as they go, so a payload decodes front to
 * back without any other bundle. Unknown kinds and fields are skipped and counted, never an error.
 *
 * Pure: no I/O, no log, no clock. Not thread-safe: one owner per encoder and decoder.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/record/limits.h"

enum rec_verb {
    REC_START = 0, /* it began (or was first seen) at first_seen */
    REC_END = 1,   /* it ended; carries everything that START carried */
    REC_SIGHT = 2, /* keyframe: it is open at this tick */
};

/* How an end is known; 1 to 15 are seen by the host. */
enum rec_end_source {
    REC_END_EXIT = 1,     /* the kernel told of the exit */
    REC_END_GONE = 2,     /* a complete look no longer showed it */
    REC_END_EXEC = 3,     /* the process executed another program: its next version begins */
    REC_END_CHANGE = 4,   /* an attribute changed: the next interval begins */
    REC_END_CLOSE = 5,    /* the kernel told of the close (socket destroyed) */
    REC_END_UNKNOWN = 16, /* inferred by the server: a later keyframe does not show it */
    REC_END_REBOOT = 17,  /* inferred: the host runs another boot */
    REC_END_RETIRED = 18, /* inferred: the host was retired */
};

enum rec_keyframe_reason {
    REC_KEYFRAME_START = 1,  /* first look of a run */
    REC_KEYFRAME_GAP = 2,    /* after something was lost */
    REC_KEYFRAME_PERIOD = 3, /* every 10 minutes */
};

enum rec_gap_kind {
    REC_GAP_STOPPED = 1, /* no collector ran between two runs */
    REC_GAP_CRASH = 2,   /* what a power cut or crash took before it was sealed */
    REC_GAP_SPOOL = 3,   /* the spool was full */
    REC_GAP_REFUSED = 4, /* a bundle was finally refused */
    REC_GAP_WRITER = 5,  /* the disk did not keep up */
    REC_GAP_TICKS = 6,   /* ticks that were due and were not made */
    REC_GAP_STATE = 7,   /* the state on disk was lost */
};

enum rec_file_kind {
    REC_FILE_UNKNOWN = 0,
    REC_FILE_REGULAR = 1,
    REC_FILE_DIRECTORY = 2,
    REC_FILE_CHARACTER = 3,
    REC_FILE_BLOCK = 4,
    REC_FILE_FIFO = 5,
    REC_FILE_SOCKET = 6,
    REC_FILE_SYMLINK = 7,
    REC_FILE_ANONYMOUS = 8, /* anon_inode:... */
};

#define REC_ACCESS_READ  1u
#define REC_ACCESS_WRITE 2u
#define REC_ACCESS_PATH  4u /* O_PATH */

#define REC_UNREADABLE_EXE       1u
#define REC_UNREADABLE_ARGUMENTS 2u
#define REC_UNREADABLE_CWD       4u
#define REC_UNREADABLE_FILES     8u
#define REC_UNREADABLE_STATUS    16u
#define REC_UNREADABLE_NS        32u

#define REC_LOGIN_UID_UNSET 4294967295u

#define REC_CTYPE_U                          uint64_t
#define REC_CTYPE_S                          int64_t
#define REC_CTYPE_T                          struct slice
#define REC_CTYPE_B                          struct slice
#define REC_CTYPE_H                          uint64_t
#define REC_CTYPE_A                          uint64_t
#define REC_MEMBER(number, name, type, role) REC_CTYPE_##type name;

#include "common/record/record.def"

/* struct rec_process, rec_file, ...: interval fields first, so that every entity's struct begins alike. */
struct rec_interval {
    POFR_INTERVAL_FIELDS(REC_MEMBER)
};
#define ENTITY(number, lower, UPPER)                                                                                   \
    struct rec_##lower {                                                                                               \
        struct rec_interval iv;                                                                                        \
        POFR_##UPPER##_FIELDS(REC_MEMBER)                                                                              \
    };
POFR_ENTITIES(ENTITY)
#undef ENTITY
#define SINGLE(number, lower, UPPER)                                                                                   \
    struct rec_##lower {                                                                                               \
        POFR_##UPPER##_FIELDS(REC_MEMBER)                                                                              \
    };
POFR_SINGLES(SINGLE)
#undef SINGLE

enum rec_entity {
#define ENTITY(number, lower, UPPER) REC_##UPPER = number,
    POFR_ENTITIES(ENTITY)
#undef ENTITY
};
enum rec_single {
    REC_STRING = 1,
#define SINGLE(number, lower, UPPER) REC_##UPPER = number,
    POFR_SINGLES(SINGLE)
#undef SINGLE
};

/* One decoded record. Slices point into the payload that was decoded (or wherever the maker put them). */
struct record {
    uint32_t kind;           /* as on the wire; entity * 4 + verb for entities (so 64 and up), else a single's number */
    uint16_t entity;         /* enum rec_entity, or 0 */
    uint8_t verb;            /* enum rec_verb, where entity is not 0 */
    bool unknown;            /* a kind this version does not know: nothing but kind is set */
    uint32_t unknown_fields; /* fields that were skipped */
    union {
        struct rec_interval iv; /* any entity */
#define ENTITY(number, lower, UPPER) struct rec_##lower lower;
        POFR_ENTITIES(ENTITY)
#undef ENTITY
#define SINGLE(number, lower, UPPER) struct rec_##lower lower;
        POFR_SINGLES(SINGLE)
#undef SINGLE
    };
};

#define REC_KIND(entity, verb) ((uint32_t)(entity)*4u + (uint32_t)(verb))
bool rec_kind_is_entity(uint32_t kind);

/* "process.start", "tick", ... or NULL for a kind this version does not know. */
const char *rec_kind_name(uint32_t kind);
const char *rec_entity_name(unsigned entity);
const char *rec_end_source_name(uint64_t source); /* never NULL: "unknown" for what it does not know */
const char *rec_gap_kind_name(uint64_t kind);
const char *rec_file_kind_name(uint64_t kind);

/* --- encode --------------------------------------------------------------------------------------- */
struct rec_encoder; /* one bundle's payload in the making: string table, current tick, counts */

/* The payload grows in memory, at most REC_PAYLOAD_MAX. POFR_ENOMEM; POFR_ESYSTEM: no random key for its table. */
POFR_MUST_USE int rec_encoder_new(struct rec_encoder **out_encoder);
void rec_encoder_free(struct rec_encoder *e);
void rec_encoder_reset(struct rec_encoder *e); /* begin another bundle: empty payload, empty string table */

/*
 * Append one record. A TICK must come first. r->kind says which member of the union counts; for entities
 * kind = REC_KIND(entity, verb), and iv.hash of an END is the caller's. Moments later than the tick are
 * written as the tick; what the verb does not carry is not looked at. On error nothing was appended:
 * POFR_ETOOBIG: the record or the payload would exceed its limit; POFR_EFORMAT: a kind that is not in the
 * table, or the record contradicts itself or the tick, so that rec_next() would refuse it; POFR_ENOMEM.
 */
POFR_MUST_USE int rec_put(struct rec_encoder *e, const struct record *r);
struct slice rec_encoder_payload(const struct rec_encoder *e); /* borrowed until the next call on e */
size_t rec_encoder_bytes(const struct rec_encoder *e);
uint64_t rec_encoder_text(const struct rec_encoder *e); /* bytes of all texts, each as often as a record names it */
uint64_t rec_encoder_count(const struct rec_encoder *e, uint32_t kind); /* records of a kind so far */

/* --- decode --------------------------------------------------------------------------------------- */
struct rec_order { /* where a record may stand: what encoder and decoder remember of those before it */
    bool have_tick;
    bool in_part;                                        /* a KEYFRAME stood in this tick: only what may follow it */
    uint64_t boot_us;                                    /* of the current tick */
    uint64_t entity, low, high, low_cookie, high_cookie; /* of the current keyframe part */
};

struct rec_decoder {
    struct slice payload;
    size_t position;     /* of the next record */
    struct arena *arena; /* string table; freed by its owner */
    struct slice *strings;
    uint32_t strings_count, strings_room;
    uint32_t *pids; /* of the current keyframe part: open addressing */
    uint32_t pids_count, pids_room;
    int err; /* sticky */
    struct rec_order order;
    struct rec_tick tick; /* the current one */
    uint64_t records;     /* given out, unknown kinds among them */
    uint64_t text;        /* bytes of their texts, each as often as it was named */
    uint64_t unknown_kinds, unknown_fields;
};

/*
 * payload and arena must outlive d and every record that it gives out. The arena's maximum bounds what a hostile
 * payload can cost; REC_ARENA_MAX is enough for every payload that the format allows.
 */
#define REC_ARENA_MAX (32u * 1024u * 1024u)
void rec_decoder_init(struct rec_decoder *d, struct slice payload, struct arena *arena);

/*
 * 1: *out is the next record (STRING records are taken in silently); 0: the end, nothing left over;
 * negative, and for ever: POFR_ETRUNCATED (the payload ends inside a record), POFR_EFORMAT, POFR_ETOOBIG: the payload is
 * not to be believed; POFR_ENOMEM. In *out, moments are of the boot clock, and what the verb does not carry is 0.
 */
POFR_MUST_USE int rec_next(struct rec_decoder *d, struct record *out);

/* --- compare, hash -------------------------------------------------------------------------------- */

/*
 * Canonical bytes: the entity as u16 little-endian, then each ID field, then each AT field, in the table's
 * order; U, S, H, A as u64 little-endian, T and B as u32 length and bytes. Appended to out.
 */
enum rec_canonical {
    REC_CANONICAL_ID = 1,
    REC_CANONICAL_AT = 2,
    REC_CANONICAL_FX = 4,
    REC_CANONICAL_FIRST_SEEN = 8
};
void rec_canonical(const struct record *r, unsigned what, struct buf *out);

/*
 * SipHash-2-4 of the canonical ID and AT bytes; scratch is reset and reused. Its maximum must be REC_BODY_MAX at
 * least, which holds every record that rec_put() takes; after scratch->err the result means nothing.
 */
uint64_t rec_hash(const struct record *r, const uint8_t key[16], struct buf *scratch);

int rec_compare_id(const struct record *a, const struct record *b); /* order by entity, then ID fields in turn */
bool rec_same_attributes(const struct record *a, const struct record *b);
uint64_t rec_text(const struct record *r); /* bytes of its texts (fields of type T) */

/* The entity's text for people: name=value pairs, bytes escaped. For tools and tests. */
void rec_print(const struct record *r, struct buf *out);
