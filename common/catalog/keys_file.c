/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LAYOUT   "POFRKEYS" | u32 version 1 | u64 change | u32 hosts | u32 keys | u32 slots | u32 shards | entries | u32 CRC-32C
 *          of all before it. Numbers little-endian, texts as varint length and bytes.
 * VALID    if and only if the checksum fits and nothing is left over. It is a cache: a bad one is thrown away.
 */
#include "common/catalog/keys_parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/crc32c.h"
#include "common/base/cursor.h"

#define MAGIC "POFRKEYS"

static void write_host(const struct keys_host_entry *h, struct buf *out)
{
    buf_u64le(out, h->host_id);
    buf_bytes(out, h->uuid.b, sizeof(h->uuid.b));
    buf_u16le(out, h->slot);
    buf_u8(out, (uint8_t)h->state);
    buf_u64le(out, (uint64_t)h->enrolled_us);
    buf_varbytes(out, slice_str(h->host));
    buf_varbytes(out, slice_str(h->host_group));
}

void keys_file_write(const struct keys_table *t, struct buf *out)
{
    uint32_t slots = 0;

    for (size_t i = 0; i < KEYS_SLOTS_MAX; i++) {
        slots += t->slots[i].shard_id != 0;
    }
    buf_str(out, MAGIC);
    buf_u32le(out, 1);
    buf_u64le(out, t->change);
    buf_u32le(out, (uint32_t)t->hosts_count);
    buf_u32le(out, (uint32_t)t->keys_count);
    buf_u32le(out, slots);
    buf_u32le(out, (uint32_t)t->shards_count);
    for (const struct keys_host_entry *h = t->hosts; h; h = h->next) {
        write_host(h, out);
    }
    for (const struct keys_key_entry *k = t->keys; k; k = k->next) {
        buf_bytes(out, k->key.key_id, 32);
        buf_bytes(out, k->key.public_key, 32);
        buf_u64le(out, k->key.host_id);
        buf_u64le(out, (uint64_t)k->key.valid_from_us);
        buf_u64le(out, (uint64_t)k->key.valid_to_us);
    }
    for (size_t i = 0; i < KEYS_SLOTS_MAX; i++) {
        if (t->slots[i].shard_id != 0) {
            buf_u16le(out, t->slots[i].slot);
            buf_u16le(out, t->slots[i].shard_id);
            buf_u32le(out, t->slots[i].generation);
        }
    }
    for (size_t i = 0; i < t->shards_count; i++) {
        buf_u16le(out, t->shards[i].shard_id);
        buf_u16le(out, t->shards[i].port);
        buf_varbytes(out, slice_str(t->shards[i].name));
        buf_varbytes(out, slice_str(t->shards[i].address));
    }
    buf_u32le(out, crc32c(0, buf_slice(out)));
}

static void read_text(struct cursor *c, char *to, size_t size)
{
    struct slice s = cursor_varbytes(c, size - 1);

    if (s.len > 0 && memchr(s.data, 0, s.len)) {
        cursor_fail(c, POFR_EFORMAT);
        return;
    }
    if (s.len > 0) {
        memcpy(to, s.data, s.len);
    }
    to[s.len] = 0;
}

static void read_bytes(struct cursor *c, void *to, size_t n)
{
    struct slice s = cursor_bytes(c, n);

    if (s.len == n) {
        memcpy(to, s.data, n);
    }
}

static int read_hosts(struct keys_table *t, struct cursor *c, uint32_t count)
{
    bool changed = false;

    for (uint32_t i = 0; i < count && c->err == 0; i++) {
        struct keys_host h = { 0 };

        h.host_id = cursor_u64le(c);
        read_bytes(c, h.uuid.b, sizeof(h.uuid.b));
        h.slot = cursor_u16le(c);
        h.state = cursor_u8(c);
        h.enrolled_us = (int64_t)cursor_u64le(c);
        read_text(c, h.host, sizeof(h.host));
        read_text(c, h.host_group, sizeof(h.host_group));
        if (c->err == 0) {
            cursor_fail(c, keys_table_put_host(t, &h, &changed));
        }
    }
    return c->err;
}

static int read_keys(struct keys_table *t, struct cursor *c, uint32_t count)
{
    bool changed = false;

    for (uint32_t i = 0; i < count && c->err == 0; i++) {
        struct keys_key k;

        memset(&k, 0, sizeof(k)); /* padding too: put_key compares bytes */
        read_bytes(c, k.key_id, 32);
        read_bytes(c, k.public_key, 32);
        k.host_id = cursor_u64le(c);
        k.valid_from_us = (int64_t)cursor_u64le(c);
        k.valid_to_us = (int64_t)cursor_u64le(c);
        if (c->err == 0) {
            cursor_fail(c, keys_table_put_key(t, &k, &changed));
        }
    }
    return c->err;
}

static int read_map(struct keys_table *t, struct cursor *c, uint32_t slots, uint32_t shards)
{
    for (uint32_t i = 0; i < slots && c->err == 0; i++) {
        uint16_t slot = cursor_u16le(c);
        uint16_t shard = cursor_u16le(c);
        uint32_t generation = cursor_u32le(c);

        if (slot >= KEYS_SLOTS_MAX || shard == 0) {
            cursor_fail(c, POFR_EFORMAT);
        } else {
            t->slots[slot] = (struct keys_slot){ slot, shard, generation };
        }
    }
    if (c->err == 0 && shards <= KEYS_SHARDS_MAX && shards > 0) {
        t->shards = calloc(shards, sizeof(*t->shards));
        if (!t->shards) {
            return POFR_ENOMEM;
        }
    } else if (shards > 0) {
        cursor_fail(c, POFR_EFORMAT);
    }
    for (uint32_t i = 0; i < shards && c->err == 0; i++) {
        struct keys_shard *s = &t->shards[i];

        s->shard_id = cursor_u16le(c);
        s->port = cursor_u16le(c);
        read_text(c, s->name, sizeof(s->name));
        read_text(c, s->address, sizeof(s->address));
        t->shards_count = i + 1;
    }
    return c->err;
}

int keys_file_read(struct keys_table *t, struct slice file)
{
    struct cursor c;
    struct cursor crc;
    uint32_t hosts, keys, slots, shards;
    int code;

    if (file.len < sizeof(MAGIC) - 1 + 4 || memcmp(file.data, MAGIC, sizeof(MAGIC) - 1) != 0) {
        return POFR_EFORMAT;
    }
    crc = cursor_of(slice_sub(file, file.len - 4, 4));
    file.len -= 4;
    if (cursor_u32le(&crc) != crc32c(0, file)) {
        return POFR_EFORMAT;
    }
    c = cursor_of(slice_sub(file, sizeof(MAGIC) - 1, SIZE_MAX));
    if (cursor_u32le(&c) != 1) {
        return POFR_EUNSUPPORTED;
    }
    t->change = cursor_u64le(&c);
    hosts = cursor_u32le(&c);
    keys = cursor_u32le(&c);
    slots = cursor_u32le(&c);
    shards = cursor_u32le(&c);
    code = read_hosts(t, &c, hosts);
    if (code == 0) {
        code = read_keys(t, &c, keys);
    }
    if (code == 0) {
        code = read_map(t, &c, slots, shards);
    }
    return code ? code : cursor_done(&c);
}
