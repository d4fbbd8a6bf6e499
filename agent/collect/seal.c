/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/seal.h"

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"

#define RECORDER "pofr-agent/" POFR_VERSION

/* here of the draft, total of the head and here; kinds of both. */
static int counts_of(const struct statement_count *totals, unsigned totals_len, const struct statement_count *here,
                     unsigned here_len, struct statement_count *out, unsigned *out_len, unsigned max)
{
    bool fits = true;

    *out_len = 0;
    for (unsigned i = 0; i < totals_len; i++) {
        fits = fits && draft_add_count(out, out_len, max, totals[i].kind, 0, totals[i].total);
    }
    for (unsigned i = 0; i < here_len; i++) {
        fits = fits && draft_add_count(out, out_len, max, here[i].kind, here[i].here, here[i].here);
    }
    return fits ? 0 : POFR_ETOOBIG;
}

static void copy_totals(const struct statement *s, struct spool_head *h)
{
    h->counts_len = s->counts_len;
    for (unsigned i = 0; i < s->counts_len; i++) {
        h->counts[i] = (struct statement_count){ s->counts[i].kind, 0, s->counts[i].total };
    }
    h->lost_len = s->lost_len;
    for (unsigned i = 0; i < s->lost_len; i++) {
        h->lost[i] = (struct statement_count){ s->lost[i].kind, 0, s->lost[i].total };
    }
}

static void head_of(const struct statement *s, const uint8_t digest[32], const struct spool_head *head,
                    struct spool_head *out)
{
    *out = *head;
    out->sequence = s->sequence;
    memcpy(out->digest, digest, 32);
    out->host = s->host;
    memcpy(out->run, s->run, sizeof(out->run));
    out->boot = s->boot;
    out->to_boot_us = s->to_boot_us;
    out->to_wall_us = s->to_wall_us;
    out->ticks_total = s->ticks_total;
    out->clean = false;
    copy_totals(s, out);
}

int seal_bundle(const struct draft *d, const struct spool_head *head, enum statement_origin origin,
                const struct uuid *host, const struct sshkey *key, struct buf *out, struct spool_head *out_next)
{
    struct statement s = {
        .version = 1,
        .host = *host,
        .sequence = head->sequence + 1,
        .origin = origin,
        .boot = d->boot,
        .from_boot_us = d->from_boot_us,
        .to_boot_us = d->to_boot_us,
        .from_wall_us = d->from_wall_us,
        .to_wall_us = d->to_wall_us,
        .ticks = d->ticks,
        .ticks_total = head->ticks_total + d->ticks,
        .keyframe = d->keyframe,
    };
    uint8_t digest[32];
    int rc;

    memcpy(s.run, d->run, sizeof(s.run));
    memcpy(s.previous, head->digest, sizeof(s.previous));
    snprintf(s.recorder, sizeof(s.recorder), "%s", RECORDER);
    rc = counts_of(head->counts, head->counts_len, d->counts, d->counts_len, s.counts, &s.counts_len,
                   STATEMENT_COUNTS_MAX);
    if (rc == 0) {
        rc = counts_of(head->lost, head->lost_len, d->lost, d->lost_len, s.lost, &s.lost_len, 64);
    }
    if (rc == 0) {
        rc = bundle_seal(&s, slice_of(d->payload, d->payload_len), key, out, digest);
    }
    if (rc != 0) {
        return rc;
    }
    head_of(&s, digest, head, out_next);
    memcpy(out_next->hash_key, d->hash_key, sizeof(out_next->hash_key));
    return 0;
}

void seal_head_of(const struct bundle_view *v, const struct spool_head *head, struct spool_head *out_next)
{
    head_of(&v->statement, v->statement_digest, head, out_next);
}
