/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a writer does between batches: replay what was set aside, relay it, follow the catalog. */
#include "workers/writer_parts.h"

#include <string.h>

#include "common/os/clock.h"
#include "common/os/log.h"
#include "workers/worker_stats.h"

#define RELAY_MAX 32u

static bool replay_one(struct writer *w, unsigned slot, struct lane *l, bool *any)
{
    struct message *m = NULL;
    struct pofr_err err = { 0 };
    struct store_report report = { 0 };
    struct store_item *item;
    struct store_slot s;
    enum store_outcome outcome;
    int64_t since = clock_mono_us();

    *any = false;
    if (w->batch_count >= WRITER_BATCH_ITEMS) {
        return true;
    }
    if (store_requested(w->store, &l->at, &m, &err) != 0) {
        writer_failed(w, "replay_unread", slot, &err);
        return false;
    }
    if (!m) {
        return true;
    }
    if (!writer_prepare(w, l, m)) {
        message_free(m);
        return true;
    }
    item = &w->batch[w->batch_count]->item; /* the place behind the batch */
    s = (struct store_slot){ .at = l->at, .items = &item, .count = 1 };
    s.at.slot = slot;
    for (;;) {
        outcome = store_replay(w->store, &s, &report, &err);
        if (outcome != STORE_POISON || item->verdict.kind != VERDICT_GOOD) {
            break;
        }
        item->verdict.kind = VERDICT_ASIDE; /* refused again: the request is over, and says why */
        item->verdict.reason = report.conflict ? REASON_CONFLICT : REASON_REFUSED;
        memcpy(item->verdict.detail, err.text, sizeof(item->verdict.detail));
    }
    if (outcome == STORE_COMMITTED) {
        *any = true;
        if (item->verdict.kind == VERDICT_GOOD) {
            stat_add(w->o.stats, STAT_ingest_replayed, 1);
        }
        log_info("writer", "replayed", "shard=%s slot=%u offset=%lld stored=%s", w->o.shard.name, slot,
                 (long long)m->offset, item->verdict.kind == VERDICT_GOOD ? "yes" : reason_word(item->verdict.reason));
        writer_count_report(w, &report, clock_mono_us() - since);
    } else if (outcome == STORE_FENCED) {
        writer_fence(w, slot);
    } else {
        writer_failed(w, "replay_failed", slot, &err);
    }
    message_free(m);
    return outcome == STORE_COMMITTED || outcome == STORE_FENCED;
}

/* At most one list is with the relay. */
static bool find_unrelayed(struct writer *w, unsigned slot)
{
    struct store_aside *list = NULL;
    struct pofr_err err = { 0 };
    bool out;

    pthread_mutex_lock(&w->lock);
    out = w->aside_out;
    pthread_mutex_unlock(&w->lock);
    if (out) {
        return true;
    }
    if (store_unrelayed(w->store, slot, RELAY_MAX, &list, &err) != 0) {
        writer_failed(w, "relay_unread", slot, &err);
        return false;
    }
    if (list) {
        pthread_mutex_lock(&w->lock);
        w->aside = list;
        w->aside_out = true;
        pthread_mutex_unlock(&w->lock);
        w->o.wake(w->o.arg);
    }
    return true;
}

static bool sync_lane(struct writer *w, unsigned slot, struct lane *l)
{
    struct pofr_err err = { 0 };
    size_t changed = 0;
    int code = store_sync_hosts(w->store, &l->at, w->o.keys, &changed, &err);

    if (code == POFR_EBUSY) {
        writer_fence(w, slot);
        return true;
    }
    if (code) {
        writer_failed(w, "hosts_unsynced", slot, &err);
        return false;
    }
    l->sync = false;
    if (changed) {
        log_info("writer", "hosts_synced", "shard=%s slot=%u changed=%zu", w->o.shard.name, slot, changed);
    }
    return true;
}

/* Which slots have something that was set aside to replay or to relay? */
static bool mark_rounds(struct writer *w)
{
    bool slots[KEYS_SLOTS_MAX] = { false };
    struct pofr_err err = { 0 };

    if (store_rounds(w->store, slots, &err) != 0) {
        writer_failed(w, "rounds_unread", 0, &err);
        return false;
    }
    for (unsigned i = 0; i < KEYS_SLOTS_MAX; i++) {
        if (w->lanes[i] && slots[i]) {
            w->lanes[i]->rounds = true;
        }
    }
    return true;
}

void writer_look_around(struct writer *w, bool all)
{
    if (all && !mark_rounds(w)) {
        return;
    }
    for (unsigned i = 0; i < KEYS_SLOTS_MAX && store_is_connected(w->store); i++) {
        struct lane *l = w->lanes[i];
        bool any = true;

        if (!l || !l->ready) {
            continue;
        }
        if (l->sync && !sync_lane(w, i, l)) {
            return;
        }
        if (!l->rounds) {
            continue;
        }
        l->rounds = false;
        for (unsigned n = 0; n < 16 && any && l->ready; n++) {
            if (!replay_one(w, i, l, &any)) {
                return;
            }
        }
        if (!find_unrelayed(w, i)) {
            return;
        }
    }
}
