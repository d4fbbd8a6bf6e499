/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chain.h -- the chain's head on disk: which bundle is the last that counts, where it lies, what it adds up to.
 *
 * A bundle exists from the moment its head is synced. Between two slots written in turn, a crash or a torn write
 * leaves the new head or the one before, never neither. Room is allocated when the file is made, so a full disk does not stop it.
 * One owner.
 */
#pragma once

#include <stdbool.h>

#include "agent/spool/format.h"
#include "common/base/compiler.h"
#include "common/base/err.h"

struct chain {
    int fd;
    unsigned slot; /* that holds head */
    bool found;    /* head was read, or committed */
    struct spool_head head;
};

/*
 * Open or make <dir>/head. Where no slot is whole, found is false and head is zero: nothing committed, or lost.
 * What is read is synced first: the last writer may have died between its write and its sync.
 */
POFR_MUST_USE int chain_open(struct chain *c, const char *dir, struct pofr_err *err);
void chain_close(struct chain *c);

/*
 * Make next the head (generation is set here). On error head is as before here; on disk it may be either: so the same next must be
 * tried again before any other, and what it names must stay where it is.
 */
POFR_MUST_USE int chain_commit(struct chain *c, const struct spool_head *next, struct pofr_err *err);
