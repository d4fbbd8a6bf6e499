/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/row.h"

#include "common/base/buf.h"

static const uint8_t hash_key[16] = "pofr row hash v1"; /* sixteen characters, no NUL */

uint64_t row_hash(const struct record *r, struct buf *scratch)
{
    uint64_t h = rec_hash(r, hash_key, scratch);

    return h ? h : 1;
}

enum row_source row_source_of(uint64_t source)
{
    switch (source) {
    case REC_END_EXIT:
        return ROW_SOURCE_EXIT;
    case REC_END_GONE:
        return ROW_SOURCE_GONE;
    case REC_END_EXEC:
        return ROW_SOURCE_EXEC;
    case REC_END_CHANGE:
        return ROW_SOURCE_CHANGE;
    case REC_END_CLOSE:
        return ROW_SOURCE_CLOSE;
    case REC_END_REBOOT:
        return ROW_SOURCE_REBOOT;
    case REC_END_RETIRED:
        return ROW_SOURCE_RETIRED;
    default:
        return ROW_SOURCE_UNKNOWN;
    }
}
