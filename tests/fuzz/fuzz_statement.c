/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is taken as a statement has one text, and its counts have one blob. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "common/evidence/statement.h"
#include "common/record/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf again = BUF_INIT(STATEMENT_MAX);
    struct buf blob = BUF_INIT(65536);
    struct statement s, counts;
    struct pofr_err err = { 0 };
    int rc = statement_parse(slice_of(data, size), &s, &err);

    if (rc == 0) {
        rc = statement_format(&s, &again);
        assert(rc == 0 && slice_eq(buf_slice(&again), slice_of(data, size)));
        rc = statement_pack_counts(&s, &blob);
        assert(rc == 0);
        counts = s;
        counts.counts_len = counts.lost_len = 0;
        rc = statement_unpack_counts(buf_slice(&blob), &counts);
        assert(rc == 0 && counts.counts_len == s.counts_len && counts.lost_len == s.lost_len);
        buf_reset(&again);
        rc = statement_format(&counts, &again);
        assert(rc == 0 && slice_eq(buf_slice(&again), slice_of(data, size)));
    } else {
        assert(err.code == rc && err.text[0] != '\0');
    }
    rc = statement_unpack_counts(slice_of(data, size), &counts); /* any blob: only that it ends well */
    assert(rc <= 0);
    buf_free(&again);
    buf_free(&blob);
    return 0;
}
