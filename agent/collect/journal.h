/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * journal.h -- what a crash must not take: the ticks of the bundle that is not sealed yet, written as they
 * happen. Not synced: it survives the death of the process, and of the machine only by luck. One owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/spool/format.h"
#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/err.h"

struct journal {
    int fd;
    uint8_t mark[16];
    uint64_t at; /* where the next chunk goes; 0: no bundle begun */
    bool broken; /* a chunk is missing: nothing after it would count */
    struct buf chunk;
};

/* Open or make <dir>/open, with SPOOL_JOURNAL_ROOM allocated where the disk has it. */
POFR_MUST_USE int journal_open(struct journal *j, const char *dir, struct pofr_err *err);
void journal_close(struct journal *j);

/* All of the file, for spool_journal_read(). */
POFR_MUST_USE int journal_read(struct journal *j, struct buf *out, struct pofr_err *err);

/* A bundle begins: what was there before no longer counts. */
POFR_MUST_USE int journal_begin(struct journal *j, const struct spool_begin *begin, struct pofr_err *err);
/* Ticks of it. After an error, until the next begin, POFR_ECLOSED: what is not there can't be skipped. */
POFR_MUST_USE int journal_tick(struct journal *j, struct slice records, struct pofr_err *err);
/* The run ends in order: nothing is unsealed. Durable. */
POFR_MUST_USE int journal_clear(struct journal *j, struct pofr_err *err);
