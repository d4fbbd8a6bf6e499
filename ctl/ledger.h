/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ledger.h -- a row of a shard's ledger (table bundle) and the statement that it is.
 */
#pragma once

#include "common/base/buf.h"
#include "common/db/db.h"
#include "common/evidence/statement.h"

/* What ledger_take() reads, in its order; of "bundle b JOIN host h". */
#define LEDGER_COLUMNS                                                                                                 \
    "h.host_uuid, b.run, b.sequence, b.previous_digest, b.statement_digest, b.signature, b.origin, b.boot_id, "        \
    "b.from_boot_us, b.to_boot_us, b.from_wall_us, b.to_wall_us, b.ticks, b.ticks_total, b.keyframe, b.counts, "       \
    "b.payload_size, b.payload_bytes, b.recorder, b.payload_digest, b.key_id, b.slot, b.incarnation, b.kafka_offset"
#define LEDGER_FROM " FROM bundle b JOIN host h ON h.host_id = b.host_id "

struct ledger_row {
    struct statement statement; /* where damage is LEDGER_NO_STATEMENT: as far as it goes, sequence at least */
    uint8_t digest[32];         /* as the row has it */
    uint8_t signature[64];
    uint64_t slot, incarnation; /* where in Kafka it was */
    int64_t kafka_offset;
    enum {
        LEDGER_WHOLE,
        LEDGER_NO_STATEMENT, /* its columns make no statement */
        LEDGER_OTHER_DIGEST, /* they make one with another digest */
    } damage;
};

/* A column of fixed size: len bytes, filled with 0 where the column has fewer. */
void ledger_bytes(struct slice s, uint8_t *out, size_t len);

/* The row, and the text that was signed, built again from it into text (reset before; empty where there is none). */
void ledger_take(const struct db_result *r, size_t row, struct ledger_row *out, struct buf *text);
