/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * changes.h -- what one transaction is going to do to the tables of intervals, folded as it grows: what begins
 * and ends in it becomes one closed row.
 *
 * Records must live until the changes are carried out. Not thread-safe.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "workers/row.h"

struct changes {
    struct change *list;
    size_t count, room, max;
    uint32_t *slots; /* open addressing: index + 1 of the change that opened a slot, or that it was taken away */
    uint32_t *used;  /* places in slots that are not 0, to clear them fast */
    size_t slots_room, slots_count;
    struct buf scratch;
    int64_t received_us; /* given to each change that is added */
    int err;             /* sticky: POFR_ENOMEM, POFR_EFULL */
};

void changes_init(struct changes *c, size_t max);
void changes_free(struct changes *c);
void changes_reset(struct changes *c);

/* An interval begins: INSERT of an open row. One of the same slot that is open in here is closed as inferred. */
void changes_start(struct changes *c, const struct row_boot *boot, const struct record *r);
/* It ends: folded into its INSERT if that is in here, else CHANGE_END. */
void changes_end(struct changes *c, const struct row_boot *boot, const struct record *r);
/* As it is. */
void changes_add(struct changes *c, const struct change *change);
/* Those of a host, and of one entity unless that is 0, go over to another, which is empty and can only be carried out. */
void changes_take(struct changes *c, uint64_t host_id, unsigned entity, struct changes *out);
