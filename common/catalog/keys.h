/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keys.h -- a copy of what the catalog knows of hosts, their keys, slots and shards: in memory, and in one
 * file, so that gateways and workers start and go on while the catalog is down (CORRECTNESS 6.7, 7.5).
 *
 * keys_refresh() asks the catalog for what changed since the last time (change_seq); keys_run() does so every
 * few seconds in a thread of its own. A catalog that stands behind the copy (restored) is read anew in full.
 * Nothing that was once known of a key is forgotten: keys get an end, hosts a state.
 *
 * Thread-safe. Lookups copy out and never wait for the catalog; keys_refresh() and keys_ask() do.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/uuid.h"
#include "common/db/db.h"

#define KEYS_HOSTS_MAX  1000000u
#define KEYS_SLOTS_MAX  1024u
#define KEYS_SHARDS_MAX 1024u
#define KEYS_FOREVER_US INT64_MAX /* valid_to_us of a key that is valid */

enum keys_state {
    KEYS_PENDING = 1,
    KEYS_ACTIVE,
    KEYS_RETIRED,
    KEYS_ERASED
};

struct keys_host {
    uint64_t host_id;
    struct uuid uuid;
    uint16_t slot;
    enum keys_state state; /* KEYS_ERASED also for a host of which only the tombstone is left */
    int64_t enrolled_us;   /* wall clock */
    char host[764];        /* the catalog's name, UTF-8, at most 190 characters */
    char host_group[764];
};

struct keys_key {
    uint8_t key_id[32]; /* SHA-256 of public_key */
    uint8_t public_key[32];
    uint64_t host_id;
    int64_t valid_from_us, valid_to_us; /* wall clock; KEYS_FOREVER_US: not revoked */
};

struct keys_slot {
    uint16_t slot;
    uint16_t shard_id;
    uint32_t generation; /* rises at each move */
};

struct keys_shard {
    uint16_t shard_id;
    uint16_t port;
    char name[260];
    char address[256];
};

struct keys_options {
    struct db_address catalog; /* its strings must outlive the copy */
    const char *file;          /* the copy on disk; NULL: none */
    const char *area;          /* of log lines: "keys" where NULL */
    int64_t refresh_us;        /* of keys_run(); 0: 5 s */
    bool hosts_only;           /* slots and shards are not asked for (a gateway's account may not read shards) */
    /* Called without any lock after each refresh that changed something, by the thread that refreshed. May be NULL. */
    void (*changed)(void *arg);
    void *arg;
};

struct keys;

/* Reads the file where there is one (a damaged one is logged and ignored); does not ask the catalog. */
POFR_MUST_USE int keys_open(const struct keys_options *o, struct keys **out, struct pofr_err *err);
void keys_close(struct keys *k); /* ends the thread; NULL is allowed */

/* Ask the catalog what changed; write the file if anything did. POFR_EDBBUSY …: the copy stays as it was. */
POFR_MUST_USE int keys_refresh(struct keys *k, struct pofr_err *err);
/* Start the thread that refreshes. */
POFR_MUST_USE int keys_run(struct keys *k, struct pofr_err *err);

/* Has it anything to work with (the file, or one refresh)? */
bool keys_loaded(const struct keys *k);
/* Microseconds since the last refresh that the catalog answered; -1: never. For metrics and readiness. */
int64_t keys_age_us(const struct keys *k);
/* Since when the file lacks what the copy has, for it could not be written; 0: it has all. */
int64_t keys_unsaved_us(const struct keys *k);
size_t keys_count(const struct keys *k); /* hosts */

/* 0, or POFR_ENOTFOUND: not in the copy. out may be NULL. */
POFR_MUST_USE int keys_host(const struct keys *k, const struct uuid *uuid, struct keys_host *out);
POFR_MUST_USE int keys_host_by_id(const struct keys *k, uint64_t host_id, struct keys_host *out);
/* The newest change_seq that is in the copy. */
uint64_t keys_change(const struct keys *k);
/* All hosts, all keys, until one answers other than 0, which is given back. The lock is held: ask nothing of keys meanwhile. */
POFR_MUST_USE int keys_each_host(const struct keys *k, int (*one)(void *arg, const struct keys_host *h), void *arg);
POFR_MUST_USE int keys_each_key(const struct keys *k, int (*one)(void *arg, const struct keys_key *key), void *arg);
/* The key and the host that it belongs, or belonged, to. */
POFR_MUST_USE int keys_key(const struct keys *k, const uint8_t public_key[32], struct keys_key *out_key,
                           struct keys_host *out_host);
/* The public key of the host that was entered last and has not ended at now_wall_us. POFR_ENOTFOUND. */
POFR_MUST_USE int keys_newest(const struct keys *k, uint64_t host_id, int64_t now_wall_us, uint8_t out_public_key[32]);
POFR_MUST_USE int keys_slot(const struct keys *k, unsigned slot, struct keys_slot *out);
POFR_MUST_USE int keys_shard(const struct keys *k, unsigned shard_id, struct keys_shard *out);
/* All shards, at most max; returns how many there are. */
size_t keys_shards(const struct keys *k, struct keys_shard *out, size_t max);

/*
 * What the copy lacks, from the catalog itself. 0: it is in the copy now. POFR_ENOTFOUND: the catalog answered
 * and does not know it. POFR_EDBBUSY and the like: it did not answer.
 */
POFR_MUST_USE int keys_ask_host(struct keys *k, const struct uuid *uuid, struct pofr_err *err);
POFR_MUST_USE int keys_ask_key(struct keys *k, const uint8_t public_key[32], struct pofr_err *err);
