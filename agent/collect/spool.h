/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spool.h -- drafts become bundles on disk, in one chain: chain.h, segments.h, journal.h, refused.h and seal.h put
 * together, and what a crash left put right at the start. Everything here waits for the disk. One owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect/chain.h"
#include "agent/collect/draft.h"
#include "agent/collect/journal.h"
#include "agent/collect/segments.h"
#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/evidence/sshsig.h"

struct spool_conf {
    const char *state_dir;
    struct segments_limits limits;
    uint64_t refused_limit;
    struct uuid host;
    uint8_t run[16];          /* of this start */
    const struct sshkey *key; /* borrowed */
};

enum spool_past {        /* what the start found */
    SPOOL_PAST_NONE = 1, /* nothing: this host's first start */
    SPOOL_PAST_LOST,     /* it did record before, but nothing is left */
    SPOOL_PAST_REBUILT,  /* the head was lost, and found again in the last whole bundle */
    SPOOL_PAST_FOUND,
};

struct spool_start {
    enum spool_past past;
    bool clean;             /* the run before ended in order */
    uint64_t adopted;       /* bundles that were on disk, and not in the head yet */
    uint64_t recovered;     /* sequence of the bundle made of the journal; 0: none */
    bool recovered_lost;    /* the journal held one, and there was no room for it: */
    uint64_t lost_records;  /* so many records */
    struct spool_head head; /* after all that: what this run goes on from */
};

struct spool_refusal {
    uint64_t sequence;
    bool noted; /* its gap record is durable: it counts as acked once all before it are */
};

struct spool {
    struct spool_conf conf;
    char *dir;
    struct chain chain;
    struct segments segments;
    struct journal journal;
    enum spool_past past;
    bool begun;                                        /* this run has a bundle */
    bool marked;                                       /* the state folder says that this host has recorded */
    uint64_t acked_seen;                               /* told by the shipper; the head's waits for gap records */
    struct spool_refusal refused[DRAFT_NOTES_MAX * 4]; /* ascending */
    unsigned refused_len;
    struct buf block;
    struct spool_head pending; /* sequence 0: none. Written and synced; its head could not be, and may yet be on disk */
};

POFR_MUST_USE int spool_open(const struct spool_conf *conf, struct spool *out_spool, struct spool_start *out_start,
                             struct pofr_err *err);
/* clean: the run ends in order, all it had is stored. Acks since the last bundle are kept, if they can be. */
void spool_close(struct spool *s, bool clean);

/*
 * Sign and store. POFR_EFULL: no room; nothing happened, the draft's records are to be counted as lost. Another error: call again with the
 * same draft, until it works. (If it is dropped instead, it may turn out to be stored.)
 */
POFR_MUST_USE int spool_put(struct spool *s, const struct draft *d, bool last_resort, struct pofr_err *err);

/* The journal of the bundle that comes next. */
POFR_MUST_USE int spool_journal_begin(struct spool *s, const struct draft *identity, struct pofr_err *err);
POFR_MUST_USE int spool_journal_tick(struct spool *s, struct slice records, struct pofr_err *err);

/* POFR_ENOTFOUND: no such bundle; POFR_ECONFLICT: it has another digest. Then nothing happened. */
POFR_MUST_USE int spool_acked(struct spool *s, uint64_t sequence, const uint8_t digest[32], struct pofr_err *err);

/*
 * The gateway refused it finally: keep it in refused/. Its gap record is to be put into a draft (notes); until that is
 * durable the head's acked stays below it. *out_records: what it held. POFR_EFULL: too many at once. POFR_EEXISTS: known already.
 */
POFR_MUST_USE int spool_refused(struct spool *s, uint64_t sequence, const uint8_t digest[32], uint64_t *out_records,
                                struct pofr_err *err);
