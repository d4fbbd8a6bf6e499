/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/spool/format.h"

#include <stdio.h>
#include <string.h>

#include "common/base/crc32c.h"
#include "common/base/cursor.h"
#include "common/base/err.h"
#include "common/base/parse_num.h"
#include "common/record/limits.h"

#define ENTRY_MAGIC  0x73466f50u /* "PoFs" */
#define CHUNK_MAGIC  0x6a466f50u /* "PoFj" */
#define SLOT_MAGIC   0x68466f50u /* "PoFh" */
#define SLOT_HEADER  12u         /* magic, crc, length */
#define HEAD_VERSION 1u

#define CHUNK_BODY_MAX (16u * 1024u * 1024u)

static char *name_put(uint64_t sequence, const char *suffix, char out[SPOOL_NAME_SIZE])
{
    snprintf(out, SPOOL_NAME_SIZE, "%020llu%s", (unsigned long long)sequence, suffix);
    return out;
}

static bool name_parse(const char *name, const char *suffix, uint64_t *out_sequence)
{
    size_t len = strlen(name);
    size_t suffix_len = strlen(suffix);
    uint64_t sequence;

    if (len != 20 + suffix_len || strcmp(name + 20, suffix) != 0 ||
        parse_u64(slice_of(name, 20), UINT64_MAX, &sequence) != 0 || sequence == 0) {
        return false;
    }
    *out_sequence = sequence;
    return true;
}

char *spool_segment_name(uint64_t first_sequence, char out[SPOOL_NAME_SIZE])
{
    return name_put(first_sequence, ".seg", out);
}

bool spool_segment_name_parse(const char *name, uint64_t *out_first_sequence)
{
    return name_parse(name, ".seg", out_first_sequence);
}

char *spool_refused_name(uint64_t sequence, char out[SPOOL_NAME_SIZE])
{
    return name_put(sequence, ".bundle", out);
}

bool spool_refused_name_parse(const char *name, uint64_t *out_sequence)
{
    return name_parse(name, ".bundle", out_sequence);
}

/* --- entries ---------------------------------------------------------------------------------------- */

static uint32_t entry_crc(const uint8_t header[SPOOL_ENTRY_HEADER], struct slice block)
{
    uint32_t crc = crc32c(0, slice_of(header + 12, SPOOL_ENTRY_HEADER - 12));

    crc = crc32c(crc, block);
    return crc32c(crc, slice_of(header, 8));
}

static void put_u32(uint8_t *at, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++) {
        at[i] = (uint8_t)(v >> (8 * i));
    }
}

int spool_entry_put(uint64_t sequence, const uint8_t digest[32], struct slice block, struct buf *out)
{
    uint8_t header[SPOOL_ENTRY_HEADER] = { 0 };

    if (block.len > BUNDLE_MAX) {
        return POFR_ETOOBIG;
    }
    put_u32(header, ENTRY_MAGIC);
    put_u32(header + 4, (uint32_t)block.len);
    put_u32(header + 16, (uint32_t)sequence);
    put_u32(header + 20, (uint32_t)(sequence >> 32));
    memcpy(header + 24, digest, 32);
    put_u32(header + 8, entry_crc(header, block));
    buf_bytes(out, header, sizeof(header));
    buf_append(out, block);
    return out->err;
}

int spool_entry_header(struct slice in, struct spool_entry *out_entry)
{
    struct cursor c = cursor_of(in);
    struct spool_entry e = { 0 };
    struct slice digest;

    if (in.len < SPOOL_ENTRY_HEADER) {
        return POFR_ETRUNCATED;
    }
    if (cursor_u32le(&c) != ENTRY_MAGIC) {
        return POFR_EFORMAT;
    }
    e.length = cursor_u32le(&c);
    e.crc = cursor_u32le(&c);
    if (cursor_u32le(&c) != 0 || e.length > BUNDLE_MAX) {
        return POFR_EFORMAT;
    }
    e.sequence = cursor_u64le(&c);
    digest = cursor_bytes(&c, 32);
    if (c.err != 0 || e.sequence == 0) {
        return POFR_EFORMAT;
    }
    memcpy(e.digest, digest.data, 32);
    *out_entry = e;
    return 0;
}

int spool_entry_check(struct slice header, struct slice block)
{
    struct spool_entry e;
    int rc = spool_entry_header(header, &e);

    if (rc != 0 || block.len != e.length || entry_crc(header.data, block) != e.crc) {
        return POFR_EFORMAT;
    }
    return 0;
}

int spool_entry_get(struct slice in, struct spool_entry *out_entry, struct slice *out_block, size_t *out_used)
{
    struct spool_entry e;
    struct slice block;
    int rc = spool_entry_header(in, &e);

    if (rc != 0) {
        return rc;
    }
    if (in.len - SPOOL_ENTRY_HEADER < e.length) {
        return POFR_ETRUNCATED;
    }
    block = slice_of(in.data + SPOOL_ENTRY_HEADER, e.length);
    if (entry_crc(in.data, block) != e.crc) {
        return POFR_EFORMAT;
    }
    *out_entry = e;
    *out_block = block;
    *out_used = SPOOL_ENTRY_HEADER + (size_t)e.length;
    return 0;
}

/* --- counts ----------------------------------------------------------------------------------------- */

static void counts_put(const struct statement_count *counts, unsigned len, bool totals, struct buf *out)
{
    buf_varint(out, len);
    for (unsigned i = 0; i < len; i++) {
        buf_varint(out, counts[i].kind);
        buf_varint(out, totals ? counts[i].total : counts[i].here);
    }
}

static unsigned counts_get(struct cursor *c, struct statement_count *counts, unsigned max, bool totals)
{
    uint64_t len = cursor_varint_max(c, max);
    uint64_t last = 0;

    for (uint64_t i = 0; i < len && c->err == 0; i++) {
        uint64_t kind = cursor_varint_max(c, UINT32_MAX);
        uint64_t n = cursor_varint(c);

        if (i > 0 && kind <= last) {
            cursor_fail(c, POFR_EFORMAT);
        }
        last = kind;
        counts[i] = (struct statement_count){ (uint32_t)kind, totals ? 0 : n, totals ? n : 0 };
    }
    return c->err == 0 ? (unsigned)len : 0;
}

static void get_bytes(struct cursor *c, uint8_t *out, size_t len)
{
    struct slice s = cursor_bytes(c, len);

    if (s.len == len) {
        memcpy(out, s.data, len);
    }
}

/* --- head ------------------------------------------------------------------------------------------- */

int spool_head_put(const struct spool_head *h, uint8_t out_slot[SPOOL_SLOT_SIZE])
{
    struct buf b = BUF_INIT(SPOOL_SLOT_SIZE);
    uint32_t crc;
    int rc;

    buf_u32le(&b, SLOT_MAGIC);
    buf_u32le(&b, 0); /* crc, below */
    buf_u32le(&b, 0); /* length, below */
    buf_u8(&b, HEAD_VERSION);
    buf_u64le(&b, h->generation);
    buf_u64le(&b, h->sequence);
    buf_bytes(&b, h->digest, 32);
    buf_u64le(&b, h->segment);
    buf_u64le(&b, h->offset);
    buf_u64le(&b, h->acked);
    buf_bytes(&b, h->host.b, 16);
    buf_bytes(&b, h->run, 16);
    buf_bytes(&b, h->boot.b, 16);
    buf_bytes(&b, h->hash_key, 16);
    buf_u64le(&b, h->to_boot_us);
    buf_u64le(&b, h->to_wall_us);
    buf_u64le(&b, h->ticks_total);
    buf_u64le(&b, h->refused_bytes_dropped);
    buf_u8(&b, h->clean);
    counts_put(h->counts, h->counts_len, true, &b);
    counts_put(h->lost, h->lost_len, true, &b);
    if (b.err == 0) {
        buf_patch_u32le(&b, 8, (uint32_t)b.len);
        crc = crc32c(0, slice_of(b.data + 8, b.len - 8));
        buf_patch_u32le(&b, 4, crc);
        memcpy(out_slot, b.data, b.len);
        memset(out_slot + b.len, 0, SPOOL_SLOT_SIZE - b.len);
    }
    rc = b.err;
    buf_free(&b);
    return rc;
}

int spool_head_get(struct slice slot, struct spool_head *out_head)
{
    struct cursor c = cursor_of(slot);
    struct spool_head h = { 0 };
    uint32_t crc, length;

    if (cursor_u32le(&c) != SLOT_MAGIC) {
        return POFR_EFORMAT;
    }
    crc = cursor_u32le(&c);
    length = cursor_u32le(&c);
    if (c.err != 0 || length < SLOT_HEADER || length > slot.len || length > SPOOL_SLOT_SIZE ||
        crc32c(0, slice_of(slot.data + 8, length - 8)) != crc) {
        return POFR_EFORMAT;
    }
    c = cursor_of(slice_of(slot.data + SLOT_HEADER, length - SLOT_HEADER));
    if (cursor_u8(&c) != HEAD_VERSION) {
        return POFR_EFORMAT;
    }
    h.generation = cursor_u64le(&c);
    h.sequence = cursor_u64le(&c);
    get_bytes(&c, h.digest, 32);
    h.segment = cursor_u64le(&c);
    h.offset = cursor_u64le(&c);
    h.acked = cursor_u64le(&c);
    get_bytes(&c, h.host.b, 16);
    get_bytes(&c, h.run, 16);
    get_bytes(&c, h.boot.b, 16);
    get_bytes(&c, h.hash_key, 16);
    h.to_boot_us = cursor_u64le(&c);
    h.to_wall_us = cursor_u64le(&c);
    h.ticks_total = cursor_u64le(&c);
    h.refused_bytes_dropped = cursor_u64le(&c);
    h.clean = cursor_u8(&c) != 0;
    h.counts_len = counts_get(&c, h.counts, STATEMENT_COUNTS_MAX, true);
    h.lost_len = counts_get(&c, h.lost, 64, true);
    if (cursor_done(&c) != 0) {
        return POFR_EFORMAT;
    }
    *out_head = h;
    return 0;
}

int spool_head_pick(struct slice file, struct spool_head *out_head, unsigned *out_slot)
{
    struct spool_head h;
    bool found = false;

    for (unsigned i = 0; i < 2; i++) {
        struct slice slot = slice_sub(file, (size_t)i * SPOOL_SLOT_SIZE, SPOOL_SLOT_SIZE);

        if (spool_head_get(slot, &h) == 0 && (!found || h.generation > out_head->generation)) {
            *out_head = h;
            *out_slot = i;
            found = true;
        }
    }
    return found ? 0 : POFR_EFORMAT;
}

/* --- journal ---------------------------------------------------------------------------------------- */

void spool_chunk_put(uint32_t type, const uint8_t mark[16], struct slice body, struct buf *out)
{
    size_t at = out->len;

    if (body.len > CHUNK_BODY_MAX) {
        out->err = out->err != 0 ? out->err : POFR_ETOOBIG;
        return;
    }
    buf_u32le(out, CHUNK_MAGIC);
    buf_u32le(out, (uint32_t)body.len);
    buf_u32le(out, 0);
    buf_u32le(out, type);
    buf_bytes(out, mark, 16);
    buf_append(out, body);
    if (out->err == 0) {
        buf_patch_u32le(out, at + 8, crc32c(0, slice_of(out->data + at + 12, out->len - at - 12)));
    }
}

int spool_chunk_get(struct slice in, struct spool_chunk *out_chunk, size_t *out_used)
{
    struct cursor c = cursor_of(in);
    struct spool_chunk chunk = { 0 };
    uint32_t magic = cursor_u32le(&c);
    uint32_t length = cursor_u32le(&c);
    uint32_t crc = cursor_u32le(&c);

    if (c.err != 0 || in.len < SPOOL_CHUNK_HEADER) {
        return POFR_ETRUNCATED;
    }
    if (magic != CHUNK_MAGIC || length > CHUNK_BODY_MAX) {
        return POFR_EFORMAT;
    }
    if (in.len - SPOOL_CHUNK_HEADER < length) {
        return POFR_ETRUNCATED;
    }
    if (crc32c(0, slice_of(in.data + 12, SPOOL_CHUNK_HEADER - 12 + (size_t)length)) != crc) {
        return POFR_EFORMAT;
    }
    chunk.type = cursor_u32le(&c);
    get_bytes(&c, chunk.mark, 16);
    chunk.body = cursor_bytes(&c, length);
    if (c.err != 0) {
        return POFR_EFORMAT;
    }
    *out_chunk = chunk;
    *out_used = SPOOL_CHUNK_HEADER + (size_t)length;
    return 0;
}

void spool_begin_put(const struct spool_begin *b, struct buf *out)
{
    buf_u64le(out, b->sequence);
    buf_bytes(out, b->previous, 32);
    buf_bytes(out, b->run, 16);
    buf_bytes(out, b->boot.b, 16);
    buf_bytes(out, b->hash_key, 16);
    counts_put(b->lost, (unsigned)b->lost_len, false, out);
}

int spool_begin_get(struct slice body, struct spool_begin *out_begin)
{
    struct cursor c = cursor_of(body);
    struct spool_begin b = { 0 };

    b.sequence = cursor_u64le(&c);
    get_bytes(&c, b.previous, 32);
    get_bytes(&c, b.run, 16);
    get_bytes(&c, b.boot.b, 16);
    get_bytes(&c, b.hash_key, 16);
    b.lost_len = counts_get(&c, b.lost, 64, false);
    if (cursor_done(&c) != 0 || b.sequence == 0) {
        return POFR_EFORMAT;
    }
    *out_begin = b;
    return 0;
}

int spool_journal_read(struct slice file, struct spool_begin *out_begin, struct buf *out_payload)
{
    struct spool_chunk first, chunk;
    struct spool_begin begin;
    size_t at, used;

    if (spool_chunk_get(file, &first, &used) != 0 || first.type != SPOOL_CHUNK_BEGIN ||
        spool_begin_get(first.body, &begin) != 0) {
        return POFR_ENOTFOUND;
    }
    for (at = used; spool_chunk_get(slice_sub(file, at, SIZE_MAX), &chunk, &used) == 0; at += used) {
        if (memcmp(chunk.mark, first.mark, sizeof(first.mark)) != 0 || chunk.type != SPOOL_CHUNK_TICK) {
            break;
        }
        buf_append(out_payload, chunk.body);
        if (out_payload->err != 0) {
            return out_payload->err;
        }
    }
    *out_begin = begin;
    return 0;
}
