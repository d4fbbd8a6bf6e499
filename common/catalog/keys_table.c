/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/catalog/keys_parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/os/fsio.h"

void keys_table_init(struct keys_table *t)
{
    memset(t, 0, sizeof(*t));
    if (fsio_random(t->hash_key, sizeof(t->hash_key), NULL) != 0) {
        memset(t->hash_key, 0x5a, sizeof(t->hash_key)); /* no attack surface worth dying for: chains only get longer */
    }
    hashmap_init(&t->by_uuid, KEYS_HOSTS_MAX, 0);
    hashmap_init(&t->by_id, KEYS_HOSTS_MAX, 1);
    hashmap_init(&t->by_key, (size_t)KEYS_HOSTS_MAX * 4, 0);
}

void keys_table_free(struct keys_table *t)
{
    while (t->hosts) {
        struct keys_host_entry *next = t->hosts->next;

        free(t->hosts->host);
        free(t->hosts->host_group);
        free(t->hosts);
        t->hosts = next;
    }
    while (t->keys) {
        struct keys_key_entry *next = t->keys->next;

        free(t->keys);
        t->keys = next;
    }
    hashmap_free(&t->by_uuid);
    hashmap_free(&t->by_id);
    hashmap_free(&t->by_key);
    free(t->shards);
    memset(t, 0, sizeof(*t));
}

static bool same_uuid(const void *value, const void *key)
{
    return uuid_eq(&((const struct keys_host_entry *)value)->uuid, key);
}

static bool same_public_key(const void *value, const void *key)
{
    return memcmp(((const struct keys_key_entry *)value)->key.public_key, key, 32) == 0;
}

static uint64_t hash_of(const struct keys_table *t, const void *data, size_t len)
{
    return siphash24(t->hash_key, slice_of(data, len));
}

struct keys_host_entry *keys_table_host(const struct keys_table *t, const struct uuid *uuid)
{
    return hashmap_get(&t->by_uuid, hash_of(t, uuid->b, sizeof(uuid->b)), same_uuid, uuid);
}

struct keys_host_entry *keys_table_host_by_id(const struct keys_table *t, uint64_t host_id)
{
    return hashmap_get(&t->by_id, host_id, NULL, NULL);
}

struct keys_key_entry *keys_table_key(const struct keys_table *t, const uint8_t public_key[32])
{
    return hashmap_get(&t->by_key, hash_of(t, public_key, 32), same_public_key, public_key);
}

static int put_text(char **text, const char *value, bool *changed)
{
    char *copy;

    if (*text && strcmp(*text, value) == 0) {
        return 0;
    }
    copy = strdup(value);
    if (!copy) {
        return POFR_ENOMEM;
    }
    free(*text);
    *text = copy;
    *changed = true;
    return 0;
}

static int put_host_values(struct keys_host_entry *e, const struct keys_host *h, bool *changed)
{
    int code = put_text(&e->host, h->host, changed);

    if (code == 0) {
        code = put_text(&e->host_group, h->host_group, changed);
    }
    if (code == 0 && (e->state != h->state || e->slot != h->slot || e->enrolled_us != h->enrolled_us)) {
        e->state = h->state;
        e->slot = h->slot;
        e->enrolled_us = h->enrolled_us;
        *changed = true;
    }
    return code;
}

int keys_table_put_host(struct keys_table *t, const struct keys_host *h, bool *changed)
{
    struct keys_host_entry *e = keys_table_host(t, &h->uuid);
    int code;

    if (h->state < KEYS_PENDING || h->state > KEYS_ERASED || h->slot >= KEYS_SLOTS_MAX) {
        return POFR_EFORMAT;
    }
    if (e && e->host_id == h->host_id) {
        return put_host_values(e, h, changed);
    }
    if (e || keys_table_host_by_id(t, h->host_id)) {
        return POFR_EFORMAT; /* host_id and uuid are given together, once */
    }
    e = calloc(1, sizeof(*e));
    if (!e) {
        return POFR_ENOMEM;
    }
    e->host_id = h->host_id;
    e->uuid = h->uuid;
    code = put_host_values(e, h, changed);
    if (code == 0) {
        code = hashmap_insert(&t->by_uuid, hash_of(t, e->uuid.b, sizeof(e->uuid.b)), e);
    }
    if (code == 0) {
        code = hashmap_insert(&t->by_id, e->host_id, e);
        if (code) {
            (void)hashmap_remove(&t->by_uuid, hash_of(t, e->uuid.b, sizeof(e->uuid.b)), same_uuid, &e->uuid);
        }
    }
    if (code) {
        free(e->host);
        free(e->host_group);
        free(e);
        return code;
    }
    e->next = t->hosts;
    t->hosts = e;
    t->hosts_count++;
    *changed = true;
    return 0;
}

static void link_to_host(const struct keys_table *t, struct keys_key_entry *e)
{
    struct keys_host_entry *h = e->linked ? NULL : keys_table_host_by_id(t, e->key.host_id);

    if (h) {
        e->next_of_host = h->keys;
        h->keys = e;
        e->linked = true;
    }
}

int keys_table_put_key(struct keys_table *t, const struct keys_key *key, bool *changed)
{
    struct keys_key_entry *e = keys_table_key(t, key->public_key);
    int code;

    if (e) {
        if (memcmp(&e->key, key, sizeof(*key)) != 0) {
            e->key = *key;
            *changed = true;
        }
        link_to_host(t, e);
        return 0;
    }
    e = calloc(1, sizeof(*e));
    if (!e) {
        return POFR_ENOMEM;
    }
    e->key = *key;
    code = hashmap_insert(&t->by_key, hash_of(t, key->public_key, 32), e);
    if (code) {
        free(e);
        return code;
    }
    e->next = t->keys;
    t->keys = e;
    link_to_host(t, e);
    t->keys_count++;
    *changed = true;
    return 0;
}
