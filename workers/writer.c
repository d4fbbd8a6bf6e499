/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: lock guards inbox, outbox, aside, stopping, ended. Everything else is the thread's own.
 *
 * BATCH   Messages are verified and decoded as they come; when there are enough records or bytes, or the first one has
 *         waited long enough, they are stored in one transaction. What was prepared stays prepared through retries.
 * ERRORS  The shard is away or busy: the same batch again, with back-off. It refuses something: half of the batch is
 *         tried, then half of that, until one bundle is left: that is set aside, with an alarm. If every bundle is refused, it
 *         is not the bundles: then nothing more is set aside until someone has looked.
 */
#include "workers/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/sha256.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "common/os/retry.h"
#include "workers/db_class.h"
#include "workers/worker_stats.h"

#define BATCH_ITEMS    256u
#define ITEM_ARENA_MAX (192u * 1024u * 1024u)
#define ROUNDS_US      (1 * CLOCK_US_PER_S) /* how often replay and relay are looked for */
#define HOLD_US        (1 * CLOCK_US_PER_S) /* a slot that waits for the catalog */
#define UNKNOWN_TRIES  5u
#define POISON_MAX     20u /* bundles in a row that are refused, none stored between: it is not the bundles */
#define RETRY_CAP_US   (5 * CLOCK_US_PER_S)
#define RELAY_MAX      32u

enum command_kind {
    COMMAND_LOAD,
    COMMAND_SKIP,
    COMMAND_REINCARNATE,
    COMMAND_APPEND,
    COMMAND_DROP,
    COMMAND_SYNC,
    COMMAND_RELAYED
};

struct command {
    enum command_kind kind;
    unsigned slot;
    uint64_t epoch;
    int64_t low;
    struct message *message;
    struct store_aside *aside;
    struct command *next;
};

struct event_node {
    struct writer_event e;
    struct event_node *next;
};

struct lane { /* a slot's queue */
    uint64_t epoch;
    bool ready;               /* at is known */
    enum command_kind wanted; /* LOAD, SKIP, REINCARNATE: to be done; APPEND: nothing */
    int64_t low;
    bool sync;             /* its hosts are to be compared with the catalog's copy */
    bool rounds;           /* replay and relay are to be looked for */
    int64_t held_until_us; /* 0: not held */
    struct store_position at;
    struct message *first, *last;
};

struct work { /* a message of the batch */
    struct store_item item;
    struct arena arena;
    uint64_t epoch;
};

struct writer {
    struct writer_options o;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct command *inbox, **inbox_end;
    struct event_node *outbox, **outbox_end;
    struct store_aside *aside; /* to be relayed; NULL: none, or they are under way */
    bool aside_out;
    bool stopping, ended;

    struct store *store;
    struct lane *lanes[KEYS_SLOTS_MAX];
    struct work *batch[BATCH_ITEMS]; /* in use: the first batch_count */
    size_t batch_count;
    size_t batch_records;
    uint64_t batch_bytes;
    int64_t batch_since_us;
    size_t limit;      /* of items in a transaction: less than all while a refused one is looked for */
    unsigned tries;    /* of one item, for an error that we do not know */
    unsigned poisoned; /* in a row */
    struct retry retry;
    int64_t retry_at_us; /* 0: now */
    int64_t rounds_at_us;
    bool up, said; /* does the shard answer, and was anyone told? */
    unsigned next_lane;
};

/* What was taken from Kafka can't be lost silently: the supervisor starts us again where the shard stands. */
static _Noreturn void out_of_memory(void)
{
    log_error("writer", "no_memory", "errno=%d", errno);
    abort();
}

/* --- mailboxes ------------------------------------------------------------------------------------------------- */

static void post(struct writer *w, const struct command *c)
{
    struct command *node = malloc(sizeof(*node));

    if (!node) {
        out_of_memory();
    }
    *node = *c;
    node->next = NULL;
    pthread_mutex_lock(&w->lock);
    *w->inbox_end = node;
    w->inbox_end = &node->next;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void writer_load(struct writer *w, unsigned slot, uint64_t epoch)
{
    post(w, &(struct command){ .kind = COMMAND_LOAD, .slot = slot, .epoch = epoch });
}

void writer_skip(struct writer *w, unsigned slot, uint64_t epoch, int64_t low)
{
    post(w, &(struct command){ .kind = COMMAND_SKIP, .slot = slot, .epoch = epoch, .low = low });
}

void writer_reincarnate(struct writer *w, unsigned slot, uint64_t epoch, int64_t low)
{
    post(w, &(struct command){ .kind = COMMAND_REINCARNATE, .slot = slot, .epoch = epoch, .low = low });
}

void writer_append(struct writer *w, uint64_t epoch, struct message *m)
{
    post(w, &(struct command){ .kind = COMMAND_APPEND, .slot = m->slot, .epoch = epoch, .message = m });
}

void writer_drop(struct writer *w, unsigned slot, uint64_t epoch)
{
    post(w, &(struct command){ .kind = COMMAND_DROP, .slot = slot, .epoch = epoch });
}

void writer_sync(struct writer *w)
{
    post(w, &(struct command){ .kind = COMMAND_SYNC });
}

void writer_relayed(struct writer *w, struct store_aside *done)
{
    post(w, &(struct command){ .kind = COMMAND_RELAYED, .aside = done });
}

static void emit(struct writer *w, const struct writer_event *e)
{
    struct event_node *node = malloc(sizeof(*node));

    if (!node) {
        out_of_memory();
    }
    node->e = *e;
    node->next = NULL;
    pthread_mutex_lock(&w->lock);
    *w->outbox_end = node;
    w->outbox_end = &node->next;
    pthread_mutex_unlock(&w->lock);
    w->o.wake(w->o.arg);
}

bool writer_event(struct writer *w, struct writer_event *out)
{
    struct event_node *node;

    pthread_mutex_lock(&w->lock);
    node = w->outbox;
    if (node) {
        w->outbox = node->next;
        if (!w->outbox) {
            w->outbox_end = &w->outbox;
        }
    }
    pthread_mutex_unlock(&w->lock);
    if (node) {
        *out = node->e;
        free(node);
    }
    return node != NULL;
}

struct store_aside *writer_unrelayed(struct writer *w)
{
    struct store_aside *list;

    pthread_mutex_lock(&w->lock);
    list = w->aside;
    w->aside = NULL;
    pthread_mutex_unlock(&w->lock);
    return list;
}

static void emit_slot(struct writer *w, enum writer_event_kind kind, unsigned slot, uint64_t epoch,
                      const struct store_position *at)
{
    struct writer_event e = { .kind = kind, .slot = slot, .epoch = epoch, .found = at != NULL };

    if (at) {
        e.at = *at;
    }
    emit(w, &e);
}

static void emit_taken(struct writer *w, unsigned slot, uint64_t bytes)
{
    emit(w, &(struct writer_event){ .kind = WRITER_TAKEN, .slot = slot, .bytes = bytes });
}

/* --- queues ------------------------------------------------------------------------------------------------------ */

static struct lane *lane(struct writer *w, unsigned slot)
{
    if (!w->lanes[slot]) {
        w->lanes[slot] = calloc(1, sizeof(**w->lanes));
        if (!w->lanes[slot]) {
            out_of_memory();
        }
        w->lanes[slot]->wanted = COMMAND_APPEND;
    }
    return w->lanes[slot];
}

static void done_with(struct writer *w, struct message *m)
{
    emit_taken(w, m->slot, m->value.len);
    message_free(m);
}

static void empty_lane(struct writer *w, struct lane *l)
{
    while (l->first) {
        struct message *next = l->first->next;

        done_with(w, l->first);
        l->first = next;
    }
    l->last = NULL;
}

static void remove_item(struct writer *w, size_t i)
{
    struct work *work = w->batch[i];

    w->batch_records -= work->item.records;
    w->batch_bytes -= work->item.message->value.len;
    done_with(w, work->item.message);
    arena_reset(&work->arena);
    for (size_t k = i + 1; k < w->batch_count; k++) {
        w->batch[k - 1] = w->batch[k];
    }
    w->batch[--w->batch_count] = work; /* kept for the next one */
}

static void leave_lane(struct writer *w, unsigned slot)
{
    struct lane *l = lane(w, slot);

    l->ready = false;
    l->wanted = COMMAND_APPEND;
    if (l->held_until_us) {
        l->held_until_us = 0;
        emit_slot(w, WRITER_FREED, slot, l->epoch, NULL);
    }
    empty_lane(w, l);
    for (size_t i = w->batch_count; i > 0; i--) {
        if (w->batch[i - 1]->item.message->slot == slot) {
            remove_item(w, i - 1);
        }
    }
}

static void mark_relayed(struct writer *w, struct store_aside *list)
{
    struct pofr_err err = { 0 };

    for (struct store_aside *a = list; a && w->store && store_is_connected(w->store); a = a->next) {
        if (a->reason[0] == 0) {
            continue; /* could not be published: the next round finds it again */
        }
        if (store_mark_relayed(w->store, a->message, &err) != 0) { /* it will be copied once more: at least once */
            log_warn("writer", "relay_unmarked", "shard=%s error=\"%s\"", w->o.shard.name, err.text);
            break;
        }
        stat_add(w->o.stats, STAT_ingest_relayed, 1);
    }
    store_aside_free(list);
    pthread_mutex_lock(&w->lock);
    w->aside_out = false;
    pthread_mutex_unlock(&w->lock);
}

static void take_command(struct writer *w, struct command *c)
{
    struct lane *l = c->kind == COMMAND_SYNC || c->kind == COMMAND_RELAYED ? NULL : lane(w, c->slot);

    switch (c->kind) {
    case COMMAND_APPEND:
        if (c->epoch != l->epoch || !l->ready) {
            done_with(w, c->message);
            break;
        }
        if (l->last) {
            l->last->next = c->message;
        } else {
            l->first = c->message;
        }
        l->last = c->message;
        break;
    case COMMAND_SYNC:
        for (unsigned i = 0; i < KEYS_SLOTS_MAX; i++) {
            if (w->lanes[i]) {
                w->lanes[i]->sync = true;
            }
        }
        break;
    case COMMAND_RELAYED:
        mark_relayed(w, c->aside);
        break;
    default:
        if (c->kind == COMMAND_LOAD || c->kind == COMMAND_DROP) {
            leave_lane(w, c->slot);
        }
        l->epoch = c->epoch;
        l->low = c->low;
        l->wanted = c->kind == COMMAND_DROP ? COMMAND_APPEND : c->kind;
        break;
    }
}

static void take_inbox(struct writer *w)
{
    struct command *list;

    pthread_mutex_lock(&w->lock);
    list = w->inbox;
    w->inbox = NULL;
    w->inbox_end = &w->inbox;
    pthread_mutex_unlock(&w->lock);
    while (list) {
        struct command *next = list->next;

        take_command(w, list);
        free(list);
        list = next;
    }
}

/* --- the connection ---------------------------------------------------------------------------------------------- */

static void say_up(struct writer *w, bool up, const char *why)
{
    if (w->said && w->up == up) {
        return;
    }
    w->said = true;
    w->up = up;
    if (up) {
        log_info("writer", "shard_up", "shard=%s", w->o.shard.name);
    } else {
        log_warn("writer", "shard_down", "shard=%s error=\"%s\"", w->o.shard.name, why);
    }
    emit(w, &(struct writer_event){ .kind = up ? WRITER_UP : WRITER_DOWN });
}

static void back_off(struct writer *w)
{
    w->retry_at_us = clock_mono_us() + retry_next_us(&w->retry);
}

static bool connect_shard(struct writer *w)
{
    struct pofr_err err = { 0 };

    if (store_is_connected(w->store)) {
        return true;
    }
    if (store_connect(w->store, &err) != 0) {
        say_up(w, false, err.text);
        back_off(w);
        return false;
    }
    say_up(w, true, "");
    return true;
}

/* An error outside of a batch: the connection is given up, so that the next use of it begins afresh. */
static void failed(struct writer *w, const char *what, unsigned slot, const struct pofr_err *err)
{
    log_warn("writer", what, "shard=%s slot=%u error=\"%s\"", w->o.shard.name, slot, err->text);
    store_disconnect(w->store);
    back_off(w);
}

/* --- positions ------------------------------------------------------------------------------------------------------ */

static bool move_lane(struct writer *w, unsigned slot, struct lane *l)
{
    struct store_position at = l->at;
    struct pofr_err err = { 0 };
    int code;

    if (l->wanted == COMMAND_LOAD) {
        code = store_load(w->store, slot, &at, &err);
    } else if (l->wanted == COMMAND_SKIP) {
        code = store_skip(w->store, &l->at, l->low, &at, &err);
        if (code == 0) {
            log_error("writer", "offsets_skipped", "shard=%s slot=%u from=%lld to=%lld", w->o.shard.name, slot,
                      (long long)l->at.next_offset, (long long)l->low);
            stat_add(w->o.stats, STAT_ingest_skipped_slots, 1);
        }
    } else {
        code = store_reincarnate(w->store, &l->at, l->low, &at, &err);
        if (code == 0) {
            log_error("writer", "slot_reincarnated", "shard=%s slot=%u incarnation=%u from=%lld to=%lld",
                      w->o.shard.name, slot, at.incarnation, (long long)l->at.next_offset, (long long)l->low);
            stat_add(w->o.stats, STAT_ingest_reincarnations, 1);
        }
    }
    if (code && code != POFR_ENOTFOUND && code != POFR_EBUSY) {
        failed(w, "position_unknown", slot, &err);
        return false;
    }
    l->at = at;
    l->ready = code == 0;
    l->sync = l->rounds = code == 0;
    emit_slot(w, l->wanted == COMMAND_LOAD ? WRITER_LOADED : WRITER_JUMPED, slot, l->epoch, code == 0 ? &at : NULL);
    l->wanted = COMMAND_APPEND;
    return true;
}

static bool move_lanes(struct writer *w)
{
    for (unsigned i = 0; i < KEYS_SLOTS_MAX; i++) {
        if (w->lanes[i] && w->lanes[i]->wanted != COMMAND_APPEND && !move_lane(w, i, w->lanes[i])) {
            return false;
        }
    }
    return true;
}

static void fence(struct writer *w, unsigned slot)
{
    struct lane *l = lane(w, slot);

    stat_add(w->o.stats, STAT_ingest_fenced, 1);
    log_warn("writer", "fenced", "shard=%s slot=%u offset=%lld", w->o.shard.name, slot, (long long)l->at.next_offset);
    leave_lane(w, slot);
    emit_slot(w, WRITER_FENCED, slot, l->epoch, NULL);
}

/* --- preparing -------------------------------------------------------------------------------------------------------- */

static struct work *next_work(struct writer *w)
{
    struct work **place = &w->batch[w->batch_count];

    if (!*place) {
        *place = calloc(1, sizeof(**place));
        if (!*place) {
            out_of_memory();
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
        out_of_memory();
    }
    if (code) {
        v->kind = VERDICT_ASIDE;
        v->reason = REASON_FORM;
        memcpy(v->detail, err.text, sizeof(v->detail));
    }
}

/* false: its slot has to wait. */
static bool prepare(struct writer *w, struct lane *l, struct message *m)
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
        out_of_memory();
    }
    if (item->verdict.kind == VERDICT_GOOD) {
        decode(w, work);
    }
    work->epoch = l->epoch;
    item->records = item->decoded.count + 1;
    return true;
}

static bool batch_is_full(const struct writer *w)
{
    return w->batch_count >= BATCH_ITEMS || w->batch_records >= w->o.limits.batch_records ||
           w->batch_bytes >= w->o.limits.batch_bytes;
}

/* The lane's first message goes into the batch. */
static bool take_first(struct writer *w, unsigned slot, struct lane *l)
{
    struct message *m = l->first;

    if (!prepare(w, l, m)) {
        if (!l->held_until_us) {
            log_warn("writer", "catalog_needed", "shard=%s slot=%u", w->o.shard.name, slot);
            emit_slot(w, WRITER_HELD, slot, l->epoch, NULL);
        }
        l->held_until_us = clock_mono_us() + HOLD_US;
        return false;
    }
    if (l->held_until_us) {
        l->held_until_us = 0;
        emit_slot(w, WRITER_FREED, slot, l->epoch, NULL);
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
    w->batch_count++;
    return true;
}

/* One message of each slot in turn, so that none waits for another's backlog. */
static void fill_batch(struct writer *w)
{
    bool any = true;

    while (any && !batch_is_full(w)) {
        any = false;
        for (unsigned k = 0; k < KEYS_SLOTS_MAX && !batch_is_full(w); k++) {
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

static void count_report(struct writer *w, const struct store_report *r, int64_t took_us)
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
        emit(w, &(struct writer_event){ .kind = WRITER_KEY, .key = r->keys[i] });
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
            slots[count++] = (struct store_slot){ .at = lane(w, slot)->at, .items = &items[i] };
            slots[count - 1].at.slot = slot;
        }
        slots[count - 1].count++;
    }
    return count;
}

static void committed(struct writer *w, const struct store_slot *slots, size_t count, size_t n)
{
    for (size_t i = 0; i < count; i++) {
        struct lane *l = lane(w, slots[i].at.slot);

        l->at = slots[i].at;
        emit_slot(w, WRITER_STORED, slots[i].at.slot, l->epoch, &l->at);
    }
    for (size_t i = 0; i < n; i++) {
        if (w->batch[0]->item.verdict.kind == VERDICT_ASIDE) {
            lane(w, w->batch[0]->item.message->slot)->rounds = true; /* something to relay */
        }
        stat_add(w->o.stats, STAT_ingest_bytes, w->batch[0]->item.message->value.len);
        remove_item(w, 0);
    }
    w->limit = w->limit * 2 < BATCH_ITEMS ? w->limit * 2 : BATCH_ITEMS;
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
        back_off(w);
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
        fence(w, r->fenced);
        return;
    }
    stat_add_by(w->o.stats, STAT_ingest_retries, outcome == STORE_RETRY ? DB_CLASS_RETRY : class, 1);
    if (doubt) {
        stat_add(w->o.stats, STAT_ingest_doubtful_commits, 1);
        for (size_t i = 0; i < count; i++) {
            fence(w, slots[i].at.slot);
        }
        back_off(w);
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
        say_up(w, false, err->text);
    }
    back_off(w);
}

static void store_now(struct writer *w)
{
    struct store_slot slots[BATCH_ITEMS];
    struct store_item *items[BATCH_ITEMS];
    int64_t ages[BATCH_ITEMS];
    struct store_report report = { .ages = ages };
    struct pofr_err err = { 0 };
    size_t n = w->batch_count < w->limit ? w->batch_count : w->limit;
    size_t count = as_slots(w, n, slots, items);
    int64_t since = clock_mono_us();
    bool doubt = false;
    enum store_outcome outcome = store_batch(w->store, slots, count, &report, &doubt, &err);

    if (outcome == STORE_COMMITTED) {
        count_report(w, &report, clock_mono_us() - since);
        committed(w, slots, count, n);
    } else {
        not_committed(w, outcome, slots, count, n, doubt, &report, &err);
    }
}

/* --- rounds: what was set aside, what the catalog changed ----------------------------------------------------------------- */

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
    if (w->batch_count >= BATCH_ITEMS) {
        return true;
    }
    if (store_requested(w->store, &l->at, &m, &err) != 0) {
        failed(w, "replay_unread", slot, &err);
        return false;
    }
    if (!m) {
        return true;
    }
    if (!prepare(w, l, m)) {
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
        count_report(w, &report, clock_mono_us() - since);
    } else if (outcome == STORE_FENCED) {
        fence(w, slot);
    } else {
        failed(w, "replay_failed", slot, &err);
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
        failed(w, "relay_unread", slot, &err);
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
        fence(w, slot);
        return true;
    }
    if (code) {
        failed(w, "hosts_unsynced", slot, &err);
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
        failed(w, "rounds_unread", 0, &err);
        return false;
    }
    for (unsigned i = 0; i < KEYS_SLOTS_MAX; i++) {
        if (w->lanes[i] && slots[i]) {
            w->lanes[i]->rounds = true;
        }
    }
    return true;
}

static void look_around(struct writer *w, bool all)
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

/* --- the thread ----------------------------------------------------------------------------------------------------------- */

/* When there is something to do next, if nothing comes; 0: at once. */
static int64_t next_due(const struct writer *w, int64_t now)
{
    int64_t due = w->rounds_at_us;

    if (w->retry_at_us > now) {
        return w->retry_at_us;
    }
    if (w->batch_count > 0) {
        int64_t batch = w->batch_since_us + w->o.limits.batch_us;

        due = batch < due ? batch : due;
    }
    for (unsigned i = 0; i < KEYS_SLOTS_MAX; i++) {
        const struct lane *l = w->lanes[i];

        if (!l) {
            continue;
        }
        if (l->wanted != COMMAND_APPEND ||
            (l->ready && (l->sync || (l->first && !l->held_until_us && !batch_is_full(w))))) {
            return 0;
        }
        if (l->held_until_us && l->held_until_us < due) {
            due = l->held_until_us;
        }
    }
    return due;
}

static bool wait_for_work(struct writer *w)
{
    int64_t now = clock_mono_us(), due = next_due(w, now);
    bool stop;

    pthread_mutex_lock(&w->lock);
    while (!w->inbox && !w->stopping && due > now) {
        struct timespec t = { due / CLOCK_US_PER_S, due % CLOCK_US_PER_S * 1000 };

        if (pthread_cond_timedwait(&w->wake, &w->lock, &t) == ETIMEDOUT) {
            break;
        }
        now = clock_mono_us();
    }
    stop = w->stopping;
    pthread_mutex_unlock(&w->lock);
    return !stop;
}

static void work_once(struct writer *w)
{
    int64_t now = clock_mono_us();

    take_inbox(w);
    if (w->retry_at_us > now || !connect_shard(w) || !move_lanes(w)) {
        return;
    }
    fill_batch(w);
    if (w->batch_count > 0 && (batch_is_full(w) || now >= w->batch_since_us + w->o.limits.batch_us)) {
        store_now(w);
    }
    now = clock_mono_us();
    if (store_is_connected(w->store) && w->retry_at_us <= now) {
        look_around(w, now >= w->rounds_at_us);
    }
    if (now >= w->rounds_at_us) {
        w->rounds_at_us = now + ROUNDS_US;
    }
}

static void *run(void *arg)
{
    struct writer *w = arg;

    while (wait_for_work(w)) {
        work_once(w);
    }
    if (w->batch_count > 0 && store_is_connected(w->store) && w->retry_at_us <= clock_mono_us()) {
        store_now(w); /* what was prepared is stored, the rest is where it was: in Kafka */
    }
    store_free(w->store);
    w->store = NULL;
    pthread_mutex_lock(&w->lock);
    w->ended = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

int writer_start(const struct writer_options *o, struct writer **out, struct pofr_err *err)
{
    struct writer *w = calloc(1, sizeof(*w));
    pthread_condattr_t monotonic;
    struct store_options so;
    uint64_t seed = 0;
    int rc;

    if (!w) {
        return pofr_err_set(err, POFR_ENOMEM, "writer");
    }
    w->o = *o;
    w->limit = BATCH_ITEMS;
    w->inbox_end = &w->inbox;
    w->outbox_end = &w->outbox;
    so = (struct store_options){ .address = { .host = w->o.shard.address,
                                              .port = o->shard.port,
                                              .user = o->user,
                                              .password_file = o->password_file,
                                              .database = o->database,
                                              .connect_timeout_s = 3,
                                              .io_timeout_s = 30 },
                                 .worker = o->worker,
                                 .strings_bytes = o->limits.strings_bytes,
                                 .changes_max =
                                     (size_t)o->limits.batch_records + o->limits.bundle_records + BATCH_ITEMS };
    rc = store_new(&so, &w->store);
    if (rc) {
        free(w);
        return pofr_err_set(err, rc, "writer");
    }
    if (fsio_random(&seed, sizeof(seed), NULL) != 0) {
        seed = (uint64_t)clock_mono_us(); /* a poor seed only makes workers come back together */
    }
    retry_init(&w->retry, 20 * CLOCK_US_PER_MS, RETRY_CAP_US, seed);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    rc = pthread_create(&w->thread, NULL, run, w);
    if (rc) {
        store_free(w->store);
        free(w);
        errno = rc;
        return pofr_err_sys(err, POFR_ESYSTEM, "writer's thread");
    }
    *out = w;
    return 0;
}

void writer_stop(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static void nobody(void *arg)
{
    (void)arg;
}

static void free_all(struct writer *w)
{
    struct writer_event e;

    w->o.wake = nobody;

    take_inbox(w);
    for (unsigned i = 0; i < KEYS_SLOTS_MAX; i++) {
        if (w->lanes[i]) {
            empty_lane(w, w->lanes[i]);
            free(w->lanes[i]);
        }
    }
    while (w->batch_count > 0) {
        remove_item(w, w->batch_count - 1);
    }
    for (size_t i = 0; i < BATCH_ITEMS && w->batch[i]; i++) {
        arena_free(&w->batch[i]->arena);
        free(w->batch[i]);
    }
    store_aside_free(w->aside);
    while (writer_event(w, &e)) {
    }
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

bool writer_join(struct writer *w, int64_t limit_us)
{
    int64_t due = clock_mono_us() + limit_us;
    struct timespec t = { due / CLOCK_US_PER_S, due % CLOCK_US_PER_S * 1000 };
    bool ended;

    pthread_mutex_lock(&w->lock);
    while (!w->ended && pthread_cond_timedwait(&w->wake, &w->lock, &t) != ETIMEDOUT) {
    }
    ended = w->ended;
    pthread_mutex_unlock(&w->lock);
    if (ended) {
        pthread_join(w->thread, NULL);
        free_all(w);
    }
    return ended;
}
