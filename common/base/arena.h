/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arena.h -- memory for everything that belongs to one bundle (or one file, one request), freed in one call.
 *
 * Allocation is a pointer bump; there is no free of single pieces. The maximum counts what was asked for.
 * Not thread-safe: one owner.
 */
#pragma once

#include <stddef.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks;
    size_t used; /* bytes given out, with padding */
    size_t max;
    int err; /* sticky: 0, POFR_ETOOBIG (the maximum) or POFR_ENOMEM */
};

/* Allocates nothing yet. */
void arena_init(struct arena *a, size_t max_bytes);

/* Give everything back. The arena can be used again. */
void arena_free(struct arena *a);

/* Forget everything, without error, but keep one chunk of memory for the next round. */
void arena_reset(struct arena *a);

/* size bytes aligned for any type, not cleared; NULL with a->err set. size 0 gives a pointer that may not be read. */
void *arena_alloc(struct arena *a, size_t size);

/* The same, cleared. */
void *arena_zalloc(struct arena *a, size_t size);

/* count * size cleared bytes; an overflow is POFR_ETOOBIG. */
void *arena_array(struct arena *a, size_t count, size_t size);

/* A copy; empty with a->err set where it does not fit. */
struct slice arena_dup(struct arena *a, struct slice s);

/* A copy with a NUL behind it; NULL with a->err set. */
char *arena_strdup(struct arena *a, struct slice s);
