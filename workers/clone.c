/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receipt decides, not the order in the topic: what is replayed, or was long under way, says nothing of now. Of one history
 * the boots have no sequence in common, whatever comes late.
 */
#include "workers/clone.h"

#include <stddef.h>

#define AGAIN_US INT64_C(3600000000)

static const struct host_boot *boot_of_number(const struct host *h, uint32_t number)
{
    const struct host_boot *b = h->boots;

    while (b && b->row.number != number) {
        b = b->next;
    }
    return b;
}

bool clone_at_work(struct host *h, struct host_boot *b, bool is_new, uint64_t sequence, int64_t received_us,
                   uint32_t *out_other)
{
    const struct host_boot *other = boot_of_number(h, h->current_boot ? h->current_boot : h->newest_boot);
    uint64_t tip = sequence > b->tip_sequence ? sequence : b->tip_sequence;

    if (received_us < h->last_bundle_us) {
        return false;
    }
    h->current_boot = b->row.number;
    if (is_new || !other || other == b || other->first_sequence > tip || b->first_sequence > other->tip_sequence ||
        (b->clone_noted_us && received_us - b->clone_noted_us < AGAIN_US)) {
        return false;
    }
    b->clone_noted_us = received_us;
    *out_other = other->row.number;
    return true;
}
