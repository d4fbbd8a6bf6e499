/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PAUSE   A slot is fetched while it is CHECKING or ACTIVE and nothing holds it: its own queue or all queues full, its shard
 *         away, the catalog needed. librdkafka is told once per change.
 */
#include "workers/consume_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/sha256.h"
#include "common/kafka/topic_rules.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/os/service.h"

#define POLL_MS   100
#define ROUNDS_US (1 * CLOCK_US_PER_S)
#define STALL_MIN 10 /* rounds */
#define STALL_MAX 300
#define LEAVE_MS  5000
#define STUCK_US  (120 * CLOCK_US_PER_S) /* a statement's limits are 3 s (connect), and 30 s to send and to receive */

/* --- fetching ------------------------------------------------------------------------------------------------ */

static void steer(struct consume *c, unsigned n)
{
    struct fetch *f = &c->fetch[n];
    bool pause = consume_cause_of(c, n) != CAUSE_END;

    if (c->slots[n].state == SLOT_NONE) {
        return;
    }
    if (pause && !f->paused) {
        kafka_pause(c->kafka, n);
        f->paused = true;
    } else if (!pause && (f->paused || f->seek_to >= 0)) {
        kafka_resume(c->kafka, n, f->seek_to >= 0 ? f->seek_to : c->slots[n].expected);
        f->paused = false;
        f->seek_to = -1;
    }
}

static void steer_all(struct consume *c)
{
    for (unsigned n = 0; n < KEYS_SLOTS_MAX; n++) {
        steer(c, n);
    }
}

static void queue_changed(struct consume *c, unsigned n, int64_t by)
{
    struct fetch *f = &c->fetch[n];
    uint64_t slot_max = c->o.conf->slot_queue_bytes, max = c->o.conf->queue_bytes;
    bool was = c->full;

    f->queued = (uint64_t)((int64_t)f->queued + by);
    c->queued = (uint64_t)((int64_t)c->queued + by);
    f->full = f->queued >= slot_max || (f->full && f->queued > slot_max / 2);
    c->full = c->queued >= max || (c->full && c->queued > max / 2);
    stat_put(c->o.stats, STAT_ingest_queue, (int64_t)c->queued);
    if (was != c->full) {
        steer_all(c);
    } else {
        steer(c, n);
    }
}

/* --- shards --------------------------------------------------------------------------------------------------- */

static void wake(void *arg)
{
    struct consume *c = arg;

    kafka_wake(c->kafka);
}

static int start_writer(struct consume *c, struct shard *s, struct pofr_err *err)
{
    const struct worker_conf *conf = c->o.conf;
    const struct writer_options wo = {
        .worker = c->o.name,
        .shard = s->at,
        .user = conf->shard_user,
        .password_file = conf->shard_password_file,
        .database = conf->shard_database,
        .tls = conf->shard_tls,
        .limits = { conf->batch_records, conf->batch_bytes, conf->batch_us, conf->bundle_records, conf->strings_bytes },
        .keys = c->o.keys,
        .stats = c->o.stats,
        .wake = wake,
        .arg = c,
    };

    return writer_start(&wo, &s->writer, err);
}

/* The shard of that id, with a writer; NULL: the catalog does not know it, or there are too many. */
static struct shard *shard_of(struct consume *c, unsigned id)
{
    struct keys_shard at;
    struct shard *free_one = NULL;
    struct pofr_err err = { 0 };

    if (keys_shard(c->o.keys, id, &at) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < CONSUME_SHARDS; i++) {
        struct shard *s = &c->shards[i];

        if (s->id == id && strcmp(s->at.address, at.address) == 0 && s->at.port == at.port) {
            return s;
        }
        if (!s->id && !free_one) {
            free_one = s;
        }
    }
    if (!free_one) {
        log_error("consume", "too_many_shards", "max=%u", CONSUME_SHARDS);
        return NULL;
    }
    free_one->at = at;
    if (start_writer(c, free_one, &err) != 0) {
        log_error("consume", "writer_not_started", "shard=%s error=\"%s\"", at.name, err.text);
        return NULL;
    }
    pthread_mutex_lock(&c->figures_lock);
    free_one->id = id;
    free_one->up = false;
    pthread_mutex_unlock(&c->figures_lock);
    return free_one;
}

/* --- slots -------------------------------------------------------------------------------------------------------- */

static void carry_out(struct consume *c, unsigned n, struct slot_action a);

static void load(struct consume *c, unsigned n)
{
    struct slot *s = &c->slots[n];
    struct fetch *f = &c->fetch[n];
    struct shard *shard = shard_of(c, s->shard_id);

    if (f->shard && f->shard != shard) {
        writer_drop(f->shard->writer, n, s->epoch);
    }
    f->shard = shard;
    f->held = false;
    if (shard) {
        writer_load(shard->writer, n, s->epoch);
    } else {
        carry_out(c, n, slot_loaded(s, NULL));
    }
}

static void carry_out(struct consume *c, unsigned n, struct slot_action a)
{
    struct slot *s = &c->slots[n];
    struct fetch *f = &c->fetch[n];

    switch (a.what) {
    case SLOT_DO_LOAD:
        load(c, n);
        break;
    case SLOT_DO_ASK_LIMITS:
        errands_limits(c->errands, n, s->epoch);
        break;
    case SLOT_DO_SEEK:
        f->seek_to = a.offset;
        break;
    case SLOT_DO_SKIP:
        writer_skip(f->shard->writer, n, s->epoch, a.offset);
        break;
    case SLOT_DO_REINCARNATE:
        writer_reincarnate(f->shard->writer, n, s->epoch, a.offset);
        break;
    case SLOT_DO_WAIT:
        if (f->shard) {
            writer_drop(f->shard->writer, n, s->epoch);
            f->shard = NULL;
        }
        break;
    default:
        break;
    }
    steer(c, n);
}

static void look_at_map(struct consume *c, unsigned n)
{
    struct keys_slot at;
    struct slot *s = &c->slots[n];

    if (keys_slot(c->o.keys, n, &at) != 0) {
        at = (struct keys_slot){ 0 };
    }
    if (s->state == SLOT_UNMAPPED && at.shard_id == 0) {
        return;
    }
    carry_out(c, n, slot_mapped(s, at.shard_id, at.generation));
}

static void assigned(void *arg, const unsigned *slots, size_t count)
{
    struct consume *c = arg;

    log_info("consume", "assigned", "slots=%zu", count);
    stat_add_by(c->o.stats, STAT_rebalance, 0, 1);
    stat_put(c->o.stats, STAT_ingest_partitions, (int64_t)count);
    c->member = true;
    for (size_t i = 0; i < count; i++) {
        unsigned n = slots[i];
        struct keys_slot at;

        if (n >= KEYS_SLOTS_MAX) {
            continue;
        }
        if (keys_slot(c->o.keys, n, &at) != 0) {
            at = (struct keys_slot){ 0 };
        }
        c->slots[n].number = n;
        c->slots[n].shard_id = at.shard_id;
        c->slots[n].generation = at.generation;
        c->fetch[n].paused = true;
        c->fetch[n].seek_to = -1;
        c->fetch[n].still = 0;
        c->fetch[n].patience = STALL_MIN;
        carry_out(c, n, slot_assigned(&c->slots[n]));
    }
}

static void revoked(void *arg, bool lost)
{
    struct consume *c = arg;

    log_info("consume", "revoked", "lost=%s", lost ? "yes" : "no");
    stat_add_by(c->o.stats, STAT_rebalance, 1, 1);
    stat_add(c->o.stats, STAT_assignment_lost, lost);
    stat_put(c->o.stats, STAT_ingest_partitions, 0);
    for (unsigned n = 0; n < KEYS_SLOTS_MAX; n++) {
        struct slot *s = &c->slots[n];

        if (s->state == SLOT_NONE) {
            continue;
        }
        slot_revoked(s);
        if (c->fetch[n].shard) {
            writer_drop(c->fetch[n].shard->writer, n, s->epoch);
            c->fetch[n].shard = NULL;
        }
        c->fetch[n].held = false;
    }
}

static void take_message(void *arg, struct message *m)
{
    struct consume *c = arg;
    unsigned n = m->slot;
    struct slot *s = n < KEYS_SLOTS_MAX ? &c->slots[n] : NULL;
    uint8_t digest[SHA256_SIZE] = { 0 };
    struct slot_action a = { SLOT_DO_DROP, 0 };

    if (s && s->state == SLOT_CHECKING && m->offset == s->expected && sha256(m->value, digest) != 0) {
        (void)pofr_err_set(&c->fatal, POFR_ENOMEM, "digest of a message");
        s = NULL;
    }
    if (s) {
        a = slot_message(s, m->offset, digest);
        c->fetch[n].still = 0;
    }
    if (a.what == SLOT_DO_ENQUEUE) {
        uint64_t bytes = m->value.len;

        c->fetch[n].patience = STALL_MIN;
        writer_append(c->fetch[n].shard->writer, s->epoch, m);
        queue_changed(c, n, (int64_t)bytes);
        return;
    }
    if (a.what == SLOT_DO_SEEK || a.what == SLOT_DO_LOAD) {
        log_warn("consume", "offset_jump", "slot=%u expected=%lld got=%lld", n, (long long)s->expected,
                 (long long)m->offset);
        stat_add(c->o.stats, STAT_ingest_offset_gap, m->offset > s->expected);
        stat_add(c->o.stats, STAT_ingest_reseek, 1);
    }
    message_free(m);
    if (s) {
        carry_out(c, n, a);
    }
}

static void fatal(void *arg, const char *text)
{
    struct consume *c = arg;

    (void)pofr_err_set(&c->fatal, POFR_ESYSTEM, "%s", text);
}

/* --- answers --------------------------------------------------------------------------------------------------------- */

static void take_event(struct consume *c, struct shard *shard, const struct writer_event *e)
{
    struct slot *s = &c->slots[e->slot];
    const struct store_position *at = e->found ? &e->at : NULL;
    bool current = e->epoch == s->epoch && c->fetch[e->slot].shard == shard;

    switch (e->kind) {
    case WRITER_LOADED:
        if (current) {
            if (at) {
                kafka_note_offset(c->kafka, e->slot, at->next_offset);
            }
            carry_out(c, e->slot, slot_loaded(s, at));
        }
        break;
    case WRITER_JUMPED:
        if (current) {
            carry_out(c, e->slot, slot_jumped(s, at));
        }
        break;
    case WRITER_STORED:
        if (current) {
            kafka_note_offset(c->kafka, e->slot, e->at.next_offset);
        }
        break;
    case WRITER_FENCED:
        if (current) {
            carry_out(c, e->slot, slot_fenced(s));
        }
        break;
    case WRITER_TAKEN:
        queue_changed(c, e->slot, -(int64_t)e->bytes);
        break;
    case WRITER_HELD:
    case WRITER_FREED:
        if (current) {
            c->fetch[e->slot].held = e->kind == WRITER_HELD;
            steer(c, e->slot);
        }
        break;
    case WRITER_UP:
    case WRITER_DOWN:
        pthread_mutex_lock(&c->figures_lock);
        shard->up = e->kind == WRITER_UP;
        pthread_mutex_unlock(&c->figures_lock);
        steer_all(c);
        break;
    case WRITER_KEY:
        errands_key(c->errands, &e->key);
        break;
    case WRITER_FATAL:
        (void)pofr_err_set(&c->fatal, POFR_ESYSTEM, "a shard's thread ended");
        break;
    }
}

static void take_answers(struct consume *c)
{
    struct errand done;

    for (size_t i = 0; i < CONSUME_SHARDS; i++) {
        struct shard *s = &c->shards[i];
        struct writer_event e;
        struct store_aside *list;

        if (!s->id) {
            continue;
        }
        while (writer_event(s->writer, &e)) {
            take_event(c, s, &e);
        }
        list = writer_unrelayed(s->writer);
        if (list) {
            errands_relay(c->errands, s->writer, list);
        }
    }
    while (errands_answer(c->errands, &done)) {
        if (done.kind == ERRAND_RELAY) {
            writer_relayed(done.writer, done.list);
        } else if (done.kind == ERRAND_LIMITS && done.epoch == c->slots[done.slot].epoch) {
            carry_out(c, done.slot, slot_limits(&c->slots[done.slot], done.low, done.high));
        }
    }
}

/* --- rounds ------------------------------------------------------------------------------------------------------------ */

/*
 * To the service manager: this thread turns, and so does every shard's. A shard that is away is no reason: its thread tries
 * again, and that is all that it should do.
 */
static void tell_progress(struct consume *c, int64_t now)
{
    bool stuck = false;

    for (size_t i = 0; i < CONSUME_SHARDS; i++) {
        struct shard *s = &c->shards[i];
        uint64_t beats = s->id ? writer_beats(s->writer) : 0;

        if (!s->id || s->beat.since_us == 0 || beats != s->beat.count) {
            s->beat = (struct beat){ beats, now };
        } else if (now - s->beat.since_us > STUCK_US) {
            log_error("consume", "writer_stuck", "shard=%s seconds=%lld", s->at.name,
                      (long long)((now - s->beat.since_us) / CLOCK_US_PER_S));
            stuck = true;
        }
    }
    if (!stuck && service_watchdog_us() > 0 && now >= c->watchdog_due_us) {
        service_watchdog();
        c->watchdog_due_us = now + service_watchdog_us() / 2;
    }
}

/*
 * A slot that is fetched, and from which nothing comes though its log does not end where the slot stands: the log was cut to
 * nothing or replaced by a shorter one, or librdkafka lost its place. Less and less often, as a broker may just be slow.
 */
static void look_for_stall(struct consume *c, unsigned n)
{
    struct slot *s = &c->slots[n];
    struct fetch *f = &c->fetch[n];
    int64_t end = s->state == SLOT_NONE || f->paused ? -1 : kafka_end(c->kafka, n);

    if (end < 0 || (s->state == SLOT_ACTIVE && end == s->expected)) {
        f->still = 0;
    } else if (++f->still >= f->patience) {
        log_warn("consume", "stalled", "slot=%u expected=%lld end=%lld", n, (long long)s->expected, (long long)end);
        stat_add(c->o.stats, STAT_ingest_reseek, 1);
        f->still = 0;
        f->patience = f->patience < STALL_MAX / 2 ? f->patience * 2 : STALL_MAX;
        carry_out(c, n, slot_stalled(s));
    }
}

static void look_around(struct consume *c)
{
    bool changed = atomic_exchange(&c->catalog_changed, false);

    consume_count_pauses(c); /* first: one that is unmapped is loading again after the next lines */
    consume_tell(c);
    for (unsigned n = 0; n < KEYS_SLOTS_MAX; n++) {
        if (c->slots[n].state == SLOT_UNMAPPED || (changed && c->slots[n].state != SLOT_NONE)) {
            look_at_map(c, n);
        }
        look_for_stall(c, n);
    }
    for (size_t i = 0; i < CONSUME_SHARDS && changed; i++) {
        if (c->shards[i].id) {
            writer_sync(c->shards[i].writer);
        }
    }
}

bool consume_wants_anew(const struct consume *c)
{
    return c->anew && !atomic_load(&c->stop);
}

static const char *joined(const struct conf_list *list, char *to, size_t size)
{
    size_t at = 0;

    to[0] = 0;
    for (size_t i = 0; i < list->count && at < size; i++) {
        at += (size_t)snprintf(to + at, size - at, "%s%s", i ? "," : "", list->items[i]);
    }
    return to;
}

int consume_new(const struct consume_options *o, struct consume **out, struct pofr_err *err)
{
    struct consume *c = calloc(1, sizeof(*c));
    const struct worker_conf *conf = o->conf;
    const struct kafka_events events = { c, assigned, revoked, take_message, fatal };
    struct kafka_options ko = { .access = &conf->kafka,
                                .topic = conf->topic,
                                .group = conf->group,
                                .instance_id = conf->instance_id,
                                .program = o->name,
                                .queue_bytes = conf->queue_bytes };
    struct errands_options eo = {
        .deadletter = conf->deadletter, .catalog = o->catalog, .stats = o->stats, .wake = wake, .arg = c
    };
    int code;

    if (!c) {
        return pofr_err_set(err, POFR_ENOMEM, "consumer");
    }
    c->o = *o;
    pthread_mutex_init(&c->figures_lock, NULL);
    tls_watch_init(&c->watch, &conf->kafka.tls); /* before they are read: what comes after is noticed */
    ko.brokers = joined(&conf->brokers, c->brokers, sizeof(c->brokers));
    eo.kafka = ko;
    eo.kafka.topic = conf->topic;
    for (unsigned n = 0; n < KEYS_SLOTS_MAX; n++) {
        c->fetch[n].seek_to = -1;
    }
    code = kafka_consumer_new(&ko, &events, &c->kafka, err);
    if (code == 0) {
        code = errands_start(&eo, &c->errands, err);
    }
    if (code == 0) {
        code = tell_start(&o->catalog, o->name, &c->tell, err);
    }
    if (code) {
        errands_stop(c->errands);
        kafka_consumer_close(c->kafka, 0);
        free(c);
        return code;
    }
    *out = c;
    return 0;
}

int consume_run(struct consume *c, struct pofr_err *err)
{
    while (!atomic_load(&c->stop) && c->fatal.code == 0 && !c->anew) {
        int64_t now;

        kafka_poll(c->kafka, POLL_MS);
        take_answers(c);
        now = clock_mono_us();
        if (now >= c->rounds_at_us || atomic_load(&c->catalog_changed)) {
            c->rounds_at_us = now + ROUNDS_US;
            look_around(c);
            tell_progress(c, now);
            consume_look_at_files(c, now);
        }
    }
    if (c->fatal.code) {
        *err = c->fatal;
    }
    return c->fatal.code;
}

void consume_stop(struct consume *c)
{
    atomic_store(&c->stop, true);
}

void consume_catalog_changed(struct consume *c)
{
    atomic_store(&c->catalog_changed, true);
}

/* The last offsets that were stored, for whoever looks at lag; then nothing is ours any more. */
static void stop_writers(struct consume *c)
{
    int64_t limit_us = atomic_load(c->o.drain_us);
    int64_t due = clock_mono_us() + limit_us;

    for (size_t i = 0; i < CONSUME_SHARDS; i++) {
        if (c->shards[i].id) {
            writer_stop(c->shards[i].writer);
        }
    }
    for (size_t i = 0; i < CONSUME_SHARDS; i++) {
        int64_t left = due - clock_mono_us();

        if (c->shards[i].id && !writer_join(c->shards[i].writer, left > 0 ? left : 1)) {
            log_error("consume", "drain_timeout", "shard=%s", c->shards[i].at.name);
            log_flush();
            _Exit(3); /* it holds messages of librdkafka: nothing can be taken apart in order any more */
        }
        c->shards[i].id = 0;
    }
}

void consume_free(struct consume *c)
{
    if (!c) {
        return;
    }
    for (unsigned n = 0; n < KEYS_SLOTS_MAX; n++) {
        if (c->slots[n].state != SLOT_NONE && !c->fetch[n].paused) {
            kafka_pause(c->kafka, n);
            c->fetch[n].paused = true;
        }
    }
    tell_stop(c->tell);
    errands_stop(c->errands); /* before the writers, whose lists it may have */
    stop_writers(c);
    for (unsigned n = 0; n < KEYS_SLOTS_MAX; n++) {
        c->slots[n].state = SLOT_NONE; /* what still comes is dropped */
        c->fetch[n].shard = NULL;
    }
    kafka_consumer_close(c->kafka, LEAVE_MS);
    pthread_mutex_destroy(&c->figures_lock);
    free(c);
}
