/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * payload.h -- what the tests of encoder and decoder share.
 */
#pragma once

#include "tests/support/check.h"
#include "tests/support/mutate.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/err.h"
#include "common/base/hex.h"
#include "common/record/record.h"
#include "tests/support/random_record.h"

#define BOOT_US 5000000000U

static const struct rec_keyframe all_processes = { .entity = REC_PROCESS, .high = UINT32_MAX - 1 };
static const struct rec_keyframe all_sockets = { .entity = REC_SOCKET, .high = UINT64_MAX, .high_cookie = UINT64_MAX };
static const struct rec_keyframe all_facts = { .entity = REC_USER };

static inline const struct rec_keyframe *part_of(unsigned entity)
{
    return entity == REC_PROCESS || entity == REC_FILE ? &all_processes
           : entity == REC_SOCKET                      ? &all_sockets
                                                       : &all_facts;
}

static inline struct record tick_at(uint64_t boot_us)
{
    return (struct record){ .kind = REC_TICK, .tick = { .boot_us = boot_us, .wall_us = 1 } };
}

static inline struct record keyframe_of(const struct rec_keyframe *part)
{
    struct record r = { .kind = REC_KEYFRAME, .keyframe = *part };

    r.keyframe.hash_key = slice_str("0123456789abcdef");
    return r;
}

static inline struct rec_encoder *new_encoder(void)
{
    struct rec_encoder *e = NULL;

    assert_int_equal(rec_encoder_new(&e), 0);
    return e;
}

static inline void put(struct rec_encoder *e, const struct record *r)
{
    assert_int_equal(rec_put(e, r), 0);
}

static inline void put_tick(struct rec_encoder *e, uint64_t boot_us)
{
    struct record r = tick_at(boot_us);

    put(e, &r);
}

/* Read all; returns the end's code and how many records came. */
static inline int read_all(struct slice payload, uint64_t *out_records, struct rec_decoder *d, struct arena *arena)
{
    struct record r;
    int rc;

    rec_decoder_init(d, payload, arena);
    while ((rc = rec_next(d, &r)) == 1) {
    }
    *out_records = d->records;
    return rc;
}

static inline int code_of(struct slice payload)
{
    struct arena arena;
    struct rec_decoder d;
    uint64_t n;
    int rc;

    arena_init(&arena, REC_ARENA_MAX);
    rc = read_all(payload, &n, &d, &arena);
    arena_free(&arena);
    return rc;
}

/* "payload" as hex with blanks; "!" is a TICK at boot_us 100 */
static inline void bytes_of(const char *text, struct buf *out)
{
    for (; *text; text++) {
        uint8_t v;

        if (*text == '!') {
            static const uint8_t tick[] = { 3, 2, 4, 100 };

            buf_bytes(out, tick, sizeof(tick));
        } else if (*text != ' ') {
            assert_int_equal(hex_decode(slice_of(text, 2), &v, 1), 0);
            buf_u8(out, v);
            text++;
        }
    }
}

static uint8_t big[REC_STRING_MAX + 1] __attribute__((unused)); /* a text of any length */
