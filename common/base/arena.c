/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chunks of 4 KiB at first, each new one twice as large up to 256 KiB (or as large as one piece needs), so
 * that a small bundle costs one page and a large one few allocations.
 */
#include "common/base/arena.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/base/err.h"

#define FIRST_CHUNK 4096U
#define LAST_CHUNK  (256U * 1024U)
#define ALIGNMENT   _Alignof(max_align_t)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of data */
    size_t used;
    _Alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){ .max = max_bytes };
}

void arena_free(struct arena *a)
{
    while (a->chunks) {
        struct arena_chunk *next = a->chunks->next;

        free(a->chunks);
        a->chunks = next;
    }
    arena_init(a, a->max);
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *keep = a->chunks;

    if (keep && keep->size <= LAST_CHUNK) {
        a->chunks = keep->next;
        keep->next = NULL;
        keep->used = 0;
    } else {
        keep = NULL;
    }
    arena_free(a);
    a->chunks = keep;
}

static struct arena_chunk *add_chunk(struct arena *a, size_t need)
{
    size_t size = a->chunks ? a->chunks->size * 2 : FIRST_CHUNK - sizeof(struct arena_chunk);
    struct arena_chunk *chunk;

    if (size > LAST_CHUNK) {
        size = LAST_CHUNK;
    }
    if (size < need) {
        size = need;
    }
    chunk = malloc(sizeof(*chunk) + size);
    if (!chunk) {
        return NULL;
    }
    chunk->size = size;
    chunk->used = 0;
    chunk->next = a->chunks;
    a->chunks = chunk;
    return chunk;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct arena_chunk *chunk = a->chunks;
    size_t need;
    void *at;

    if (a->err != 0) {
        return NULL;
    }
    if (size > a->max || size > SIZE_MAX / 4) {
        a->err = POFR_ETOOBIG;
        return NULL;
    }
    need = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (a->used > a->max || need > a->max - a->used) {
        a->err = POFR_ETOOBIG;
        return NULL;
    }
    if (!chunk || need > chunk->size - chunk->used) {
        chunk = add_chunk(a, need);
        if (!chunk) {
            a->err = POFR_ENOMEM;
            return NULL;
        }
    }
    at = chunk->data + chunk->used;
    chunk->used += need;
    a->used += need;
    return at;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    void *at = arena_alloc(a, size);

    if (at) {
        memset(at, 0, size);
    }
    return at;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total)) {
        a->err = a->err ? a->err : POFR_ETOOBIG;
        return NULL;
    }
    return arena_zalloc(a, total);
}

struct slice arena_dup(struct arena *a, struct slice s)
{
    uint8_t *at = arena_alloc(a, s.len);

    if (!at) {
        return SLICE_EMPTY;
    }
    if (s.len > 0) {
        memcpy(at, s.data, s.len);
    }
    return slice_of(at, s.len);
}

char *arena_strdup(struct arena *a, struct slice s)
{
    char *at;

    if (s.len == SIZE_MAX) {
        a->err = a->err ? a->err : POFR_ETOOBIG;
        return NULL;
    }
    at = arena_alloc(a, s.len + 1);
    if (at) {
        if (s.len > 0) {
            memcpy(at, s.data, s.len);
        }
        at[s.len] = '\0';
    }
    return at;
}
