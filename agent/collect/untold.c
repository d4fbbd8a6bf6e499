/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/untold.h"

#include <stdlib.h>
#include <string.h>

void untold_add(struct untold *u, const struct draft *d)
{
    struct draft *id = &u->identity;
    uint64_t records = draft_records(d);
    bool same_boot = u->any && uuid_eq(&id->boot, &d->boot);

    if (!same_boot) {
        u->from_boot_us = d->from_boot_us;
        u->from_wall_us = d->from_wall_us;
    }
    u->any = true;
    u->records += records;
    u->to_boot_us = d->to_boot_us;
    u->to_wall_us = d->to_wall_us;
    memcpy(id->run, d->run, sizeof(id->run));
    memcpy(id->hash_key, d->hash_key, sizeof(id->hash_key));
    id->boot = d->boot;
    draft_lost(id, STATEMENT_LOST_SPOOL, records);
    for (unsigned i = 0; i < d->lost_len; i++) {
        draft_lost(id, (enum statement_lost)d->lost[i].kind, d->lost[i].here);
    }
}

struct draft *untold_draft(const struct untold *u)
{
    struct rec_encoder *e = NULL;
    struct draft *d = draft_new();
    struct record tick = { .kind = REC_TICK }, gap = { .kind = REC_GAP };
    struct slice payload;

    tick.tick = (struct rec_tick){ .boot_us = u->to_boot_us, .wall_us = u->to_wall_us };
    gap.gap =
        (struct rec_gap){ .from = u->from_boot_us, .to = u->to_boot_us, .kind = REC_GAP_SPOOL, .lost = u->records };
    if (d == NULL || rec_encoder_new(&e) != 0 || rec_put(e, &tick) != 0 || rec_put(e, &gap) != 0) {
        goto fail;
    }
    *d = u->identity;
    payload = rec_encoder_payload(e);
    d->payload = malloc(payload.len);
    if (d->payload == NULL) {
        goto fail;
    }
    memcpy(d->payload, payload.data, payload.len);
    d->payload_len = payload.len;
    d->from_boot_us = d->to_boot_us = u->to_boot_us;
    d->from_wall_us = d->to_wall_us = u->to_wall_us;
    d->ticks = 1;
    draft_count(d, e);
    rec_encoder_free(e);
    return d;
fail:
    rec_encoder_free(e);
    draft_free(d);
    return NULL;
}
