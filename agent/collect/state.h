/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state.h -- what is open now: process versions, files, sockets, facts; and what a tick changes in it.
 *
 * Looks and events go in, START and END records come out (docs/RECORD.md part 4). What was told, and nothing
 * else, is open: state_each() at the end of a tick shows exactly what a reader of all records has open then,
 * and the counts and sums are of that.
 *
 * A tick: state_tick_begin(); state_event(), state_exec(), then state_events_apply(); state_look_begin(), the
 * functions of struct look_sink, state_look_end(); sockets, state_sockets_end(); facts; state_settle(); state_tick_end().
 * The looks may be left out: what was not looked at goes on.
 *
 * Records point to memory of the state and are good until state_tick_end(); emit may keep them until then.
 * Errors of memory and of emit are sticky: state_tick_end() returns the first.
 *
 * Threads: one at a time (the look's thread calls while its owner waits).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/look/events.h"
#include "agent/look/look_proc.h"
#include "agent/look/look_sock.h"
#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/record/record.h"

struct state;

typedef int (*state_emit_fn)(void *ctx, const struct record *r);

struct state_conf {
    uint8_t hash_key[16];   /* of this boot: for the sums */
    uint8_t string_key[16]; /* random */
    state_emit_fn emit;
    void *ctx;
    int64_t exec_grace_us; /* how long the arguments of one that is gone may still come: 0 where nobody reads them */
    uint64_t files_max;    /* of all processes; more are not held, and counted: 0: no limit */
};

POFR_MUST_USE int state_new(const struct state_conf *conf, struct state **out_state);
void state_free(struct state *s);

/* --- going on where the run before was ---------------------------------------------------------------- */

/* One open interval of the last snapshot; processes before files. Ignored: coverage, what can't be held. */
POFR_MUST_USE int state_restore(struct state *s, const struct record *open);
/* last_tick_us: the last tick of that run: what no look shows from now on was last seen then. */
void state_restored(struct state *s, uint64_t last_tick_us);

/* --- one tick ------------------------------------------------------------------------------------------- */

/* boot_us rises from tick to tick. lean: the spool is nearly full: no arguments, no files are told. */
void state_tick_begin(struct state *s, uint64_t boot_us, bool lean);

void state_event(struct state *s, const struct event *e);
void state_exec(struct state *s, const struct exec_seen *x);
/* events_whole: the source was there all the time and lost nothing since the tick before. */
void state_events_apply(struct state *s, bool events_whole);

/* first: what is seen now may be older than this run: start_unseen. */
void state_look_begin(struct state *s, bool first);
extern const struct look_sink state_look_sink; /* ctx: the state */
void state_look_end(struct state *s, bool complete);

/* first: as in state_look_begin(). */
void state_sockets_begin(struct state *s, bool first);
extern const struct look_sock_sink state_sock_sink; /* ctx: the state */
/* Owners; and sockets of namespaces that nobody lives in any more are over (where the look at processes was complete). */
void state_sockets_end(struct state *s);
/* A socket that the kernel says is destroyed: bytes, and when. r: ID and what is known of the rest. */
void state_socket_destroyed(struct state *s, const struct rec_socket *r, uint64_t at_us);

/* Facts of one entity: all of them, then the end; what was not given is over where complete. */
void state_fact(struct state *s, const struct record *r, bool first);
void state_facts_end(struct state *s, unsigned entity, bool complete);
void state_facts_held(struct state *s, unsigned entity); /* looked at, and as before */

/*
 * The last that is told in a tick: programs that the exec reader saw and no look. all: also what waits for the next
 * tick's word on it (before a keyframe, at the end of a run).
 */
void state_settle(struct state *s, bool all);
/* Tells nothing more. */
POFR_MUST_USE int state_tick_end(struct state *s);

/* --- questions ------------------------------------------------------------------------------------------ */

enum state_group {
    STATE_PROCESSES,
    STATE_FILES,
    STATE_SOCKETS,
    STATE_FACTS,
    STATE_GROUPS
};

struct state_sum {
    uint64_t count;
    uint64_t digest;
};
const struct state_sum *state_sums(const struct state *s); /* [STATE_GROUPS] */

/*
 * All that is open, as SIGHT records, in order: processes by identity, each followed by its files; sockets by (netns,
 * cookie); facts. Between ticks, or after the tick's last change. Non-zero of fn ends it and is returned.
 */
typedef int (*state_each_fn)(void *ctx, const struct record *r);
int state_each(struct state *s, state_each_fn fn, void *ctx);
int state_each_process(struct state *s, state_each_fn fn, void *ctx); /* with files */
int state_each_socket(struct state *s, state_each_fn fn, void *ctx);
int state_each_fact(struct state *s, state_each_fn fn, void *ctx);

/* A stamp that no string bears yet: state_string_new() is true once per string and stamp. */
uint32_t state_stamp(struct state *s);
bool state_string_new(struct slice bytes_of_a_record, uint32_t stamp);

/* Namespaces that processes live in, with one of these each. Borrowed until the next call. */
const struct look_netns *state_netns(struct state *s, size_t *out_count);

/* By identity part of this recorder, and its children with it. For processes already told: from their next version. */
void state_recorder(struct state *s, uint32_t pid);

struct state_figures {
    uint64_t processes, files, sockets, facts; /* open */
    uint64_t string_bytes;
    uint64_t stripped;        /* arguments left out because of lean, since the start */
    uint64_t untold;          /* records left out because of lean, since the start */
    uint64_t execs_unread;    /* program versions of which nothing but the time is known */
    uint64_t merged;          /* versions too close to each other to be told apart */
    uint64_t unknown_exits;   /* of processes never seen */
    uint64_t unannounced;     /* processes that no fork event told of, though events were whole */
    uint64_t reconcile_wrong; /* processes that had changed although their clock stood */
    uint64_t files_over;      /* not held: files_max */
};
void state_figures(const struct state *s, struct state_figures *out);
