/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seal.h -- a draft and the chain's head become a signed bundle, and the head that holds once it is durable.
 * Pure but for the signature: nothing is written.
 */
#pragma once

#include "agent/collect/draft.h"
#include "agent/spool/format.h"
#include "common/base/compiler.h"
#include "common/evidence/bundle.h"

/*
 * Append the block to out. *out_next: sequence, digest, totals, times of the new head; segment and offset are the caller's.
 * origin: what the statement says of its place in the chain.
 */
POFR_MUST_USE int seal_bundle(const struct draft *d, const struct spool_head *head, enum statement_origin origin,
                              const struct uuid *host, const struct sshkey *key, struct buf *out,
                              struct spool_head *out_next);

/* The head that a bundle found on disk leads to: everything that its statement says. */
void seal_head_of(const struct bundle_view *v, const struct spool_head *head, struct spool_head *out_next);
