/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spool_read.h -- sealed bundles in sequence, from the segments that the collector writes (agent/spool/format.h).
 *
 * Only reads. What is committed the caller knows from the collector and gives as last: nothing above it is looked
 * at. Segments may grow, appear and vanish at any time.
 *
 * Not thread-safe: one owner.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct pofr_err;
struct spool_read;

struct spool_bundle {
    uint64_t sequence;
    uint8_t digest[32];
    struct slice block; /* lives until the next call */
};

/* The folder is opened when it is first read. POFR_ENOMEM. */
POFR_MUST_USE int spool_read_open(const char *spool_dir, struct spool_read **out, struct pofr_err *err);
void spool_read_close(struct spool_read *r);

/*
 * The first bundle with from <= sequence <= last.
 * POFR_ENOTFOUND: there is none. POFR_EFORMAT: the bytes of one are rotten; out_bundle->sequence and digest say
 * which one (digest as far as it could be read), so that the caller can go on behind it. Else the disk's errors; POFR_ESYSTEM where the folder is not there.
 */
POFR_MUST_USE int spool_read_next(struct spool_read *r, uint64_t from, uint64_t last, struct spool_bundle *out_bundle,
                                  struct pofr_err *err);
