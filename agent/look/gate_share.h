/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate_share.h -- which processes share one table of files (clone with CLONE_FILES, without CLONE_THREAD): if one of
 * them opens a file, all have it, and only one clock moves.
 *
 * kcmp(2) says whether two tables are the same, and orders them. Each process that is read for the first time, or in its
 * turn, is put into a list in that order, which begins anew when a round of turns is over; where it meets an equal, both are of one
 * group. Tables that changed in between (exec, unshare) can hide an equal for one round.
 *
 * One owner. 8 bytes a process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/look/gate.h"
#include "agent/look/look_thread.h"

struct gate_share {
    uint32_t *pids; /* in the order of kcmp */
    size_t count, room;
    uint32_t groups;      /* the last number given */
    uint32_t round_begun; /* pid that began this round; 0: none yet */
    bool off;             /* kcmp is refused or not there */
};

void gate_share_init(struct gate_share *s);
void gate_share_fini(struct gate_share *s);

/* Compare e with the others. 0; POFR_ENOMEM; PROC_LEFT (proc_io.h). What can't be compared is in no group. */
POFR_MUST_USE int gate_share_check(struct gate_share *s, struct gate *g, struct gate_entry *e, struct look_thread *t);
