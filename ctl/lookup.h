/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lookup.h -- which host is meant, and where its rows are.
 */
#pragma once

#include "ctl/ctl.h"

/* SQL: 16 bytes as 8-4-4-4-12. */
#define LOOKUP_UUID_TEXT(column)                                                                                       \
    "LOWER(INSERT(INSERT(INSERT(INSERT(HEX(" column "), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-'))"

struct lookup_host {
    uint64_t host_id;
    uint64_t slot;
    char name[764];
    char state[16];
    uint8_t uuid[16];
};

/*
 * By name, host_id or uuid, in the catalog, whose connection is the caller's from then on, also after an error. POFR_ENOTFOUND;
 * POFR_EUSAGE where it is the name of one and the number of another.
 */
POFR_MUST_USE int lookup_host(struct ctl *c, const char *what, struct db **out_catalog, struct lookup_host *out,
                              struct pofr_err *err);

/* A connection to the tables (pofr_store) of the shard that has the slot. */
POFR_MUST_USE int lookup_shard(struct ctl *c, struct db *catalog, uint64_t slot, struct db **out, struct pofr_err *err);
