/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * look_world.h -- a made-up machine that a state looks at: processes come, exec, change, open, close, end; pids come
 * again at once; events are told in order, late, or not at all; looks race with what happens. It knows the truth.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect/state.h"
#include "tests/support/random.h"

#define WORLD_PIDS   24
#define WORLD_FILES  8
#define WORLD_SOCKS  24
#define WORLD_EVENTS 4096

struct world_file {
    bool open;
    uint8_t path, kind, mode;
    uint64_t inode;
};

struct world_proc {
    bool alive, changed;
    bool attributes_read; /* and none has changed since */
    bool zombie_waits;    /* it ended and was not reaped: a look shows a zombie once */
    uint32_t ppid;
    uint64_t jiffies;
    uint8_t program, uid, cwd;
    struct world_file files[WORLD_FILES];
};

struct world_sock {
    bool there;
    uint64_t cookie, inode;
    uint8_t netns, port;
};

struct world {
    struct random random;
    uint64_t t; /* of the last tick */
    uint64_t now;
    uint64_t next_inode, next_cookie;
    struct world_proc procs[WORLD_PIDS + 1]; /* by pid */
    struct world_sock socks[WORLD_SOCKS];
    struct event events[WORLD_EVENTS];
    struct exec_seen seens[WORLD_EVENTS];
    unsigned events_len, seens_len;
    unsigned told, seens_told; /* up to here they were drained */
    uint8_t facts[4];          /* value of each; 0: not there */
    bool events_work;          /* there is such a source */
    bool never_races;          /* nothing happens between drain and look */
    unsigned busy;             /* about how much happens between two ticks */
};

void world_init(struct world *w, uint64_t seed, bool events_work, bool never_races, unsigned busy);
/* One tick of s at w: what happened since the last, events, looks. The caller has made state_tick_begin(s, world_next(w)). */
uint64_t world_next(struct world *w);
void world_tick(struct world *w, struct state *s, bool first);
/* Processes, files, sockets that are there (after world_tick, without races: what a look must have shown). */
void world_counts(const struct world *w, size_t *out_processes, size_t *out_files);
