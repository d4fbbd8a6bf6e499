/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * keys_parts.h -- what the files of keys share: the tables in memory, the answer of the catalog. Not for others.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/hashmap.h"
#include "common/base/siphash.h"
#include "common/base/slice.h"
#include "common/catalog/keys.h"

struct keys_key_entry {
    struct keys_key key;
    struct keys_key_entry *next; /* of all keys */
    struct keys_key_entry *next_of_host;
    bool linked; /* in its host's list: the host may come after the key */
};

struct keys_host_entry {
    uint64_t host_id;
    struct uuid uuid;
    uint16_t slot;
    enum keys_state state;
    int64_t enrolled_us;
    char *host;
    char *host_group;
    struct keys_host_entry *next; /* of all hosts */
    struct keys_key_entry *keys;
};

/* What the file holds too. Filled by one thread, then read under the lock. */
struct keys_table {
    uint8_t hash_key[SIPHASH_KEY_SIZE];
    uint64_t change; /* newest change_seq that is in here */
    struct hashmap by_uuid, by_id, by_key;
    struct keys_host_entry *hosts;
    struct keys_key_entry *keys;
    size_t hosts_count, keys_count;
    struct keys_slot slots[KEYS_SLOTS_MAX]; /* shard_id 0: not there */
    struct keys_shard *shards;
    size_t shards_count;
};

void keys_table_init(struct keys_table *t);
void keys_table_free(struct keys_table *t);

struct keys_host_entry *keys_table_host(const struct keys_table *t, const struct uuid *uuid);
struct keys_host_entry *keys_table_host_by_id(const struct keys_table *t, uint64_t host_id);
struct keys_key_entry *keys_table_key(const struct keys_table *t, const uint8_t public_key[32]);

/* Add, or change what is there. *changed is set where something differs. POFR_ENOMEM, POFR_EFULL, POFR_EFORMAT. */
POFR_MUST_USE int keys_table_put_host(struct keys_table *t, const struct keys_host *h, bool *changed);
POFR_MUST_USE int keys_table_put_key(struct keys_table *t, const struct keys_key *key, bool *changed);

/* What the catalog answered. NULL: it was not asked for that. */
struct keys_answer {
    struct db_result *hosts, *keys, *slots, *shards, *tombstones;
};

void keys_answer_free(struct keys_answer *a);
/* Into the table. Errors as above; what came before the error is in it. */
POFR_MUST_USE int keys_answer_put(struct keys_table *t, const struct keys_answer *a, bool *changed);

/* The table as the file's bytes, and back into an empty table (POFR_EFORMAT, POFR_ETRUNCATED, POFR_ETOOBIG, POFR_ENOMEM). */
void keys_file_write(const struct keys_table *t, struct buf *out);
POFR_MUST_USE int keys_file_read(struct keys_table *t, struct slice file);
#define KEYS_FILE_MAX (1024u * 1024u * 1024u)
