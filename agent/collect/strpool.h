/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * strpool.h -- paths, names and arguments that are held open, each kept once and counted.
 *
 * A string that nobody refers to any more lives on until strpool_sweep(), so that records made in a tick may
 * point to it until that tick is written. The empty string is NULL. One owner.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/hashmap.h"
#include "common/base/slice.h"

struct str {
    struct str *next_dead;
    uint64_t hash;
    uint32_t refs;
    uint32_t len;
    uint32_t stamp; /* for the user: the keyframe part that counted it last */
    uint8_t listed; /* it is in the list of the dead */
    uint8_t bytes[];
};

struct strpool {
    struct hashmap map;
    uint8_t key[16];
    struct str *dead;
    size_t bytes; /* of all strings, without overhead */
    int err;      /* sticky: POFR_ENOMEM, POFR_EFULL */
};

/* key: random, because strangers choose the strings. */
void strpool_init(struct strpool *p, const uint8_t key[16]);
/* Whatever is still referred to goes too. */
void strpool_fini(struct strpool *p);

/* A reference to the string; NULL for the empty one, and where there is no memory (p->err). */
struct str *strpool_get(struct strpool *p, struct slice s);
struct str *strpool_ref(struct str *s);                                   /* NULL is allowed */
void strpool_drop(struct strpool *p, struct str *s);                      /* NULL is allowed */
void strpool_replace(struct strpool *p, struct str **at, struct str *by); /* takes the reference by */
void strpool_sweep(struct strpool *p);

static inline struct slice str_slice(const struct str *s)
{
    return s != NULL ? slice_of(s->bytes, s->len) : SLICE_EMPTY;
}
