/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ledger.h"

#include <string.h>

void ledger_bytes(struct slice s, uint8_t *out, size_t len)
{
    memset(out, 0, len);
    memcpy(out, s.data, s.len < len ? s.len : len);
}

static enum statement_origin origin_of(struct slice name)
{
    for (int o = STATEMENT_FIRST; o <= STATEMENT_LOST; o++) {
        if (slice_eq_str(name, statement_origin_name((enum statement_origin)o))) {
            return (enum statement_origin)o;
        }
    }
    return (enum statement_origin)0;
}

static int rebuild(const struct db_result *r, size_t row, struct statement *s)
{
    struct slice keyframe = db_get(r, row, 14);
    struct slice recorder = db_get(r, row, 18);

    s->version = 1;
    ledger_bytes(db_get(r, row, 0), s->host.b, 16);
    ledger_bytes(db_get(r, row, 1), s->run, 16);
    s->sequence = db_get_u64(r, row, 2);
    ledger_bytes(db_get(r, row, 3), s->previous, 32);
    s->origin = origin_of(db_get(r, row, 6));
    ledger_bytes(db_get(r, row, 7), s->boot.b, 16);
    s->from_boot_us = db_get_u64(r, row, 8);
    s->to_boot_us = db_get_u64(r, row, 9);
    s->from_wall_us = db_get_u64(r, row, 10);
    s->to_wall_us = db_get_u64(r, row, 11);
    s->ticks = db_get_u64(r, row, 12);
    s->ticks_total = db_get_u64(r, row, 13);
    s->keyframe = slice_eq_str(keyframe, "part") ? 1 : slice_eq_str(keyframe, "last") ? 2 : 0;
    s->payload_size = db_get_u64(r, row, 16);
    s->payload_bytes = db_get_u64(r, row, 17);
    ledger_bytes(db_get(r, row, 19), s->payload_digest, 32);
    ledger_bytes(db_get(r, row, 20), s->key_id, 32);
    memcpy(s->recorder, recorder.data, recorder.len < sizeof(s->recorder) ? recorder.len : sizeof(s->recorder) - 1);
    return statement_unpack_counts(db_get(r, row, 15), s);
}

void ledger_take(const struct db_result *r, size_t row, struct ledger_row *out, struct buf *text)
{
    uint8_t digest[32];

    memset(out, 0, sizeof(*out));
    buf_reset(text);
    ledger_bytes(db_get(r, row, 4), out->digest, 32);
    ledger_bytes(db_get(r, row, 5), out->signature, 64);
    out->slot = db_get_u64(r, row, 21);
    out->incarnation = db_get_u64(r, row, 22);
    out->kafka_offset = (int64_t)db_get_u64(r, row, 23);
    if (rebuild(r, row, &out->statement) || statement_format(&out->statement, text)) {
        out->damage = LEDGER_NO_STATEMENT;
        buf_reset(text);
        return;
    }
    statement_digest(buf_slice(text), digest);
    out->damage = memcmp(digest, out->digest, 32) != 0 ? LEDGER_OTHER_DIGEST : LEDGER_WHOLE;
}
