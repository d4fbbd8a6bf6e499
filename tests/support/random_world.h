/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * random_world.h -- a made-up host that lives: processes with files and sockets, facts, coverage. It gives
 * the records that a perfect collector would write, and knows what is open: the truth to compare with.
 *
 * The same seed gives the same world. Texts are static bytes, so records may be kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/record/record.h"
#include "tests/support/random.h"

#define RANDOM_WORLD_OPEN  4096 /* things open at once, at most */
#define RANDOM_WORLD_ENDED 1024 /* slots that ended in one tick and may not begin again in it */

/* Takes one record; not 0 stops the world and is returned. */
typedef int (*random_world_fn)(const struct record *r, void *ctx);

struct random_world {
    struct random random;
    uint64_t boot_us, wall_us; /* of the last tick */
    uint64_t before_us;        /* of the tick before it; 0: none that this run knows of */
    uint64_t last_us;          /* of the newest tick of the run before; 0: another boot */
    uint64_t ticks;            /* of this run */
    uint64_t jiffies;          /* newest start time given to a process */
    uint64_t next_cookie;
    uint8_t key[16];
    bool first_look; /* the next tick is the first of a run */
    bool unseen;     /* ... and the collector knows nothing of before */
    unsigned size;   /* about how many processes there shall be */
    size_t open_len;
    size_t ended_len;
    struct record open[RANDOM_WORLD_OPEN];   /* as START */
    struct record ended[RANDOM_WORLD_ENDED]; /* in this tick */
};

/* Not small: keep it static or on the heap. size: about how many processes live at once, 1 to 200. */
void random_world_init(struct random_world *w, uint64_t seed, unsigned size);

/* One tick: TICK, what changed, and a keyframe where one is due or keyframe is true. parts: of how many ranges, about. */
int random_world_tick(struct random_world *w, bool keyframe, unsigned parts, random_world_fn fn, void *ctx);

/* The collector stops in good order: its coverage ends in the last tick. Without this it crashed. */
int random_world_stop(struct random_world *w, random_world_fn fn, void *ctx);
/* The collector starts again: another run. with_state: it knows what was open; else it meets what is there anew. */
void random_world_start(struct random_world *w, bool with_state);

/* The machine starts again: nothing is open, the boot clock begins anew, another hash key. */
void random_world_reboot(struct random_world *w);

/* What snapshot_bytes() must give: canonical bytes of all that is open, in order, made the slow and simple way. */
void random_world_bytes(struct random_world *w, struct buf *out);
