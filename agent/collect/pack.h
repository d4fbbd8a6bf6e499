/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pack.h -- records of ticks become drafts of bundles: the tick in front, journal behind each tick, and a new
 * bundle when one is old or large enough.
 *
 * A tick's records are held back until pack_tick_end() says how long the look took, as long as they are few; what
 * records point to must live until then. A tick may go over several bundles: each begins with it again.
 *
 * One owner: the capture thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect/draft.h"
#include "agent/collect/writer.h"
#include "common/base/compiler.h"
#include "common/record/record.h"

struct pack;

struct pack_conf {
    struct writer *writer;                    /* NULL: closed bundles go to sink */
    bool (*sink)(void *ctx, struct draft *d); /* takes d, or false */
    void *ctx;
    uint8_t run[16];
    struct uuid boot;
    uint8_t hash_key[16];
    uint64_t close_bytes;
    uint64_t close_us;
};

POFR_MUST_USE int pack_new(const struct pack_conf *conf, struct pack **out_pack);
void pack_free(struct pack *p);
void pack_limits(struct pack *p, uint64_t close_bytes, uint64_t close_us);

/* number is set here; look_us at the end. */
void pack_tick(struct pack *p, uint64_t boot_us, uint64_t wall_us, uint64_t skipped);
/* A state_emit_fn. Only POFR_ENOMEM comes back: a record that the format does not take is counted and left out. */
int pack_put(void *pack, const struct record *r);
/*
 * A keyframe part of about so many bytes, and so many of text (rec_text()), follows, which must lie in one bundle: closes the
 * one that is open if it would become too large.
 */
POFR_MUST_USE int pack_part(struct pack *p, uint64_t bytes, uint64_t text);
/* To be named in the bundle's statement, or told to the writer. */
void pack_lost(struct pack *p, enum statement_lost source, uint64_t n);
void pack_note(struct pack *p, uint64_t sequence);
POFR_MUST_USE int pack_tick_end(struct pack *p, uint64_t look_us);
/* Close what is open (after a tick's end). */
POFR_MUST_USE int pack_close(struct pack *p);
/* Is a bundle open, and is it due with the tick that is being made? For what stands once in each. */
bool pack_due(const struct pack *p);

/* Records that the writer had no room for, since the last call: to be told by a gap record, and a keyframe. */
struct pack_loss {
    uint64_t records, from_boot_us, to_boot_us;
};
bool pack_take_loss(struct pack *p, struct pack_loss *out);

struct pack_figures {
    uint64_t ticks, records, bundles, lost_records, unsound;
    uint64_t bytes; /* in the bundle that is open */
};
void pack_figures(const struct pack *p, struct pack_figures *out);
