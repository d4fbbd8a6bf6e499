/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * catalog.h -- what the gateway asks the catalog, in a thread of its own, so that no session ever waits for
 * the database: keys that the copy lacks, tokens to redeem, and every few seconds the list of wanted bundles.
 *
 * The copy of the keys itself is refreshed by common/catalog.
 *
 * Threads: any thread asks; the answer comes through the asker's mailbox.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/db/db.h"
#include "gateway/enrol.h"
#include "gateway/gateway_stat.h"
#include "gateway/mailbox.h"

struct catalog;
struct keys;
struct pofr_err;
struct reports;
struct stat_set;
struct wanted;

#define CATALOG_ASKS_MAX 1024u /* that wait; more are refused */

enum ask_kind {
    ASK_KEY,
    ASK_ENROL
};

struct ask {          /* on the heap; the catalog's until its note is delivered, then the deliverer's to free */
    struct note note; /* deliver is set by the asker */
    struct mailbox *mailbox;
    uint64_t session; /* the asker's number for whom it is: that one may be gone by then */
    enum ask_kind kind;
    uint8_t key[32];            /* ASK_KEY */
    struct enrol_facts facts;   /* ASK_ENROL */
    enum lookup_result found;   /* answer to ASK_KEY: the copy has it now, or not */
    struct enrol_result result; /* answer to ASK_ENROL */
    struct ask *next;           /* the catalog's own */
};

struct catalog_options {
    struct db_address address; /* strings must outlive the catalog */
    struct keys *keys;
    struct wanted *wanted;
    void (*changed)(void *arg); /* something is wanted since the last look */
    void *arg;
    struct reports *reports;
    const char *gateway; /* its name */
    struct stat_set *stats;
    int64_t refresh_us;
    const _Atomic uint32_t *partitions; /* of the topic: a new host's slot is one of these */
};

POFR_MUST_USE int catalog_open(const struct catalog_options *o, struct catalog **out, struct pofr_err *err);
/* Waits for what is being asked now (bounded by the connection's time limits); the rest is dropped. NULL is
 * allowed. */
void catalog_close(struct catalog *c);

/* POFR_EFULL: a is still the caller's. */
POFR_MUST_USE int catalog_ask(struct catalog *c, struct ask *a);
/* The list of wanted bundles is read at once. */
void catalog_refresh(struct catalog *c);
