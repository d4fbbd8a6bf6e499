/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recover.h -- the spool at a start: what a crash or a power cut left becomes one valid chain again.
 */
#pragma once

#include "agent/collect/spool.h"

/*
 * Called by spool_open() with all parts open. In turn: find the head (rebuild it from the last whole bundle where
 * it is lost); adopt bundles that were written and synced, but not in the head yet; remove what lies behind; seal
 * what the journal holds, with origin recovered; clear the journal.
 */
POFR_MUST_USE int recover(struct spool *s, struct spool_start *out_start, struct pofr_err *err);

/* The spool is another host's (this machine was enrolled anew): <dir> becomes <dir>.<uuid>, and a new one begins. */
POFR_MUST_USE int recover_set_aside(const char *dir, const struct uuid *host, struct pofr_err *err);

/* spool.c: a mark in the state folder says that this host has signed bundles before. */
bool spool_is_marked(const struct spool *s);
