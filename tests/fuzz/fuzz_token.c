/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is taken as a token has one text: writing it gives the input back. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/wire/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_trim(slice_of(data, size));
    struct buf again = BUF_INIT(TOKEN_TEXT_MAX);
    struct pofr_err err = { 0 };
    struct token t;

    if (token_parse(slice_of(data, size), &t, &err) == 0) {
        int rc = token_format(&t, &again);

        assert(rc == 0 && slice_eq(buf_slice(&again), text));
        assert(token_secret_ok(slice_str(t.secret)));
    } else {
        assert(err.code != 0 && err.text[0] != '\0');
    }
    buf_free(&again);
    return 0;
}
