/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kept simple on purpose: an unsorted array of what is open, walked for everything.
 *
 * A tick's records stand in this order: TICK, ends and changes, beginnings, what came and went, singles,
 * keyframe. An END after the START of the same slot in one tick occurs only for what came and went.
 */
#include "tests/support/random_world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/random_world_dress.h"

#define PIDS    400U
#define FDS     12U
#define TICK_US 300000U

void random_world_init(struct random_world *w, uint64_t seed, unsigned size)
{
    memset(w, 0, sizeof(*w));
    w->random.state = seed;
    w->size = size;
    w->wall_us = UINT64_C(1700000000000000) + random_below(&w->random, 1000000000);
    random_world_reboot(w);
}

static void new_key(struct random_world *w)
{
    for (size_t i = 0; i < sizeof(w->key); i++) {
        w->key[i] = (uint8_t)random_u64(&w->random);
    }
}

void random_world_reboot(struct random_world *w)
{
    w->open_len = 0;
    w->boot_us = 3000000 + random_below(&w->random, 2000000);
    w->wall_us += 30000000;
    w->jiffies = 100;
    w->next_cookie = 1;
    new_key(w);
    random_world_start(w, false);
    w->last_us = 0;
}

void random_world_start(struct random_world *w, bool with_state)
{
    w->first_look = true;
    w->unseen = !with_state;
    w->last_us = w->boot_us;
    w->before_us = with_state ? w->boot_us : 0;
    w->ticks = 0;
    for (size_t i = 0; i < w->open_len;) { /* coverage is a run's own */
        if (w->open[i].entity == REC_COVERAGE) {
            w->open[i] = w->open[--w->open_len];
        } else {
            i++;
        }
    }
}

/* --- slots ---------------------------------------------------------------------------------------- */

static bool holds(const struct record *list, size_t len, const struct record *r)
{
    for (size_t i = 0; i < len; i++) {
        if (rec_compare_id(&list[i], r) == 0) {
            return true;
        }
    }
    return false;
}

static struct record *any_process(struct random_world *w)
{
    size_t at = w->open_len ? random_below(&w->random, w->open_len) : 0;

    for (size_t i = 0; i < w->open_len; i++) {
        struct record *r = &w->open[(at + i) % w->open_len];

        if (r->entity == REC_PROCESS) {
            return r;
        }
    }
    return NULL;
}

static bool pid_is_open(const struct random_world *w, uint64_t pid)
{
    for (size_t i = 0; i < w->open_len; i++) {
        if (w->open[i].entity == REC_PROCESS && w->open[i].process.pid == pid) {
            return true;
        }
    }
    return false;
}

/* --- new things ----------------------------------------------------------------------------------- */

static bool name_process(struct random_world *w, struct record *r)
{
    const struct record *parent = any_process(w);

    r->process.pid = 1 + random_below(&w->random, PIDS);
    r->process.start_jiffies = w->jiffies;
    r->process.start_number = random_below(&w->random, 2);
    if (pid_is_open(w, r->process.pid)) {
        return false;
    }
    if (parent) {
        r->process.ppid = parent->process.pid;
        r->process.parent_known = 1;
        r->process.parent_start_jiffies = parent->process.start_jiffies;
        r->process.parent_start_number = parent->process.start_number;
    }
    return true;
}

/* A new thing of an entity, with a slot that is free. False: there is no room for one. */
static bool make(struct random_world *w, unsigned entity, struct record *r)
{
    const struct record *owner = any_process(w);

    memset(r, 0, sizeof(*r));
    r->kind = REC_KIND(entity, REC_START);
    r->entity = (uint16_t)entity;
    if (entity == REC_PROCESS) {
        if (!name_process(w, r)) {
            return false;
        }
    } else if (entity == REC_FILE && owner) {
        r->file.pid = owner->process.pid;
        r->file.start_jiffies = owner->process.start_jiffies;
        r->file.start_number = owner->process.start_number;
        r->file.fd = random_below(&w->random, FDS);
        r->file.command = owner->process.command;
    } else if (entity == REC_SOCKET) {
        r->socket.netns = 4026531840U + random_below(&w->random, 3);
        r->socket.cookie = w->next_cookie++;
        if (owner && random_chance(&w->random, 80)) {
            r->socket.pid = owner->process.pid;
            r->socket.start_jiffies = owner->process.start_jiffies;
            r->socket.start_number = owner->process.start_number;
            r->socket.command = owner->process.command;
        }
    } else if (entity >= REC_USER) {
        random_world_name_fact(w, r);
    } else {
        return false;
    }
    random_world_dress(w, r);
    return !holds(w->open, w->open_len, r) && !holds(w->ended, w->ended_len, r) && w->open_len < RANDOM_WORLD_OPEN &&
           w->ended_len < RANDOM_WORLD_ENDED;
}

/* --- begin and end -------------------------------------------------------------------------------- */

static uint64_t between(struct random_world *w, uint64_t low, uint64_t high)
{
    return low + random_below(&w->random, high - low + 1);
}

static uint64_t hash_of(struct random_world *w, const struct record *r)
{
    struct buf scratch = BUF_INIT(2 * REC_BODY_MAX);
    uint64_t hash = rec_hash(r, w->key, &scratch);

    assert(scratch.err == 0);
    buf_free(&scratch);
    return hash;
}

static int begin(struct random_world *w, struct record *r, uint64_t first_seen, random_world_fn fn, void *ctx)
{
    r->iv.first_seen = first_seen;
    w->open[w->open_len++] = *r;
    return fn(r, ctx);
}

static int end(struct random_world *w, struct record *r, uint64_t source, uint64_t last_seen, uint64_t ended,
               random_world_fn fn, void *ctx)
{
    struct record e = *r;

    e.kind = REC_KIND(e.entity, REC_END);
    e.verb = REC_END;
    e.iv.last_seen = last_seen;
    e.iv.ended = ended;
    e.iv.end_source = source;
    e.iv.hash = hash_of(w, r);
    if (e.entity == REC_PROCESS && source == REC_END_EXIT) {
        e.process.exit_known = 1;
        e.process.exit_status = random_below(&w->random, 3) << 8;
        e.process.cpu_us = random_magnitude(&w->random) >> 20;
    }
    if (e.entity == REC_SOCKET) {
        e.socket.bytes_known = 1;
        e.socket.bytes_sent = random_magnitude(&w->random) >> 8;
    }
    if (e.entity == REC_COVERAGE) {
        e.coverage.seen = random_below(&w->random, 1000);
        e.coverage.lost = random_below(&w->random, 2);
    }
    if (w->ended_len < RANDOM_WORLD_ENDED) {
        w->ended[w->ended_len++] = e;
    }
    *r = w->open[--w->open_len];
    return fn(&e, ctx);
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* It ends in this tick: the kernel told when, or the look no longer shows it. */
static int end_somehow(struct random_world *w, struct record *r, random_world_fn fn, void *ctx)
{
    uint64_t shown = max_u64(r->iv.first_seen, w->before_us);

    if (random_chance(&w->random, 50)) {
        uint64_t ended = between(w, shown, w->boot_us);

        return end(w, r, r->entity == REC_PROCESS ? REC_END_EXIT : REC_END_CLOSE, ended, ended, fn, ctx);
    }
    return end(w, r, REC_END_GONE, shown, w->boot_us, fn, ctx);
}

static bool belongs_to(const struct record *r, const struct rec_process *p)
{
    return (r->entity == REC_FILE && r->file.pid == p->pid && r->file.start_jiffies == p->start_jiffies &&
            r->file.start_number == p->start_number) ||
           (r->entity == REC_SOCKET && r->socket.pid == p->pid && r->socket.start_jiffies == p->start_jiffies &&
            r->socket.start_number == p->start_number);
}

/* What a process holds ends with it. */
static int end_with_all(struct random_world *w, struct record *r, random_world_fn fn, void *ctx)
{
    struct rec_process p = r->process;
    bool process = r->entity == REC_PROCESS;
    int rc = end_somehow(w, r, fn, ctx);

    for (size_t i = 0; process && rc == 0 && i < w->open_len;) {
        if (belongs_to(&w->open[i], &p)) {
            rc = end_somehow(w, &w->open[i], fn, ctx); /* the last one is now here */
        } else {
            i++;
        }
    }
    return rc;
}

static int change(struct random_world *w, struct record *r, random_world_fn fn, void *ctx)
{
    struct record next = *r;
    uint64_t at = between(w, max_u64(r->iv.first_seen, w->before_us), w->boot_us);
    bool exec = r->entity == REC_PROCESS && random_chance(&w->random, 50);
    int rc;

    random_world_dress(w, &next);
    next.iv.start_unseen = 0;
    if (rec_same_attributes(r, &next) || at == r->iv.first_seen) {
        return 0;
    }
    rc = end(w, r, exec ? REC_END_EXEC : REC_END_CHANGE, max_u64(r->iv.first_seen, w->before_us), at, fn, ctx);
    return rc ? rc : begin(w, &next, at, fn, ctx);
}

/* --- a tick --------------------------------------------------------------------------------------- */

static int put_tick(struct random_world *w, random_world_fn fn, void *ctx)
{
    uint64_t skipped = random_chance(&w->random, 3) ? random_below(&w->random, 5) : 0;
    uint64_t step = TICK_US * (skipped + 1) + random_below(&w->random, 1000);
    struct record r = { .kind = REC_TICK };

    if (!w->first_look || !w->unseen) {
        w->before_us = w->boot_us;
    }
    step += w->first_look ? random_below(&w->random, 5000000) : 0;
    w->boot_us += step;
    w->wall_us += step;
    w->jiffies = w->boot_us / 10000;
    w->ended_len = 0;
    r.tick = (struct rec_tick){ .boot_us = w->boot_us,
                                .wall_us = w->wall_us,
                                .look_us = random_below(&w->random, 9000),
                                .skipped = skipped,
                                .number = w->ticks++ };
    return fn(&r, ctx);
}

static int ends_and_changes(struct random_world *w, random_world_fn fn, void *ctx)
{
    unsigned percent = w->first_look ? 20 : 4; /* while no collector ran, more came and went */

    for (size_t i = 1; i < w->open_len;) { /* the first one is pid 1 */
        size_t before = w->open_len;
        int rc = 0;

        if (w->open[i].iv.first_seen <= w->before_us && random_chance(&w->random, percent)) {
            rc =
                random_chance(&w->random, 60) ? end_with_all(w, &w->open[i], fn, ctx) : change(w, &w->open[i], fn, ctx);
        }
        if (rc != 0) {
            return rc;
        }
        i += w->open_len >= before; /* where one went, the last one has come to its place */
    }
    return 0;
}

static bool is_first_look(const struct random_world *w)
{
    return w->first_look && w->unseen;
}

/* A boot's first process is there before all others, and until its end; what looks for processes finds it first. */
static int begin_boot(struct random_world *w, random_world_fn fn, void *ctx)
{
    struct record r;

    if (w->open_len > 0 || !make(w, REC_PROCESS, &r)) {
        return 0;
    }
    r.process.pid = 1;
    r.iv.start_unseen = is_first_look(w);
    return begin(w, &r, w->boot_us, fn, ctx);
}

/* When a new thing is said to have begun: behind the look before, if there was one. */
static uint64_t begins_at(struct random_world *w)
{
    if (is_first_look(w)) {
        return w->boot_us;
    }
    return between(w, w->before_us + 1, w->boot_us);
}

static int begin_some(struct random_world *w, random_world_fn fn, void *ctx)
{
    static const unsigned entities[] = { REC_FILE,   REC_FILE,  REC_FILE,    REC_SOCKET,   REC_SOCKET,
                                         REC_USER,   REC_GROUP, REC_NETINT,  REC_NETROUTE, REC_HOSTINFO,
                                         REC_HWINFO, REC_LOGIN, REC_COVERAGE };
    unsigned processes = 0;
    uint64_t wanted = is_first_look(w) ? w->size * 6 : random_below(&w->random, 8);

    for (size_t i = 0; i < w->open_len; i++) {
        processes += w->open[i].entity == REC_PROCESS;
    }
    for (; wanted > 0; wanted--) {
        bool process = processes < w->size && random_chance(&w->random, 40);
        unsigned entity =
            process ? REC_PROCESS : entities[random_below(&w->random, sizeof(entities) / sizeof(entities[0]))];
        struct record r;
        int rc;

        if (!make(w, entity, &r)) {
            continue;
        }
        processes += process;
        r.iv.start_unseen = is_first_look(w);
        rc = begin(w, &r, begins_at(w), fn, ctx);
        if (rc == 0 && !is_first_look(w) && random_chance(&w->random, 10)) { /* came and went */
            rc = end_somehow(w, &w->open[w->open_len - 1], fn, ctx);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* A run without state: what was open is met as if never seen; part of it is gone, and nobody says so. */
static int meet_again(struct random_world *w, random_world_fn fn, void *ctx)
{
    int rc = 0;

    for (size_t i = 0; i < w->open_len && rc == 0;) {
        struct record *r = &w->open[i];

        if (i > 0 && random_chance(&w->random, 20)) {
            *r = w->open[--w->open_len];
            continue;
        }
        if (random_chance(&w->random, 10)) {
            random_world_dress(w, r);
        }
        r->iv.first_seen = w->boot_us;
        r->iv.start_unseen = 1;
        rc = fn(r, ctx);
        i++;
    }
    return rc;
}

static int singles(struct random_world *w, random_world_fn fn, void *ctx)
{
    struct record r = { .kind = REC_FINDING };
    int rc = 0;

    if (random_chance(&w->random, 5)) {
        r.finding = (struct rec_finding){ .at = between(w, w->before_us, w->boot_us),
                                          .kind = slice_str("hidden_process"),
                                          .detail = slice_str("/proc/17") };
        rc = fn(&r, ctx);
    }
    if (rc == 0 && random_chance(&w->random, 5)) {
        r = (struct record){ .kind = REC_RECORDER };
        r.recorder.tick_us = TICK_US;
        r.recorder.ticks = w->ticks;
        r.recorder.version = slice_str("0.1.0");
        rc = fn(&r, ctx);
    }
    if (rc == 0 && w->first_look && w->last_us > 0) {
        r = (struct record){ .kind = REC_GAP };
        r.gap.from = w->last_us;
        r.gap.to = w->boot_us;
        r.gap.kind = w->unseen ? REC_GAP_STATE : REC_GAP_STOPPED;
        rc = fn(&r, ctx);
    }
    return rc;
}

/* --- keyframe ------------------------------------------------------------------------------------- */

static void sum_up(struct random_world *w, struct rec_keyframe *k)
{
    for (size_t i = 0; i < w->open_len; i++) {
        const struct record *r = &w->open[i];
        uint64_t hash = hash_of(w, r);

        if (r->entity == REC_PROCESS) {
            k->process_count++;
            k->process_digest += hash;
        } else if (r->entity == REC_FILE) {
            k->file_count++;
            k->file_digest += hash;
        } else if (r->entity == REC_SOCKET) {
            k->socket_count++;
            k->socket_digest += hash;
        } else if (r->entity != REC_COVERAGE) {
            k->fact_count++;
            k->fact_digest += hash;
        }
    }
}

static bool in_part(const struct rec_keyframe *k, const struct record *r)
{
    if (k->entity == REC_PROCESS) {
        uint64_t pid = r->entity == REC_PROCESS ? r->process.pid : r->file.pid;

        return (r->entity == REC_PROCESS || r->entity == REC_FILE) && pid >= k->low && pid <= k->high;
    }
    if (k->entity == REC_SOCKET) {
        return r->entity == REC_SOCKET && r->socket.netns >= k->low && r->socket.netns <= k->high;
    }
    return r->entity >= REC_USER && r->entity != REC_COVERAGE;
}

static int put_part(struct random_world *w, struct rec_keyframe *k, random_world_fn fn, void *ctx)
{
    struct record r = { .kind = REC_KEYFRAME, .keyframe = *k };
    int rc = fn(&r, ctx);

    for (size_t i = 0; i < w->open_len && rc == 0; i++) {
        if (in_part(k, &w->open[i])) {
            r = w->open[i];
            r.kind = REC_KIND(r.entity, REC_SIGHT);
            r.verb = REC_SIGHT;
            rc = fn(&r, ctx);
        }
    }
    k->part++;
    return rc;
}

/* Ranges of one group from 0 to the end, cut at random places below limit. */
static int put_ranges(struct random_world *w, struct rec_keyframe *k, unsigned cuts, uint64_t base, uint64_t limit,
                      uint64_t end_of_range, random_world_fn fn, void *ctx)
{
    int rc = 0;

    k->low = 0;
    while (rc == 0 && cuts > 0) {
        uint64_t cut = base + random_below(&w->random, limit);

        cuts--;
        if (cut > k->low) {
            k->high = cut;
            rc = put_part(w, k, fn, ctx);
            k->low = cut + 1;
        }
    }
    k->high = end_of_range;
    return rc ? rc : put_part(w, k, fn, ctx);
}

static int keyframe_of(struct random_world *w, unsigned parts, random_world_fn fn, void *ctx)
{
    struct rec_keyframe k = { .reason = w->first_look ? REC_KEYFRAME_START : REC_KEYFRAME_PERIOD,
                              .entity = REC_PROCESS,
                              .hash_key = slice_of(w->key, sizeof(w->key)) };
    int rc;

    sum_up(w, &k);
    rc = put_ranges(w, &k, parts, 0, PIDS, UINT32_MAX, fn, ctx);
    k.entity = REC_SOCKET;
    k.high_cookie = UINT64_MAX;
    rc = rc ? rc : put_ranges(w, &k, parts / 2, 4026531840U, 3, UINT64_MAX, fn, ctx);
    k.entity = REC_USER;
    k.low = k.high = k.high_cookie = 0;
    k.last = 1;
    return rc ? rc : put_part(w, &k, fn, ctx);
}

int random_world_tick(struct random_world *w, bool keyframe, unsigned parts, random_world_fn fn, void *ctx)
{
    int rc = put_tick(w, fn, ctx);

    rc = rc ? rc : singles(w, fn, ctx);
    if (rc == 0) {
        rc = is_first_look(w) ? meet_again(w, fn, ctx) : ends_and_changes(w, fn, ctx);
    }
    rc = rc ? rc : begin_boot(w, fn, ctx);
    rc = rc ? rc : begin_some(w, fn, ctx);
    if (rc == 0 && (keyframe || w->first_look)) {
        rc = keyframe_of(w, parts, fn, ctx);
    }
    w->first_look = false;
    return rc;
}

int random_world_stop(struct random_world *w, random_world_fn fn, void *ctx)
{
    int rc = 0;

    for (size_t i = 0; i < w->open_len && rc == 0;) {
        if (w->open[i].entity == REC_COVERAGE) {
            rc = end(w, &w->open[i], REC_END_CHANGE, w->boot_us, w->boot_us, fn, ctx);
        } else {
            i++;
        }
    }
    return rc;
}

/* --- truth ---------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    return rec_compare_id(a, b);
}

void random_world_bytes(struct random_world *w, struct buf *out)
{
    qsort(w->open, w->open_len, sizeof(w->open[0]), compare);
    for (size_t i = 0; i < w->open_len; i++) {
        rec_canonical(&w->open[i], REC_CANONICAL_ID | REC_CANONICAL_AT | REC_CANONICAL_FX | REC_CANONICAL_FIRST_SEEN,
                      out);
    }
}
