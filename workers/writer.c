/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The thread: its queues, its connection, when it does what. */
#include "workers/writer_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "workers/worker_stats.h"

#define ROUNDS_US    (1 * CLOCK_US_PER_S) /* how often replay and relay are looked for */
#define RETRY_CAP_US (5 * CLOCK_US_PER_S)

/* --- queues ------------------------------------------------------------------------------------------------------ */

struct lane *writer_lane(struct writer *w, unsigned slot)
{
    if (!w->lanes[slot]) {
        w->lanes[slot] = calloc(1, sizeof(**w->lanes));
        if (!w->lanes[slot]) {
            writer_out_of_memory();
        }
        w->lanes[slot]->wanted = COMMAND_APPEND;
    }
    return w->lanes[slot];
}

static void done_with(struct writer *w, struct message *m)
{
    writer_emit_taken(w, m->slot, m->value.len);
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

void writer_remove_item(struct writer *w, size_t i)
{
    struct work *work = w->batch[i];

    w->batch_records -= work->item.records;
    w->batch_bytes -= work->item.message->value.len;
    w->batch_memory -= work->memory;
    done_with(w, work->item.message);
    arena_reset(&work->arena);
    for (size_t k = i + 1; k < w->batch_count; k++) {
        w->batch[k - 1] = w->batch[k];
    }
    w->batch[--w->batch_count] = work; /* kept for the next one */
}

static void leave_lane(struct writer *w, unsigned slot)
{
    struct lane *l = writer_lane(w, slot);

    l->ready = false;
    l->wanted = COMMAND_APPEND;
    if (l->held_until_us) {
        l->held_until_us = 0;
        writer_emit_slot(w, WRITER_FREED, slot, l->epoch, NULL);
    }
    empty_lane(w, l);
    for (size_t i = w->batch_count; i > 0; i--) {
        if (w->batch[i - 1]->item.message->slot == slot) {
            writer_remove_item(w, i - 1);
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
    struct lane *l = c->kind == COMMAND_SYNC || c->kind == COMMAND_RELAYED ? NULL : writer_lane(w, c->slot);

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

void writer_say_up(struct writer *w, bool up, const char *why)
{
    bool is_new = !w->said || w->up != up;

    if (up) {
        w->down_why[0] = '\0';
    }
    if (up && is_new) {
        log_info("writer", "shard_up", "shard=%s", w->o.shard.name);
    } else if (!up &&
               (is_new || strcmp(w->down_why, why) != 0)) { /* the first reason may be but the end of a connection */
        log_warn("writer", "shard_down", "shard=%s error=\"%s\"", w->o.shard.name, why);
        snprintf(w->down_why, sizeof(w->down_why), "%s", why);
    }
    if (!is_new) {
        return;
    }
    w->said = true;
    w->up = up;
    writer_emit(w, &(struct writer_event){ .kind = up ? WRITER_UP : WRITER_DOWN });
}

void writer_back_off(struct writer *w)
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
        writer_say_up(w, false, err.text);
        writer_back_off(w);
        return false;
    }
    writer_say_up(w, true, "");
    return true;
}

/* An error outside of a batch: the connection is given up, so that the next use of it begins afresh. */
void writer_failed(struct writer *w, const char *what, unsigned slot, const struct pofr_err *err)
{
    log_warn("writer", what, "shard=%s slot=%u error=\"%s\"", w->o.shard.name, slot, err->text);
    store_disconnect(w->store);
    writer_back_off(w);
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
        writer_failed(w, "position_unknown", slot, &err);
        return false;
    }
    l->at = at;
    l->ready = code == 0 && at.owned; /* one that is on its way to another shard has nothing to do here */
    l->sync = l->rounds = l->ready;
    writer_emit_slot(w, l->wanted == COMMAND_LOAD ? WRITER_LOADED : WRITER_JUMPED, slot, l->epoch,
                     code == 0 ? &at : NULL);
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

void writer_fence(struct writer *w, unsigned slot)
{
    struct lane *l = writer_lane(w, slot);

    stat_add(w->o.stats, STAT_ingest_fenced, 1);
    log_warn("writer", "fenced", "shard=%s slot=%u offset=%lld", w->o.shard.name, slot, (long long)l->at.next_offset);
    leave_lane(w, slot);
    writer_emit_slot(w, WRITER_FENCED, slot, l->epoch, NULL);
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
            (l->ready && (l->sync || (l->first && !l->held_until_us && !writer_batch_is_full(w))))) {
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
    writer_fill_batch(w);
    if (w->batch_count > 0 && (writer_batch_is_full(w) || now >= w->batch_since_us + w->o.limits.batch_us)) {
        writer_store_now(w);
    }
    now = clock_mono_us();
    if (store_is_connected(w->store) && w->retry_at_us <= now) {
        writer_look_around(w, now >= w->rounds_at_us);
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
        atomic_fetch_add(&w->beats, 1);
    }
    if (w->batch_count > 0 && store_is_connected(w->store) && w->retry_at_us <= clock_mono_us()) {
        writer_store_now(w); /* what was prepared is stored, the rest is where it was: in Kafka */
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
    w->limit = WRITER_BATCH_ITEMS;
    w->inbox_end = &w->inbox;
    w->outbox_end = &w->outbox;
    so = (struct store_options){ .address = { .host = w->o.shard.address,
                                              .port = o->shard.port,
                                              .user = o->user,
                                              .password_file = o->password_file,
                                              .tls = o->tls,
                                              .database = o->database,
                                              .connect_timeout_s = 3,
                                              .io_timeout_s = 30,
                                              .beats = &w->beats },
                                 .worker = o->worker,
                                 .strings_bytes = o->limits.strings_bytes,
                                 .changes_max =
                                     (size_t)o->limits.batch_records + o->limits.bundle_records + WRITER_BATCH_ITEMS };
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

uint64_t writer_beats(const struct writer *w)
{
    return atomic_load(&w->beats);
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
        writer_remove_item(w, w->batch_count - 1);
    }
    for (size_t i = 0; i < WRITER_BATCH_ITEMS && w->batch[i]; i++) {
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
