/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * BATCH   Messages are verified and decoded as they come; when there are enough records or bytes, or they take enough
 *         memory, or the first one has waited long enough, they are stored in one transaction. What was prepared stays prepared through retries.
 * ERRORS  The shard is away or busy: the same batch again, with back-off. It refuses something: half of the batch is
 *         tried, then half of that, until one bundle is left: that is set aside, with an alarm. If every bundle is refused, it
 *         is not the bundles: then nothing more is set aside until someone has looked.
 */
#include "workers/writer_parts.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/sha256.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "workers/db_class.h"
#include "workers/worker_stats.h"

#define ITEM_ARENA_MAX (192u * 1024u * 1024u)
#define BATCH_MEMORY                                                                                                   \
    (64u * 1024u * 1024u) /* of what was decoded: a message of 2 KB may become 8 MB, and 256 MB of rows */
#define HOLD_US       (1 * CLOCK_US_PER_S) /* a slot that waits for the catalog */
#define UNKNOWN_TRIES 5u
#define POISON_MAX    20u /* bundles in a row that are refused, none stored between: it is not the bundles */

/* --- preparing -------------------------------------------------------------------------------------------------------- */

static struct work *next_work(struct writer *w)
{
    struct work **place = &w->batch[w->batch_count];

    if (!*place) {
        *place = calloc(1, sizeof(**place));
        if (!*place) {
            writer_out_of_memory();
        }
        arena_init(&(*place)->arena, ITEM_ARENA_MAX);
    }
    return *place;
}

static void decode(struct writer *w, struct work *work)
{
    struct verdict *v = &work->item.verdict;
    struct pofr_err err = { 0 };
    struct slice payload;
    int code = bundle_payload(&v->view, &work->arena, &payload);

    if (code) {
        (void)pofr_err_set(&err, code, "payload: %s", pofr_err_text(code));
    } else {
        code = decode_payload(payload, &v->view.statement, w->o.limits.bundle_records, &work->arena,
                              &work->item.decoded, &err);
    }
    if (code == POFR_ENOMEM) {
        writer_out_of_memory();
    }
    if (code) {
        v->kind = VERDICT_ASIDE;
        v->reason = REASON_FORM;
        memcpy(v->detail, err.text, sizeof(v->detail));
        arena_reset(&work->arena); /* nothing of it is of use */
    }
}

/* false: its slot has to wait. */
bool writer_prepare(struct writer *w, struct lane *l, struct message *m)
{
    struct work *work = next_work(w);
    struct store_item *item = &work->item;

    arena_reset(&work->arena);
    memset(item, 0, sizeof(*item));
    item->message = m;
    if (!m->replayed) {
        m->incarnation = l->at.incarnation;
    }
    verify_message(w->o.keys, m, &item->verdict);
    if (item->verdict.kind == VERDICT_WAIT) {
        return false;
    }
    if (sha256(m->value, item->digest) != 0) {
        writer_out_of_memory();
    }
    if (item->verdict.kind == VERDICT_GOOD) {
        decode(w, work);
    }
    work->epoch = l->epoch;
    work->memory = work->arena.used + item->decoded.text;
    item->records = item->decoded.count + 1;
    return true;
}

bool writer_batch_is_full(const struct writer *w)
{
    return w->batch_count >= WRITER_BATCH_ITEMS || w->batch_records >= w->o.limits.batch_records ||
           w->batch_bytes >= w->o.limits.batch_bytes || w->batch_memory >= BATCH_MEMORY;
}

/* The lane's first message goes into the batch. */
static bool take_first(struct writer *w, unsigned slot, struct lane *l)
{
    struct message *m = l->first;

    if (!writer_prepare(w, l, m)) {
        if (!l->held_until_us) {
            log_warn("writer", "catalog_needed", "shard=%s slot=%u", w->o.shard.name, slot);
            writer_emit_slot(w, WRITER_HELD, slot, l->epoch, NULL);
        }
        l->held_until_us = clock_mono_us() + HOLD_US;
        return false;
    }
    if (l->held_until_us) {
        l->held_until_us = 0;
        writer_emit_slot(w, WRITER_FREED, slot, l->epoch, NULL);
    }
    l->first = m->next;
    if (!l->first) {
        l->last = NULL;
    }
    m->next = NULL;
    if (w->batch_count == 0) {
        w->batch_since_us = clock_mono_us();
    }
    w->batch_records += w->batch[w->batch_count]->item.records;
    w->batch_bytes += m->value.len;
    w->batch_memory += w->batch[w->batch_count]->memory;
    w->batch_count++;
    return true;
}

/* One message of each slot in turn, so that none waits for another's backlog. */
void writer_fill_batch(struct writer *w)
{
    bool any = true;

    while (any && !writer_batch_is_full(w)) {
        any = false;
        for (unsigned k = 0; k < KEYS_SLOTS_MAX && !writer_batch_is_full(w); k++) {
            unsigned slot = (w->next_lane + k) % KEYS_SLOTS_MAX;
            struct lane *l = w->lanes[slot];

            if (l && l->ready && l->first && (!l->held_until_us || l->held_until_us <= clock_mono_us())) {
                any |= take_first(w, slot, l);
            }
        }
        w->next_lane = (w->next_lane + 1) % KEYS_SLOTS_MAX;
    }
}

/* --- storing ---------------------------------------------------------------------------------------------------------- */

static int by_offset(const void *pa, const void *pb)
{
    const struct work *const *a = pa, *const *b = pb;
    const struct message *x = (*a)->item.message, *y = (*b)->item.message;

    if (x->slot != y->slot) {
        return x->slot < y->slot ? -1 : 1;
    }
    return (x->offset > y->offset) - (x->offset < y->offset);
}

void writer_count_report(struct writer *w, const struct store_report *r, int64_t took_us)
{
    struct stat_set *s = w->o.stats;
    uint64_t rows = 0;

    for (unsigned t = 0; t < TABLES_COUNT; t++) {
        stat_add_by(s, STAT_ingest_rows, t, r->rows.inserted[t]);
        stat_add_by(s, STAT_ingest_ended, t, r->rows.ended[t]);
        stat_add_by(s, STAT_ingest_updated, t, r->rows.updated[t]);
        rows += r->rows.inserted[t] + r->rows.updated[t];
    }
    for (unsigned i = 0; i < REASON_END; i++) {
        stat_add_by(s, STAT_ingest_set_aside, i, r->aside[i]);
    }
    for (size_t i = 0; i < r->ages_count; i++) {
        stat_observe(s, STAT_ingest_freshness, r->ages[i] > 0 ? (uint64_t)r->ages[i] : 0);
    }
    stat_add(s, STAT_ingest_bundles, r->bundles);
    stat_add(s, STAT_ingest_records, r->records);
    stat_add(s, STAT_ingest_duplicate_bundles, r->duplicates);
    stat_add(s, STAT_ingest_late_bundles, r->late);
    stat_add(s, STAT_ingest_slow_bundles, r->slow);
    stat_add(s, STAT_ingest_branches, r->branches);
    stat_add(s, STAT_ingest_gaps, r->gaps);
    stat_add(s, STAT_ingest_findings, r->findings);
    stat_add(s, STAT_ingest_unknown_records, r->unknown);
    stat_add(s, STAT_ingest_dropped, r->dropped);
    stat_add(s, STAT_ingest_moved_times, r->rows.moved_times);
    stat_add_by(s, STAT_ingest_keyframes, 0, r->keyframes_equal);
    stat_add_by(s, STAT_ingest_keyframes, 1, r->keyframes_compared);
    stat_add_by(s, STAT_ingest_keyframes, 2, r->keyframes_wrong);
    stat_add(s, STAT_ingest_transactions, 1);
    stat_observe(s, STAT_ingest_tx, (uint64_t)took_us);
    stat_observe(s, STAT_ingest_batch_rows, rows);
    if (r->keyframes_wrong) {
        log_warn("writer", "keyframe_differs", "shard=%s groups=%llu", w->o.shard.name,
                 (unsigned long long)r->keyframes_wrong);
    }
    for (size_t i = 0; i < r->keys_count; i++) {
        writer_emit(w, &(struct writer_event){ .kind = WRITER_KEY, .key = r->keys[i] });
    }
}

/* The first n items as slots; items of one slot lie together. */
static size_t as_slots(struct writer *w, size_t n, struct store_slot *slots, struct store_item **items)
{
    size_t count = 0;

    qsort(w->batch, w->batch_count, sizeof(*w->batch), by_offset);
    for (size_t i = 0; i < n; i++) {
        unsigned slot = w->batch[i]->item.message->slot;

        items[i] = &w->batch[i]->item;
        if (count == 0 || slots[count - 1].at.slot != slot) {
            slots[count++] = (struct store_slot){ .at = writer_lane(w, slot)->at, .items = &items[i] };
            slots[count - 1].at.slot = slot;
        }
        slots[count - 1].count++;
    }
    return count;
}

static void committed(struct writer *w, const struct store_slot *slots, size_t count, size_t n)
{
    for (size_t i = 0; i < count; i++) {
        struct lane *l = writer_lane(w, slots[i].at.slot);

        l->at = slots[i].at;
        writer_emit_slot(w, WRITER_STORED, slots[i].at.slot, l->epoch, &l->at);
    }
    for (size_t i = 0; i < n; i++) {
        if (w->batch[0]->item.verdict.kind == VERDICT_ASIDE) {
            writer_lane(w, w->batch[0]->item.message->slot)->rounds = true; /* something to relay */
        }
        stat_add(w->o.stats, STAT_ingest_bytes, w->batch[0]->item.message->value.len);
        writer_remove_item(w, 0);
    }
    w->limit = w->limit * 2 < WRITER_BATCH_ITEMS ? w->limit * 2 : WRITER_BATCH_ITEMS;
    w->tries = 0;
    w->poisoned = 0;
    w->retry_at_us = 0;
    retry_reset(&w->retry);
}

/* One bundle alone is refused. */
static void poison(struct writer *w, struct store_item *item, const struct store_report *r, const struct pofr_err *err)
{
    enum db_class class = db_class_of(r->error);
    struct verdict *v = &item->verdict;

    if (class == DB_CLASS_UNKNOWN && ++w->tries < UNKNOWN_TRIES) {
        writer_back_off(w);
        return;
    }
    if (w->poisoned >= POISON_MAX || v->kind != VERDICT_GOOD) {
        log_error("writer", "all_refused", "shard=%s slot=%u error=\"%s\"", w->o.shard.name, item->message->slot,
                  err->text);
        w->retry_at_us = clock_mono_us() + 30 * CLOCK_US_PER_S;
        return;
    }
    w->poisoned++;
    w->tries = 0;
    v->kind = VERDICT_ASIDE;
    v->reason = r->conflict ? REASON_CONFLICT : REASON_REFUSED;
    memcpy(v->detail, err->text, sizeof(v->detail));
    log_error("writer", "bundle_refused", "shard=%s slot=%u offset=%lld reason=%s error=\"%s\"", w->o.shard.name,
              item->message->slot, (long long)item->message->offset, reason_word(v->reason), err->text);
}

static void not_committed(struct writer *w, enum store_outcome outcome, const struct store_slot *slots, size_t count,
                          size_t n, bool doubt, const struct store_report *r, const struct pofr_err *err)
{
    enum db_class class = outcome == STORE_BROKEN ? DB_CLASS_BROKEN : db_class_of(r->error);

    if (outcome == STORE_FENCED) {
        writer_fence(w, r->fenced);
        return;
    }
    stat_add_by(w->o.stats, STAT_ingest_retries, outcome == STORE_RETRY ? DB_CLASS_RETRY : class, 1);
    if (doubt) {
        stat_add(w->o.stats, STAT_ingest_doubtful_commits, 1);
        for (size_t i = 0; i < count; i++) {
            writer_fence(w, slots[i].at.slot);
        }
        writer_back_off(w);
        return;
    }
    if (outcome == STORE_POISON) {
        if (n > 1) {
            stat_add(w->o.stats, STAT_ingest_bisections, 1);
            w->limit = n / 2;
        } else {
            poison(w, &w->batch[0]->item, r, err);
        }
        return;
    }
    if (outcome == STORE_BROKEN) {
        log_error("writer", "shard_unusable", "shard=%s error=\"%s\"", w->o.shard.name, err->text);
        store_disconnect(w->store);
    } else {
        log_warn("writer", "retry", "shard=%s error=%u text=\"%s\"", w->o.shard.name, r->error, err->text);
    }
    if (!store_is_connected(w->store)) {
        writer_say_up(w, false, err->text);
    }
    writer_back_off(w);
}

void writer_store_now(struct writer *w)
{
    struct store_slot slots[WRITER_BATCH_ITEMS];
    struct store_item *items[WRITER_BATCH_ITEMS];
    int64_t ages[WRITER_BATCH_ITEMS];
    struct store_report report = { .ages = ages };
    struct pofr_err err = { 0 };
    size_t n = w->batch_count < w->limit ? w->batch_count : w->limit;
    size_t count = as_slots(w, n, slots, items);
    int64_t since = clock_mono_us();
    bool doubt = false;
    enum store_outcome outcome = store_batch(w->store, slots, count, &report, &doubt, &err);

    if (outcome == STORE_COMMITTED) {
        writer_count_report(w, &report, clock_mono_us() - since);
        committed(w, slots, count, n);
    } else {
        not_committed(w, outcome, slots, count, n, doubt, &report, &err);
    }
}
