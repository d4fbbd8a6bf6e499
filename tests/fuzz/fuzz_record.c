/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the decoder takes, the encoder takes too, and it comes back the same; a snapshot can follow it. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/record/record.h"
#include "common/record/snapshot.h"
#include "tests/support/random_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rec_encoder *encoder; /* kept: a new one for each input would be most of the time */

/* False: the encoder's own limits end it (a string table that the input could share and it can't). */
static bool encode_again(const struct record *r)
{
    int rc = r->unknown ? 0 : rec_put(encoder, r);

    assert(rc == 0 || rc == POFR_ETOOBIG);
    return rc == 0;
}

static void compare(struct slice payload)
{
    struct rec_decoder a, b;
    struct record x, y;
    struct arena arena;

    arena_init(&arena, 2 * REC_ARENA_MAX);
    rec_decoder_init(&a, payload, &arena);
    rec_decoder_init(&b, rec_encoder_payload(encoder), &arena);
    while (rec_next(&b, &y) == 1) {
        int rc;

        do {
            rc = rec_next(&a, &x);
            assert(rc == 1);
        } while (x.unknown);
        assert(random_record_equal(&x, &y));
    }
    assert(b.err == 0);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rec_decoder d;
    struct record r;
    struct arena arena;
    struct snapshot *s = NULL;
    struct buf text = BUF_INIT(8 * REC_BODY_MAX);
    bool whole = true;

    if ((!encoder && rec_encoder_new(&encoder) != 0) || snapshot_new(&s) != 0) {
        return 0;
    }
    rec_encoder_reset(encoder);
    arena_init(&arena, REC_ARENA_MAX);
    rec_decoder_init(&d, slice_of(data, size), &arena);
    while (whole && rec_next(&d, &r) == 1) {
        buf_reset(&text);
        rec_print(&r, &text);
        assert(text.len > 0 && text.err == 0);
        whole = encode_again(&r);
        if (!r.unknown) {
            int rc = snapshot_apply(s, &r);

            assert(rc == 0);
        }
    }
    compare(slice_of(data, size));
    buf_reset(&text);
    text.max = SIZE_MAX / 4;
    assert(snapshot_end_tick(s) == 0 && snapshot_bytes(s, &text) == 0);
    buf_free(&text);
    snapshot_free(s);
    arena_free(&arena);
    return 0;
}
