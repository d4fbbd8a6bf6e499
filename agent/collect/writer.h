/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writer.h -- the one thread that waits for the disk. Others hand it work through a bounded queue and never wait.
 *
 * What it signs and stores is spool.h's. When there is no room it refuses the newest, counts it, and makes the gap
 * a bundle of its own: at once from the reserve, and again when there is room. A disk that fails is tried
 * again, with the same bundle, until it works or the program ends; meanwhile the queue fills, and what does not fit is
 * lost, counted by the caller.
 *
 * THREADS  writer_journal(), writer_seal(), writer_news(): the capture thread. writer_acked() and the like: the thread of the
 *          socket. writer_figures(): any. The rest: whoever made it, while nobody else uses it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect/ipc.h"
#include "agent/collect/spool.h"
#include "common/base/compiler.h"
#include "common/base/err.h"

struct writer;

struct writer_conf {
    uint64_t queue_limit; /* bytes that wait */
    int64_t retry_us;     /* after an error of the disk */
    /* A bundle became durable; or acks moved. Called by the writer's thread. */
    void (*on_commit)(void *ctx);
    void *ctx;
};

/* Takes over spool (copied; the caller's is not to be used any more) and starts the thread. */
POFR_MUST_USE int writer_start(const struct writer_conf *conf, const struct spool *spool, struct writer **out_writer,
                               struct pofr_err *err);
/*
 * Everything queued is written, for at most limit_us (a disk that fails is tried for a second more); then the spool is
 * closed. true: all of it was.
 */
bool writer_stop(struct writer *w, int64_t limit_us);

struct writer_limits {
    struct segments_limits segments;
    uint64_t refused, queue;
};
/* Other limits, from the next job on. Any thread. */
void writer_limits(struct writer *w, const struct writer_limits *limits);

/* --- capture ---------------------------------------------------------------------------------------------- */

/* Records of a tick of the bundle that is being made. identity: of its first tick, else NULL. false: no room: the journal misses them. */
bool writer_journal(struct writer *w, const struct draft *identity, struct slice records);
/* Takes d. false: no room: d is still the caller's. */
bool writer_seal(struct writer *w, struct draft *d);

struct writer_refusal { /* the gateway will never take it: to be told by a gap record, and named in the draft's notes */
    uint64_t sequence;
    uint8_t digest[32];
    uint64_t records;
    char reason[256];
};

struct writer_news {
    bool lean;        /* the last tenth of the spool: no arguments, no files */
    bool refused_any; /* records were refused since the last news: a keyframe is needed */
    unsigned refusals_len;
    struct writer_refusal refusals[DRAFT_NOTES_MAX];
};
void writer_news(struct writer *w, struct writer_news *out);
/* d, which holds notes, was lost: they come again with the news. */
void writer_notes_back(struct writer *w, const struct draft *d);

/* --- socket ----------------------------------------------------------------------------------------------- */

void writer_acked(struct writer *w, uint64_t sequence, const uint8_t digest[32]);
void writer_wanted(struct writer *w, const struct ipc_range *ranges, unsigned len);
/* fn is called by the writer's thread with 0 or a code. false: too much at once; fn is not called. */
typedef void (*writer_done_fn)(void *ctx, uint64_t cookie, int code);
bool writer_refused(struct writer *w, uint64_t sequence, const uint8_t digest[32], struct slice reason,
                    writer_done_fn fn, void *ctx, uint64_t cookie);

/* Bundles from here on are signed by this key, which outlives the writer. false: too much at once. */
bool writer_key(struct writer *w, const struct sshkey *key);

struct writer_figures {
    uint64_t sequence, acked, oldest; /* durable; oldest in the spool */
    uint8_t digest[32];
    uint64_t ticks_total, records_total, lost_total;
    uint64_t bytes, bytes_held, limit;
    uint64_t queue_bytes;
    uint64_t bundles, bundle_bytes; /* since the start */
    uint64_t refused_full;          /* records, since the start: no room in the spool */
    uint64_t errors;                /* of the disk */
    uint64_t journal_missed;        /* ticks that the journal could not take */
    uint64_t acks_unknown;          /* acks of what is not there */
    bool failing;                   /* the disk does not take what it should, now */
    bool lean;
    char error[200]; /* the last one */
};
void writer_figures(struct writer *w, struct writer_figures *out);
