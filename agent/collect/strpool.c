/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/strpool.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/siphash.h"

#define STRINGS_MAX (1u << 24)

static bool str_eq(const void *value, const void *key)
{
    return slice_eq(str_slice(value), *(const struct slice *)key);
}

void strpool_init(struct strpool *p, const uint8_t key[16])
{
    *p = (struct strpool){ 0 };
    hashmap_init(&p->map, STRINGS_MAX, 0);
    memcpy(p->key, key, sizeof(p->key));
}

void strpool_fini(struct strpool *p)
{
    size_t at = 0;
    struct str *s;

    while ((s = hashmap_next(&p->map, &at)) != NULL) {
        free(s);
    }
    hashmap_free(&p->map);
    p->dead = NULL;
}

struct str *strpool_get(struct strpool *p, struct slice in)
{
    uint64_t hash;
    struct str *s;
    int rc;

    if (in.len == 0) {
        return NULL;
    }
    hash = siphash24(p->key, in);
    s = hashmap_get(&p->map, hash, str_eq, &in);
    if (s != NULL) {
        s->refs++;
        return s;
    }
    s = malloc(sizeof(*s) + in.len);
    if (s == NULL) {
        p->err = POFR_ENOMEM;
        return NULL;
    }
    *s = (struct str){ .hash = hash, .refs = 1, .len = (uint32_t)in.len };
    memcpy(s->bytes, in.data, in.len);
    rc = hashmap_insert(&p->map, hash, s);
    if (rc != 0) {
        p->err = rc;
        free(s);
        return NULL;
    }
    p->bytes += in.len;
    return s;
}

struct str *strpool_ref(struct str *s)
{
    if (s != NULL) {
        s->refs++;
    }
    return s;
}

void strpool_drop(struct strpool *p, struct str *s)
{
    if (s == NULL || --s->refs > 0 || s->listed) {
        return;
    }
    s->listed = 1;
    s->next_dead = p->dead;
    p->dead = s;
}

void strpool_replace(struct strpool *p, struct str **at, struct str *by)
{
    strpool_drop(p, *at);
    *at = by;
}

void strpool_sweep(struct strpool *p)
{
    while (p->dead != NULL) {
        struct str *s = p->dead;
        struct slice key = str_slice(s);

        p->dead = s->next_dead;
        s->listed = 0;
        if (s->refs == 0) {
            (void)hashmap_remove(&p->map, s->hash, str_eq, &key); /* it is in there */
            p->bytes -= s->len;
            free(s);
        }
    }
}
