/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * identity.h -- which server is this shard? 16 random bytes that its first migration wrote into its own table
 * (pofr_store.identity): they outlive another name, address, port or machine, and a copy of the data has them too.
 */
#pragma once

#include "ctl/ctl.h"

struct identity {
    bool known; /* false: its tables were not made yet */
    uint8_t b[16];
};

/* Ask the server itself. An error of the connection where it can't be reached. */
POFR_MUST_USE int identity_read(struct ctl *c, const struct ctl_shard *s, struct identity *out, struct pofr_err *err);

/* Is it in the catalog under another name? POFR_EREFUSED, and the text names it. */
POFR_MUST_USE int identity_is_new(struct db *catalog, const struct ctl_shard *s, const struct identity *id,
                                  struct pofr_err *err);

/* The catalog's copy of it. */
POFR_MUST_USE int identity_enter(struct db *catalog, uint32_t shard_id, const struct identity *id,
                                 struct pofr_err *err);
