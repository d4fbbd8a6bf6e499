/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any block. The fuzzer can't make digests, so it also gets what lies behind them: the same bytes as a
 * payload whose statement says what they are.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/evidence/bundle.h"
#include "common/record/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void unpack(struct bundle_view *v)
{
    struct slice payload;
    struct arena arena;

    arena_init(&arena, 1U << 20);
    if (bundle_payload(v, &arena, &payload) == 0) {
        assert(payload.len == v->statement.payload_size);
    }
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice block = slice_of(data, size);
    struct bundle_view v;
    struct pofr_err err = { 0 };
    int rc = bundle_open(block, &v, &err);

    if (rc == 0) {
        assert(v.statement_text.len + v.signature_text.len + v.payload.len == size);
        rc = bundle_verify(&v, v.public_key);
        assert(rc == 0 || rc == POFR_ESIGNATURE);
        unpack(&v);
    } else {
        assert(err.code == rc && err.text[0] != '\0');
    }
    memset(&v, 0, sizeof(v));
    v.payload = block;
    for (unsigned bytes = 0; bytes < 32 && bytes < size; bytes++) { /* a size that a small frame may say */
        v.statement.payload_size = data[bytes];
        unpack(&v);
    }
    return 0;
}
