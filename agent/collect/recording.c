/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TICK   news of the writer; drain events; read both clocks; events into the state; look at processes, sockets,
 *          facts; gaps, findings, coverage, own figures; a keyframe where one is due; close the tick.
 * Threads: the capture thread owns all; c->lock protects published figures and the list of recorder pids.
 */
#include "agent/collect/recording.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/collect/coverage.h"
#include "agent/collect/keyframe.h"
#include "agent/look/gate.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/log.h"

#define TICK_APART     128u /* at least, between two ticks' moments */
#define PART_BYTES     (160u * 1024u)
#define GAP_TICKS_US   UINT64_C(1000000)  /* ticks missing for so long are a gap */
#define KEYFRAME_APART UINT64_C(10000000) /* after gaps, not more often */
#define SHIPPERS_MAX   64u

struct recording {
    struct recording_conf conf;
    struct agent_conf options;
    struct state *state;
    struct pack *pack;
    struct sources *sources;
    struct coverage coverage;
    uint64_t t, t_before; /* boot clock of this tick, of the one before */
    uint64_t keyframe_us; /* of the last one; 0: none yet */
    bool keyframe_wanted;
    enum rec_keyframe_reason keyframe_reason;
    bool first;    /* no look of this run yet */
    bool restored; /* the state goes on where the last run was */
    bool lean;
    bool ended;
    uint32_t shipper;        /* the last one's pid; 0: none yet */
    uint8_t key_to_tell[32]; /* of this tick's record */
    uint64_t lean_untold;    /* records left out since it began */
    uint64_t lean_stripped, lean_since_us;
    struct recording_figures figures;
    char texts[DRAFT_NOTES_MAX][256]; /* of this tick's gap records */
    char finding_text[96];
    char left_text[512], left_told[512]; /* of the last keyframe; empty: nothing to tell */
    uint64_t unannounced;                /* told of so many */

    pthread_mutex_t lock;
    struct recording_figures published;
    uint32_t shippers[SHIPPERS_MAX]; /* pids not told to the state yet */
    unsigned shippers_len;
    uint8_t next_key[32];
    bool next_key_told, next_key_set;
};

/* --- start ------------------------------------------------------------------------------------------------- */

static int restore_one(const struct record *open, void *ctx)
{
    return state_restore(ctx, open);
}

/* What the state tells: ids that occur get their names. */
static int emit(void *ctx, const struct record *r)
{
    struct recording *c = ctx;

    if (r->entity == REC_PROCESS && r->verb == REC_START) {
        sources_ids(c->sources, &r->process);
    }
    return pack_put(c->pack, r);
}

static int make_state(struct recording *c, struct pofr_err *err)
{
    struct state_conf sc = {
        .emit = emit, .ctx = c, .exec_grace_us = 2 * c->options.tick_us + 100000, .files_max = 1u << 20
    };
    int rc = fsio_random(sc.string_key, sizeof(sc.string_key), err);

    memcpy(sc.hash_key, c->conf.hash_key, sizeof(sc.hash_key));
    if (rc == 0) {
        rc = state_new(&sc, &c->state);
    }
    if (rc == 0 && c->conf.before != NULL) {
        rc = snapshot_each(c->conf.before, 0, restore_one, c->state);
        state_restored(c->state, c->conf.start.head.to_boot_us);
        c->restored = true;
    }
    c->conf.before = NULL;
    return rc != 0 ? pofr_err_set(err, rc, "state: %s", pofr_err_text(rc)) : 0;
}

/* Ourselves; and the process that started us, where it is the same program (pofr-agent run). */
static void mark_ourselves(struct recording *c)
{
    struct stat own, parents;
    char path[64];

    state_recorder(c->state, (uint32_t)getpid());
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)getppid());
    if (stat("/proc/self/exe", &own) == 0 && stat(path, &parents) == 0 && own.st_dev == parents.st_dev &&
        own.st_ino == parents.st_ino) {
        state_recorder(c->state, (uint32_t)getppid());
    }
}

int recording_new(const struct recording_conf *conf, struct recording **out_recording, struct pofr_err *err)
{
    struct recording *c = calloc(1, sizeof(*c));
    struct pack_conf pc = { .writer = conf->writer,
                            .boot = conf->boot,
                            .close_bytes = conf->options->bundle_size,
                            .close_us = (uint64_t)conf->options->bundle_age_us };
    int rc;

    if (c == NULL) {
        sources_close(conf->sources);
        return pofr_err_set(err, POFR_ENOMEM, "recording");
    }
    c->conf = *conf;
    c->options = *conf->options;
    c->sources = conf->sources;
    c->first = true;
    (void)pthread_mutex_init(&c->lock, NULL);
    memcpy(pc.run, conf->run, sizeof(pc.run));
    memcpy(pc.hash_key, conf->hash_key, sizeof(pc.hash_key));
    rc = pack_new(&pc, &c->pack);
    if (rc == 0) {
        rc = make_state(c, err);
    }
    if (rc == 0) {
        mark_ourselves(c);
    }
    if (rc != 0) {
        recording_free(c);
        return rc;
    }
    *out_recording = c;
    return 0;
}

void recording_free(struct recording *c)
{
    if (c == NULL) {
        return;
    }
    sources_close(c->sources);
    state_free(c->state);
    pack_free(c->pack);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

/* --- what stands in a tick besides intervals ------------------------------------------------------------------ */

static void want_keyframe(struct recording *c, enum rec_keyframe_reason reason)
{
    if (!c->keyframe_wanted) {
        c->keyframe_reason = reason;
    }
    c->keyframe_wanted = true;
}

static int put_gap(struct recording *c, const struct rec_gap *gap)
{
    struct record r = { .kind = REC_GAP, .gap = *gap };

    want_keyframe(c, REC_KEYFRAME_GAP);
    return pack_put(c->pack, &r);
}

static int put_finding(struct recording *c, const char *kind, const char *detail)
{
    struct record r = { .kind = REC_FINDING };

    r.finding = (struct rec_finding){ .at = c->t, .kind = slice_str(kind), .detail = slice_str(detail) };
    return pack_put(c->pack, &r);
}

/* The first tick says what lies between the last bundle on disk and now. */
static int tell_start(struct recording *c)
{
    const struct spool_start *start = &c->conf.start;
    const struct spool_head *head = &start->head;
    struct rec_gap gap = { .to = c->t, .kind = start->clean ? REC_GAP_STOPPED : REC_GAP_CRASH };
    int rc = 0;

    if (start->recovered_lost) {
        pack_lost(c->pack, STATEMENT_LOST_CRASH, start->lost_records);
        gap.kind = REC_GAP_CRASH;
        gap.lost = start->lost_records;
    }
    if (head->sequence > 0) {
        if (uuid_eq(&head->boot, &c->conf.boot)) {
            gap.from = head->to_boot_us < c->t ? head->to_boot_us : c->t;
        } else {
            gap.from_boot = slice_of(head->boot.b, sizeof(head->boot.b));
            gap.from_wall_us = head->to_wall_us;
        }
        rc = put_gap(c, &gap);
    }
    if (rc == 0 && start->past == SPOOL_PAST_LOST) {
        gap = (struct rec_gap){ .to = c->t, .kind = REC_GAP_STATE };
        rc = put_gap(c, &gap);
    }
    if (rc == 0 && start->past == SPOOL_PAST_REBUILT) {
        rc = put_finding(c, "head_rebuilt", "the chain's head was lost and found again in the last bundle");
    }
    if (rc == 0 && !c->restored &&
        (start->past == SPOOL_PAST_LOST || (head->sequence > 0 && uuid_eq(&head->boot, &c->conf.boot)))) {
        rc = put_finding(c, "state_lost", "the last state of this boot is not on disk: numbers and parents begin anew");
    }
    want_keyframe(c, REC_KEYFRAME_START);
    c->keyframe_reason = REC_KEYFRAME_START;
    return rc;
}

/* The spool ran into its last tenth, or out of it. */
static int tell_lean(struct recording *c, bool lean)
{
    struct state_figures f;
    struct rec_gap gap;

    state_figures(c->state, &f);
    if (lean && !c->lean) {
        c->lean_untold = f.untold;
        c->lean_stripped = f.stripped;
        c->lean_since_us = c->t_before != 0 ? c->t_before : c->t;
        log_warn("collect", "lean", "files=0 arguments=0");
    } else if (!lean && c->lean) {
        gap = (struct rec_gap){
            .from = c->lean_since_us, .to = c->t, .kind = REC_GAP_SPOOL, .lost = f.untold - c->lean_untold
        };
        log_info("collect", "lean_over", "untold=%llu stripped=%llu", (unsigned long long)gap.lost,
                 (unsigned long long)(f.stripped - c->lean_stripped));
        pack_lost(c->pack, STATEMENT_LOST_SPOOL, gap.lost);
        pack_lost(c->pack, STATEMENT_LOST_ARGUMENTS, f.stripped - c->lean_stripped);
        c->keyframe_us = 0; /* in this very tick: it tells the files that began meanwhile */
        return put_gap(c, &gap);
    }
    return 0;
}

static int tell_news(struct recording *c, const struct writer_news *news)
{
    struct pack_loss loss;
    int rc = 0;

    for (unsigned i = 0; i < news->refusals_len && rc == 0; i++) {
        const struct writer_refusal *r = &news->refusals[i];
        struct rec_gap gap = {
            .from = c->t, .to = c->t, .kind = REC_GAP_REFUSED, .lost = r->records, .sequence = r->sequence
        };

        memcpy(c->texts[i], r->reason, sizeof(c->texts[i]));
        gap.digest = slice_of(r->digest, sizeof(r->digest));
        gap.reason = slice_str(c->texts[i]);
        pack_lost(c->pack, STATEMENT_LOST_REFUSED, r->records);
        pack_note(c->pack, r->sequence);
        rc = put_gap(c, &gap);
    }
    if (rc == 0 && news->refused_any) {
        want_keyframe(c, REC_KEYFRAME_GAP); /* the writer itself told the gap */
    }
    if (rc == 0 && pack_take_loss(c->pack, &loss)) {
        rc = put_gap(
            c, &(struct rec_gap){
                   .from = loss.from_boot_us, .to = loss.to_boot_us, .kind = REC_GAP_WRITER, .lost = loss.records });
    }
    return rc;
}

static int tell_skipped(struct recording *c, uint64_t skipped)
{
    if (skipped == 0) {
        return 0;
    }
    c->figures.skipped += skipped;
    c->figures.overruns++;
    pack_lost(c->pack, STATEMENT_LOST_TICKS, skipped);
    if (skipped * (uint64_t)c->options.tick_us < GAP_TICKS_US || c->t_before == 0) {
        return 0;
    }
    return put_gap(c, &(struct rec_gap){ .from = c->t_before, .to = c->t, .kind = REC_GAP_TICKS, .lost = 0 });
}

static uint64_t memory_of(uint32_t pid)
{
    struct buf b = BUF_INIT(4096);
    const char *second = NULL; /* "size resident ...", in pages */
    uint64_t pages;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%u/statm", pid);
    if (fsio_read(path, &b, NULL) == 0 && buf_cstr(&b) != NULL) {
        second = strchr(buf_cstr(&b), ' ');
    }
    pages = second != NULL ? strtoull(second, NULL, 10) : 0;
    buf_free(&b);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t cpu_of(uint32_t pid)
{
    uint64_t ns = 0;

    return gate_clock(pid, &ns) == 0 ? ns / 1000 : 0;
}

static int put_recorder(struct recording *c)
{
    struct record r = { .kind = REC_RECORDER };
    struct writer_figures wf = { 0 };
    uint32_t own = (uint32_t)getpid();

    if (c->conf.writer != NULL) {
        writer_figures(c->conf.writer, &wf);
    }
    r.recorder = (struct rec_recorder){
        .tick_us = (uint64_t)c->options.tick_us,
        .cpu_collect_us = cpu_of(own),
        .cpu_ship_us = c->shipper != 0 ? cpu_of(c->shipper) : 0,
        .memory_bytes = memory_of(own) + (c->shipper != 0 ? memory_of(c->shipper) : 0),
        .ticks = c->figures.ticks,
        .overruns = c->figures.overruns,
        .skipped = c->figures.skipped,
        .reconciled = c->figures.reconciled,
        .reconcile_wrong = c->figures.state.reconcile_wrong,
        .spool_bytes = wf.bytes,
        .spool_limit = wf.limit,
        .spool_oldest = wf.oldest,
        .spool_acked = wf.acked,
        .blocked_looks = c->figures.blocked_looks,
        .version = slice_str(POFR_VERSION),
    };
    return pack_put(c->pack, &r);
}

static bool keyframe_is_due(const struct recording *c)
{
    if (c->lean) {
        return false; /* it would be full of files; leaving lean brings one */
    }
    if (c->keyframe_wanted) {
        return c->keyframe_us == 0 || c->t - c->keyframe_us >= KEYFRAME_APART;
    }
    return c->t - c->keyframe_us >= (uint64_t)c->options.keyframe_us;
}

static int put_keyframe(struct recording *c)
{
    enum rec_keyframe_reason reason = c->keyframe_wanted ? c->keyframe_reason : REC_KEYFRAME_PERIOD;
    struct keyframe_left left;
    int rc = keyframe_put(c->state, c->pack, c->conf.hash_key, reason, PART_BYTES, &left);

    if (rc == 0) {
        c->keyframe_us = c->t;
        c->keyframe_wanted = false;
        c->figures.keyframes++;
    }
    if (left.processes > 0) { /* nothing may follow a keyframe in its tick: the next one tells it */
        keyframe_left_text(&left, c->left_text, sizeof(c->left_text));
        log_warn("collect", "keyframe_cut", "what=\"%s\"", c->left_text);
    }
    return rc;
}

/* --- the tick -------------------------------------------------------------------------------------------------- */

static void take_shippers(struct recording *c)
{
    (void)pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < c->shippers_len; i++) {
        c->shipper = c->shippers[i];
        state_recorder(c->state, c->shipper);
    }
    c->shippers_len = 0;
    (void)pthread_mutex_unlock(&c->lock);
}

static int tell_next_key(struct recording *c)
{
    struct record r = { .kind = REC_KEYCHANGE };
    bool tell;

    (void)pthread_mutex_lock(&c->lock);
    tell = c->next_key_set && !c->next_key_told;
    c->next_key_told = c->next_key_set;
    memcpy(c->key_to_tell, c->next_key, sizeof(c->key_to_tell));
    (void)pthread_mutex_unlock(&c->lock);
    if (!tell) {
        return 0;
    }
    r.keychange.public_key = slice_of(c->key_to_tell, sizeof(c->key_to_tell));
    return pack_put(c->pack, &r);
}

static void publish(struct recording *c, uint64_t look_us)
{
    state_figures(c->state, &c->figures.state);
    pack_figures(c->pack, &c->figures.pack);
    c->figures.look_us = look_us;
    c->figures.look_us_max = look_us > c->figures.look_us_max ? look_us : c->figures.look_us_max;
    c->figures.tick_boot_us = c->t;
    c->figures.lean = c->lean;
    (void)pthread_mutex_lock(&c->lock);
    c->published = c->figures;
    (void)pthread_mutex_unlock(&c->lock);
}

static int tell_left(struct recording *c)
{
    if (c->left_text[0] == '\0') {
        return 0;
    }
    memcpy(c->left_told, c->left_text, sizeof(c->left_told)); /* another keyframe may follow in this tick */
    c->left_text[0] = '\0';
    return put_finding(c, "keyframe_cut", c->left_told);
}

static int tell_before_look(struct recording *c, const struct writer_news *news, uint64_t skipped)
{
    int rc = 0;

    if (c->first) {
        rc = tell_start(c);
    }
    if (rc == 0) {
        rc = tell_lean(c, news->lean);
    }
    if (rc == 0) {
        rc = tell_news(c, news);
    }
    if (rc == 0) {
        rc = tell_next_key(c);
    }
    if (rc == 0) {
        rc = tell_left(c);
    }
    return rc != 0 ? rc : tell_skipped(c, skipped);
}

static void count_look(struct recording *c, const struct sources_result *result)
{
    c->figures.reconciled += result->reconciled;
    c->figures.blocked_looks += result->blocked;
    c->figures.vanished += result->vanished;
    c->figures.unannounced += result->unannounced;
    c->figures.left_behind = result->left_behind;
    pack_lost(c->pack, STATEMENT_LOST_BLOCKED, result->blocked);
    pack_lost(c->pack, STATEMENT_LOST_EVENTS, result->events_lost);
    pack_lost(c->pack, STATEMENT_LOST_ARGUMENTS, result->arguments_lost);
}

/* Processes in /proc of which no event told, though events lost nothing. */
static int tell_unannounced(struct recording *c)
{
    struct state_figures f;
    uint64_t n;

    state_figures(c->state, &f);
    n = f.unannounced - c->unannounced;
    c->unannounced = f.unannounced;
    if (n == 0) {
        return 0;
    }
    snprintf(c->finding_text, sizeof(c->finding_text), "%llu processes were in /proc and in no event",
             (unsigned long long)n);
    return put_finding(c, "unannounced", c->finding_text);
}

static int tell_after_look(struct recording *c, bool last)
{
    bool closing = last || pack_due(c->pack);
    int rc = 0;

    state_settle(c->state, last || keyframe_is_due(c));
    if (last) {
        rc = coverage_end(&c->coverage, c->t, pack_put, c->pack);
    } else {
        rc = coverage_tick(&c->coverage, c->t, c->t_before != 0 ? c->t_before : c->t, closing, pack_put, c->pack);
    }
    if (rc == 0 && (closing || c->first)) {
        rc = put_recorder(c);
    }
    if (rc == 0 && !last && keyframe_is_due(c)) {
        rc = put_keyframe(c);
    }
    return rc;
}

static int one_tick(struct recording *c, uint64_t skipped, bool last, struct pofr_err *err)
{
    struct writer_news news = { 0 };
    struct sources_result result = { 0 };
    int64_t began = clock_mono_us();
    uint64_t boot_us, wall_us, look_us;
    int rc, end_rc;

    if (c->conf.writer != NULL) {
        writer_news(c->conf.writer, &news);
    }
    take_shippers(c);
    sources_drain(c->sources, c->state, &result);
    boot_us = (uint64_t)clock_boot_us();
    wall_us = (uint64_t)clock_wall_us();
    c->t_before = c->t;
    c->t = boot_us > c->t + TICK_APART ? boot_us : c->t + TICK_APART;
    if (c->first && c->restored && c->t <= c->conf.start.head.to_boot_us + TICK_APART) {
        c->t = c->conf.start.head.to_boot_us + TICK_APART;
    }
    pack_tick(c->pack, c->t, wall_us, skipped);
    rc = tell_before_look(c, &news, skipped);
    c->lean = news.lean;
    state_tick_begin(c->state, c->t, c->lean);
    if (rc == 0) {
        sources_look(c->sources, c->state, &c->coverage, c->first && !c->restored, &result);
        count_look(c, &result);
        coverage_report(&c->coverage, "tick", "timer", skipped > 0 ? "the look or the machine was too slow" : NULL, 1,
                        skipped, false);
        rc = tell_unannounced(c);
        rc = rc != 0 ? rc : tell_after_look(c, last);
    }
    look_us = (uint64_t)(clock_mono_us() - began);
    if (rc == 0) {
        rc = pack_tick_end(c->pack, look_us);
    }
    end_rc = state_tick_end(c->state);
    rc = rc != 0 ? rc : end_rc;
    c->figures.ticks++;
    c->first = false;
    publish(c, look_us);
    return rc != 0 ? pofr_err_set(err, rc, "tick: %s", pofr_err_text(rc)) : 0;
}

int recording_tick(struct recording *c, uint64_t skipped, struct pofr_err *err)
{
    return one_tick(c, skipped, false, err);
}

int recording_end(struct recording *c, struct pofr_err *err)
{
    int rc = c->first || c->ended ? 0 : one_tick(c, 0, true, err);

    c->ended = true;
    if (rc == 0) {
        rc = pack_close(c->pack);
    }
    return rc;
}

void recording_options(struct recording *c, const struct agent_conf *options)
{
    c->options = *options;
    pack_limits(c->pack, options->bundle_size, (uint64_t)options->bundle_age_us);
    sources_options(c->sources, options);
}

void recording_shipper(struct recording *c, uint32_t pid)
{
    (void)pthread_mutex_lock(&c->lock);
    if (c->shippers_len < SHIPPERS_MAX) {
        c->shippers[c->shippers_len++] = pid;
    }
    (void)pthread_mutex_unlock(&c->lock);
}

void recording_next_key(struct recording *c, const uint8_t public_key[32])
{
    (void)pthread_mutex_lock(&c->lock);
    if (!c->next_key_set || memcmp(c->next_key, public_key, sizeof(c->next_key)) != 0) {
        memcpy(c->next_key, public_key, sizeof(c->next_key));
        c->next_key_set = true;
        c->next_key_told = false;
    }
    (void)pthread_mutex_unlock(&c->lock);
}

void recording_figures(struct recording *c, struct recording_figures *out)
{
    (void)pthread_mutex_lock(&c->lock);
    *out = c->published;
    (void)pthread_mutex_unlock(&c->lock);
}
