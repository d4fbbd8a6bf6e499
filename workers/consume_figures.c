/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the poll thread says of itself: causes, readiness. */
#include "workers/consume_parts.h"

#include <stdio.h>

#include "common/base/buf.h"
#include "common/kafka/client.h"
#include "common/os/clock.h"
#include "common/os/log.h"

#define FILES_US (5 * CLOCK_US_PER_S) /* how often files of certificates are looked at */

enum worker_cause consume_cause_of(const struct consume *c, unsigned n)
{
    const struct slot *s = &c->slots[n];
    const struct fetch *f = &c->fetch[n];

    if (s->state == SLOT_UNMAPPED) {
        return CAUSE_UNMAPPED;
    }
    if (f->shard && !f->shard->up) {
        return CAUSE_SHARD;
    }
    if (s->state != SLOT_ACTIVE && s->state != SLOT_CHECKING) {
        return CAUSE_LOADING;
    }
    if (f->held) {
        return CAUSE_CATALOG;
    }
    return f->full || c->full ? CAUSE_QUEUE : CAUSE_END;
}

void consume_count_pauses(struct consume *c)
{
    int64_t causes[CAUSE_END + 1] = { 0 };

    for (unsigned n = 0; n < KEYS_SLOTS_MAX; n++) {
        if (c->slots[n].state != SLOT_NONE) {
            causes[consume_cause_of(c, n)]++;
        }
    }
    for (unsigned i = 0; i < CAUSE_END; i++) {
        stat_put_by(c->o.stats, STAT_ingest_paused_partitions, i, causes[i]);
    }
    stat_put(c->o.stats, STAT_catalog_age, keys_age_us(c->o.keys));
    stat_put(c->o.stats, STAT_catalog_copy_unsaved, keys_unsaved_us(c->o.keys));
    stat_put(c->o.stats, STAT_catalog_hosts, (int64_t)keys_count(c->o.keys));
}

void consume_tell(struct consume *c)
{
    static const char *const causes[] = {
        "loading", "queue", "shard", "catalog", "unmapped", ""
    }; /* of worker_stat.def */
    struct tell_slot slots[KEYS_SLOTS_MAX];
    size_t count = 0;

    for (unsigned n = 0; n < KEYS_SLOTS_MAX; n++) {
        if (c->slots[n].state != SLOT_NONE) {
            slots[count++] = (struct tell_slot){ (uint16_t)n, causes[consume_cause_of(c, n)] };
        }
    }
    tell_slots(c->tell, slots, count);
}

bool consume_is_ready(const struct consume *c, char *reason, size_t n)
{
    if (!keys_loaded(c->o.keys)) {
        snprintf(reason, n, "nothing is known of the catalog");
        return false;
    }
    if (!c->member) {
        snprintf(reason, n, "not yet in the consumer group");
        return false;
    }
    return true;
}

void consume_look_at_files(struct consume *c, int64_t now)
{
    struct pofr_err err;

    if (now < c->files_due_us) {
        return;
    }
    c->files_due_us = now + FILES_US;
    if (!tls_watch_changed(&c->watch, &c->o.conf->kafka.tls)) {
        return;
    }
    if (kafka_access_try(&c->o.conf->kafka, &err) != 0) {
        log_error("consume", "certificate_unusable", "error=\"%s\"", err.text);
        return;
    }
    log_info("consume", "certificate_changed", "");
    c->anew = true;
}

void consume_metrics(struct buf *out, void *consume)
{
    struct consume *c = consume;

    pthread_mutex_lock(&c->figures_lock);
    stat_write_head(out, "pofr_shard_up", STAT_TYPE_GAUGE, "", "Does the shard answer us?");
    for (size_t i = 0; i < CONSUME_SHARDS; i++) {
        if (c->shards[i].id) {
            buf_printf(out, "pofr_shard_up{shard=\"%s\"} %d\n", c->shards[i].at.name, c->shards[i].up);
        }
    }
    pthread_mutex_unlock(&c->figures_lock);
}
