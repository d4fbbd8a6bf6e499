/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * world.h -- what apply asks of the tables and tells them. store_world.c answers from a shard, inside the transaction;
 * tests/support/memory_world.c from memory.
 *
 * All return 0 or a negative code, which ends the transaction. Lists live in world_arena(w) until the transaction is over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/evidence/bundle.h"
#include "workers/changes.h"
#include "workers/host.h"
#include "workers/keyframe.h"
#include "workers/row.h"

struct world;

struct arena *world_arena(struct world *w);

/* --- the ledger ---------------------------------------------------------------------------------------- */

struct ledger_row { /* the part that apply looks at */
    uint64_t sequence;
    uint8_t digest[32], previous[32], run[16];
    uint32_t boot;
    uint64_t from_us, to_us; /* boot clock */
    uint64_t records, records_total;
    uint64_t unknown; /* records and fields that the worker which stored it did not know */
};

/* All that is stored under a sequence; more than one where histories branched. */
POFR_MUST_USE int world_ledger_at(struct world *w, const struct host *h, uint64_t sequence, struct ledger_row **out,
                                  size_t *out_count);
/* The stored neighbours of a sequence within a boot; NULL: none. */
POFR_MUST_USE int world_ledger_near(struct world *w, const struct host_boot *b, uint64_t sequence,
                                    struct ledger_row **out_before, struct ledger_row **out_after);
/*
 * The newest look of the boot before at, in the stored bundles before sequence, whose newest tick is at or older; 0: none. A
 * bundle that holds several ticks and ends with at knows the one before it.
 */
POFR_MUST_USE int world_look_before(struct world *w, const struct host_boot *b, uint64_t sequence, uint64_t at,
                                    uint64_t *out);
/*
 * Keyframe parts of the boot's stored bundles, ascending: as many before sequence, and as many from it on, as are needed to
 * have a whole one on each side (keyframe_marks_whole()).
 */
POFR_MUST_USE int world_keyframes(struct world *w, const struct host_boot *b, uint64_t sequence,
                                  struct keyframe_mark **out, size_t *out_count);

struct bundle_meta { /* one message, as far as its bundle was verified */
    const struct bundle_view *view;
    int64_t received_us; /* wall clock of the gateway */
    bool has_offset;     /* the gateway measured this boot's clock */
    int64_t offset_us;
    uint64_t uncertainty_us;
    unsigned slot;
    uint32_t incarnation;
    int64_t kafka_offset;
    size_t bytes;
    bool replayed;
    struct slice peer; /* whom the gateway had it from, in its words; empty: it does not say */
};

struct world_bundle { /* a new row of the ledger */
    const struct bundle_meta *meta;
    const struct host_boot *boot;
    struct slice marks;   /* keyframe_marks_write() */
    uint64_t look_before; /* tick before its last one, 0: it has one */
    uint64_t unknown;
};
POFR_MUST_USE int world_put_bundle(struct world *w, const struct host *h, const struct world_bundle *b);
/* The same of one that is stored, and was read again: its marks and what of it is unknown are others now. */
POFR_MUST_USE int world_change_bundle(struct world *w, const struct host *h, const struct world_bundle *b);

/* --- runs ----------------------------------------------------------------------------------------------- */

struct run_row {
    uint8_t run[16];
    uint32_t boot;
    uint64_t first_sequence, first_us;
    uint64_t before_us; /* newest look of the boot before first_us, of what is stored; 0: none */
};
POFR_MUST_USE int world_runs_of_boot(struct world *w, const struct host_boot *b, struct run_row **out,
                                     size_t *out_count);
POFR_MUST_USE int world_runs_of_run(struct world *w, const struct host *h, const uint8_t run[16], struct run_row **out,
                                    size_t *out_count);
POFR_MUST_USE int world_put_run(struct world *w, const struct host *h, const struct run_row *run); /* new or changed */

/* --- gaps, findings --------------------------------------------------------------------------------------- */

enum gap_kind { /* rec_gap_kind, then ours: the words of the column, in its order */
    GAP_KIND_STOPPED = 1,
    GAP_KIND_CRASH,
    GAP_KIND_SPOOL,
    GAP_KIND_REFUSED,
    GAP_KIND_WRITER,
    GAP_KIND_TICKS,
    GAP_KIND_STATE,
    GAP_KIND_SEQUENCE,
    GAP_KIND_RETENTION,
    GAP_KIND_ERASED,
};

struct gap_row {
    uint64_t gap_id; /* 0: new */
    uint32_t boot;
    enum gap_kind kind;
    int64_t from_us, to_us; /* wall clock: anchor + boot clock */
    bool lost_known;
    uint64_t lost;
    bool explained;
    uint64_t first_sequence, last_sequence; /* 0: not about bundles */
    struct slice digest;                    /* empty or 32 bytes */
    struct slice detail;
};

/* Unexplained gaps in which nothing of the boot was seen (all kinds but ticks), ascending by from. */
POFR_MUST_USE int world_gaps_of_boot(struct world *w, const struct host_boot *b, struct gap_row **out,
                                     size_t *out_count);
/* The unexplained gap of kind sequence that holds this sequence; NULL: none. boot 0: any boot's. */
POFR_MUST_USE int world_gap_of_sequence(struct world *w, const struct host *h, uint32_t boot, uint64_t sequence,
                                        struct gap_row **out);
POFR_MUST_USE int world_put_gap(struct world *w, const struct host *h, const struct gap_row *gap);
/* Records in what was set aside of these sequences and not yet stored after all. */
POFR_MUST_USE int world_set_aside_records(struct world *w, const struct host *h, uint64_t first, uint64_t last,
                                          uint64_t *out_records);
POFR_MUST_USE int world_put_finding(struct world *w, const struct host *h, uint32_t boot, int64_t at_us,
                                    struct slice kind, struct slice detail);
/* The host's next key, to be entered in the catalog after the commit. */
POFR_MUST_USE int world_put_key(struct world *w, const struct host *h, const uint8_t public_key[32]);

/* --- boots and rows ------------------------------------------------------------------------------------------ */

/* A boot that lives as long as the host; apply fills it and puts it into the host's list. */
POFR_MUST_USE int world_new_boot(struct world *w, struct host_boot **out);

/* Carry out what c holds, and empty it. */
POFR_MUST_USE int world_flush(struct world *w, struct changes *c);
/* The same of the changes of the boot's host, and of one entity unless that is 0; the others go on waiting. */
POFR_MUST_USE int world_flush_host(struct world *w, const struct host_boot *b, unsigned entity, struct changes *c);

struct row_list {
    struct stored_row *rows;
    size_t count;
};

/*
 * Rows of these slots (records of one entity) that are open; with from < ROW_OPEN also those that ended at from or later, and
 * those with an inferred end that were not yet known to be over at from. Appended to out.
 */
POFR_MUST_USE int world_rows(struct world *w, const struct host_boot *b, unsigned entity,
                             const struct record *const *slots, size_t count, uint64_t from, struct row_list *out);
/* The same of every slot in a keyframe's range (of coverage: all). */
POFR_MUST_USE int world_range(struct world *w, const struct host_boot *b, unsigned entity,
                              const struct keyframe_mark *range, uint64_t from, struct row_list *out);
/* The same of rows with an inferred end at exactly this moment, whose end_before is known. */
POFR_MUST_USE int world_inferred_at(struct world *w, const struct host_boot *b, unsigned entity, uint64_t ended,
                                    struct row_list *out);
/* All open rows with first <= shown become closed: inferred, ended as given, without end_before. */
POFR_MUST_USE int world_close_open(struct world *w, const struct host_boot *b, unsigned entity, uint64_t shown,
                                   uint64_t ended, enum row_source source);
/* Rows with an inferred end at from and without end_before ended at to instead. */
POFR_MUST_USE int world_move_gone(struct world *w, const struct host_boot *b, unsigned entity, uint64_t from,
                                  uint64_t to);
