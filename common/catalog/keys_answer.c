/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The catalog's rows into the table. No I/O; the caller holds the lock. */
#include "common/catalog/keys_parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/parse_num.h"

void keys_answer_free(struct keys_answer *a)
{
    db_result_free(a->hosts);
    db_result_free(a->keys);
    db_result_free(a->slots);
    db_result_free(a->shards);
    db_result_free(a->tombstones);
}

static int64_t get_i64(const struct db_result *r, size_t row, size_t column)
{
    int64_t v = 0;

    return parse_i64(db_get(r, row, column), INT64_MIN, INT64_MAX, &v) == 0 ? v : 0;
}

static void get_text(const struct db_result *r, size_t row, size_t column, char *to, size_t size)
{
    struct slice s = db_get(r, row, column);

    if (s.len > size - 1) {
        s.len = size - 1;
    }
    if (s.len > 0) {
        memcpy(to, s.data, s.len);
    }
    to[s.len] = 0;
}

static int take_host(const struct db_result *r, size_t row, struct keys_host *h)
{
    struct slice uuid = db_get(r, row, 1);

    memset(h, 0, sizeof(*h));
    if (uuid.len != sizeof(h->uuid.b)) {
        return POFR_EFORMAT;
    }
    h->host_id = db_get_u64(r, row, 0);
    memcpy(h->uuid.b, uuid.data, sizeof(h->uuid.b));
    h->slot = (uint16_t)db_get_u64(r, row, 2);
    h->state = (enum keys_state)db_get_u64(r, row, 3); /* the enum's words stand in keys_state's order */
    h->enrolled_us = get_i64(r, row, 4);
    get_text(r, row, 5, h->host, sizeof(h->host));
    get_text(r, row, 6, h->host_group, sizeof(h->host_group));
    return 0;
}

static int take_key(const struct db_result *r, size_t row, struct keys_key *key)
{
    struct slice id = db_get(r, row, 0);
    struct slice public_key = db_get(r, row, 1);

    memset(key, 0, sizeof(*key));
    if (id.len != 32 || public_key.len != 32) {
        return POFR_EFORMAT;
    }
    memcpy(key->key_id, id.data, 32);
    memcpy(key->public_key, public_key.data, 32);
    key->host_id = db_get_u64(r, row, 2);
    key->valid_from_us = get_i64(r, row, 3);
    key->valid_to_us = get_i64(r, row, 4);
    return 0;
}

static int put_hosts(struct keys_table *t, const struct db_result *r, bool *changed)
{
    int code = 0;

    for (size_t i = 0; r && i < db_rows(r) && code == 0; i++) {
        struct keys_host h;

        code = take_host(r, i, &h);
        if (code == 0) {
            code = keys_table_put_host(t, &h, changed);
        }
    }
    return code;
}

static int put_keys(struct keys_table *t, const struct db_result *r, bool *changed)
{
    int code = 0;

    for (size_t i = 0; r && i < db_rows(r) && code == 0; i++) {
        struct keys_key key;

        code = take_key(r, i, &key);
        if (code == 0) {
            code = keys_table_put_key(t, &key, changed);
        }
    }
    return code;
}

/* The host's row may be gone: what is left of it says that its bundles are dropped. */
static int put_tombstones(struct keys_table *t, const struct db_result *r, bool *changed)
{
    int code = 0;

    for (size_t i = 0; r && i < db_rows(r) && code == 0; i++) {
        struct slice uuid = db_get(r, i, 0);
        struct keys_host h = { 0 };
        const struct keys_host_entry *known;

        if (uuid.len != sizeof(h.uuid.b)) {
            return POFR_EFORMAT;
        }
        memcpy(h.uuid.b, uuid.data, sizeof(h.uuid.b));
        h.host_id = db_get_u64(r, i, 1);
        h.slot = (uint16_t)(h.host_id % 1024);
        h.state = KEYS_ERASED;
        known = keys_table_host(t, &h.uuid);
        if (known) {
            h.host_id = known->host_id;
            h.slot = known->slot;
            h.enrolled_us = known->enrolled_us;
        }
        code = keys_table_put_host(t, &h, changed);
    }
    return code;
}

static int put_map(struct keys_table *t, const struct db_result *slots, const struct db_result *shards, bool *changed)
{
    struct keys_slot map[KEYS_SLOTS_MAX] = { 0 };
    struct keys_shard *list;
    size_t count = db_rows(shards);

    for (size_t i = 0; i < db_rows(slots); i++) {
        uint64_t slot = db_get_u64(slots, i, 0);

        if (slot >= KEYS_SLOTS_MAX) {
            return POFR_EFORMAT;
        }
        map[slot] =
            (struct keys_slot){ (uint16_t)slot, (uint16_t)db_get_u64(slots, i, 1), (uint32_t)db_get_u64(slots, i, 2) };
    }
    if (count > KEYS_SHARDS_MAX) {
        return POFR_EFULL;
    }
    list = calloc(count ? count : 1, sizeof(*list));
    if (!list) {
        return POFR_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        list[i].shard_id = (uint16_t)db_get_u64(shards, i, 0);
        list[i].port = (uint16_t)db_get_u64(shards, i, 3);
        get_text(shards, i, 1, list[i].name, sizeof(list[i].name));
        get_text(shards, i, 2, list[i].address, sizeof(list[i].address));
    }
    if (memcmp(map, t->slots, sizeof(map)) != 0 || count != t->shards_count ||
        (count > 0 && memcmp(list, t->shards, count * sizeof(*list)) != 0)) {
        *changed = true;
    }
    memcpy(t->slots, map, sizeof(map));
    free(t->shards);
    t->shards = list;
    t->shards_count = count;
    return 0;
}

int keys_answer_put(struct keys_table *t, const struct keys_answer *a, bool *changed)
{
    int code = put_hosts(t, a->hosts, changed);

    if (code == 0) {
        code = put_keys(t, a->keys, changed);
    }
    if (code == 0) {
        code = put_tombstones(t, a->tombstones, changed);
    }
    if (code == 0 && a->slots && a->shards) {
        code = put_map(t, a->slots, a->shards, changed);
    }
    return code;
}
