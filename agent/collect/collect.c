/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pofr-agent collect: put the parts together, run until a signal.
 *
 * START   options, service, lock, identity, spool (and what a crash left), last state, writer's thread, looks, socket's thread,
 *         rights given up, ready, ticks. STOP is the same backwards.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/agent_conf.h"
#include "agent/collect/recording.h"
#include "agent/collect/ipc_server.h"
#include "agent/collect/restore.h"
#include "agent/collect/sandbox.h"
#include "agent/collect/spool.h"
#include "agent/collect/tick.h"
#include "agent/collect/writer.h"
#include "agent/commands.h"
#include "agent/identity.h"
#include "agent/machine.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "common/os/loop.h"
#include "common/os/options.h"
#include "common/os/service.h"

#define STOP_LIMIT_US INT64_C(10000000)
#define RETRY_US      INT64_C(1000000)
#define NEXT_KEYS_MAX 8
#define LOCK          "collector.lock" /* in the state folder */

struct run {
    struct options options;
    struct conf *first; /* lives as long as we do: spool and IPC have borrowed its folders */
    const struct agent_conf *conf;
    struct uuid host, boot;
    uint8_t run[16], hash_key[16];
    struct sshkey *key;
    int lock_fd;
    struct spool_start start;
    struct snapshot *before;
    struct sources *sources;                 /* until the recording has them */
    struct sshkey *next_keys[NEXT_KEYS_MAX]; /* each that was there in this run: one may be in use */
    unsigned next_keys_len;
    struct writer *writer;
    struct recording *recording;
    _Atomic(struct ipc_server *) ipc; /* the writer's thread looks whether it is there yet */
    struct loop *loop;
    struct loop_timer timer, watchdog;
    struct tick tick;
    bool stopping;
    int failed; /* code that ended the loop */
};

static int read_boot(struct uuid *out, struct pofr_err *err)
{
    struct buf b = BUF_INIT(256);
    int rc = fsio_read("/proc/sys/kernel/random/boot_id", &b, err);

    if (rc == 0 && uuid_parse(slice_trim(buf_slice(&b)), out) != 0) {
        rc = pofr_err_set(err, POFR_EFORMAT, "boot_id is no uuid");
    }
    buf_free(&b);
    return rc;
}

static void on_commit(void *ctx)
{
    struct run *r = ctx;
    struct ipc_server *ipc = r->ipc;

    if (ipc != NULL) {
        ipc_server_news(ipc);
    }
}

static int read_identity(struct run *r, struct pofr_err *err)
{
    int rc = identity_read_uuid(r->conf->state_dir, &r->host, err);

    if (rc == POFR_ENOTFOUND) {
        (void)pofr_err_prefix(err, "this host is not enrolled (pofr-agent enrol)");
    }
    if (rc == 0) {
        rc = identity_read_key(r->conf->state_dir, IDENTITY_KEY, &r->key, err);
    }
    if (rc == 0) {
        rc = read_boot(&r->boot, err);
    }
    return rc != 0 ? rc : fsio_random(r->run, sizeof(r->run), err);
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* The state of this boot goes on, if the spool still has it; its key for the sums goes on in any case. */
static int take_last_state(struct run *r, struct spool *spool, struct pofr_err *err)
{
    struct spool_head *head = &r->start.head;
    uint8_t key[16] = { 0 };
    struct pofr_err why = { 0 };
    bool same_boot = head->sequence > 0 && uuid_eq(&head->boot, &r->boot);
    int rc = POFR_ENOTFOUND;

    if (same_boot) {
        rc = restore_snapshot(&spool->segments, head, &r->before, key, &why);
        if (rc == POFR_ENOTFOUND) {
            log_warn("collect", "state_lost", "error=\"%s\"", why.text);
        } else if (rc != 0) {
            *err = why;
            return rc;
        }
    }
    memcpy(r->hash_key, head->hash_key, sizeof(r->hash_key));
    if (rc == 0) {
        memcpy(r->hash_key, key, sizeof(r->hash_key));
    } else if (!same_boot || is_zero(r->hash_key, sizeof(r->hash_key))) {
        return fsio_random(r->hash_key, sizeof(r->hash_key), err);
    }
    return 0;
}

static struct writer_limits limits_of(const struct agent_conf *c)
{
    return (struct writer_limits){ .segments = { .total = c->spool_limit, .segment = c->segment_size },
                                   .refused = c->refused_limit,
                                   .queue = c->queue_limit };
}

static int open_spool(struct run *r, struct pofr_err *err)
{
    struct writer_limits limits = limits_of(r->conf);
    struct spool_conf sc = { .state_dir = r->conf->state_dir,
                             .refused_limit = limits.refused,
                             .host = r->host,
                             .key = r->key,
                             .limits = limits.segments };
    struct writer_conf wc = { .queue_limit = limits.queue, .retry_us = RETRY_US, .on_commit = on_commit, .ctx = r };
    struct spool spool;
    int rc;

    memcpy(sc.run, r->run, sizeof(sc.run));
    rc = spool_open(&sc, &spool, &r->start, err);
    if (rc != 0) {
        return rc;
    }
    rc = take_last_state(r, &spool, err);
    if (rc == 0) {
        rc = writer_start(&wc, &spool, &r->writer, err);
    }
    if (rc != 0) {
        spool_close(&spool, false);
    }
    return rc;
}

static int start_recording(struct run *r, struct pofr_err *err)
{
    struct recording_conf cc = { .options = r->conf,
                                 .sources = r->sources,
                                 .writer = r->writer,
                                 .boot = r->boot,
                                 .start = r->start,
                                 .before = r->before };
    int rc;

    memcpy(cc.run, r->run, sizeof(cc.run));
    memcpy(cc.hash_key, r->hash_key, sizeof(cc.hash_key));
    r->sources = NULL;
    rc = recording_new(&cc, &r->recording, err);
    snapshot_free(r->before);
    r->before = NULL;
    return rc;
}

static void on_tick(void *arg)
{
    struct run *r = arg;
    struct pofr_err err = { 0 };
    int rc;

    if (r->stopping) {
        return; /* the last tick follows */
    }
    rc = recording_tick(r->recording, tick_begin(&r->tick, clock_mono_us()), &err);
    if (rc == 0) {
        rc = loop_timer_set(r->loop, &r->timer, r->tick.due_us, on_tick, r);
    }
    if (rc != 0) {
        log_error("collect", "failed", "error=\"%s\"", err.text);
        r->failed = rc;
        loop_stop(r->loop);
    }
}

/* Well is: every tick that was due has been made, and the next is not long overdue. Ticks run on this thread too. */
static void tell_progress(void *arg)
{
    struct run *r = arg;
    int64_t every_us = service_watchdog_us() / 2;

    if (clock_mono_us() <= r->tick.due_us + every_us) {
        service_watchdog();
    }
    if (loop_timer_after(r->loop, &r->watchdog, every_us, tell_progress, r) != 0) {
        log_error("collect", "no_memory", "what=timer"); /* systemd will start us again */
    }
}

static void on_stop(int signo, void *arg)
{
    struct run *r = arg;

    log_info("collect", "stopping", "signal=%d", signo);
    r->stopping = true;
    loop_stop(r->loop);
}

static void on_change(const char *section, const char *name, const char *before, const char *after, void *arg)
{
    (void)arg;
    log_info("collect", "option_changed", "section=%s name=%s before=\"%s\" after=\"%s\"", section, name, before,
             after);
}

/* A key that shall follow the present one: told in a record, and to the shipper. */
static void look_for_next_key(struct run *r)
{
    struct pofr_err err = { 0 };
    struct sshkey *key = NULL;
    int rc = identity_read_key(r->conf->state_dir, IDENTITY_KEY_NEXT, &key, &err);

    if (rc == POFR_ENOTFOUND) {
        return;
    }
    if (rc != 0) {
        log_error("collect", "next_key_unusable", "error=\"%s\"", err.text);
        return;
    }
    for (unsigned i = 0; i < r->next_keys_len; i++) {
        if (memcmp(sshkey_public(r->next_keys[i]), sshkey_public(key), 32) == 0) {
            sshkey_free(key);
            return;
        }
    }
    if (r->next_keys_len == NEXT_KEYS_MAX) {
        log_error("collect", "next_key_unusable", "error=\"too many keys in one run: start it anew\"");
        sshkey_free(key);
        return;
    }
    r->next_keys[r->next_keys_len++] = key;
    recording_next_key(r->recording, sshkey_public(key));
    ipc_server_next_key(r->ipc, key);
}

static void on_reload(int signo, void *arg)
{
    struct run *r = arg;
    struct pofr_err err = { 0 };
    struct writer_limits limits;
    struct conf *fresh;

    (void)signo;
    if (conf_reload(r->options.conf, on_change, NULL, &fresh, &err) != 0) {
        log_error("collect", "reload_refused", "error=\"%s\"", err.text);
        return;
    }
    service_reloading();
    conf_free(r->options.conf != r->first ? r->options.conf : NULL);
    r->options.conf = fresh;
    r->conf = conf_values(fresh);
    limits = limits_of(r->conf);
    recording_options(r->recording, r->conf);
    writer_limits(r->writer, &limits);
    tick_period(&r->tick, r->conf->tick_us, clock_mono_us());
    if (loop_timer_set(r->loop, &r->timer, r->tick.due_us, on_tick, r) != 0) {
        r->failed = POFR_ENOMEM;
        loop_stop(r->loop);
    }
    look_for_next_key(r);
    service_ready();
    log_info("collect", "reloaded", "");
}

static int start_loop(struct run *r, struct pofr_err *err)
{
    int rc = loop_new(&r->loop, err);

    if (rc == 0) {
        rc = loop_signal_add(r->loop, SIGTERM, on_stop, r, err);
    }
    if (rc == 0) {
        rc = loop_signal_add(r->loop, SIGINT, on_stop, r, err);
    }
    return rc != 0 ? rc : loop_signal_add(r->loop, SIGHUP, on_reload, r, err);
}

static int take_lock(struct run *r, struct pofr_err *err)
{
    char path[PATH_MAX];
    int rc = fsio_mkdirs(r->conf->state_dir, 0750, err);

    if (rc == 0 && snprintf(path, sizeof(path), "%s/%s", r->conf->state_dir, LOCK) >= (int)sizeof(path)) {
        rc = pofr_err_set(err, POFR_ETOOBIG, "%s: path too long", r->conf->state_dir);
    }
    return rc != 0 ? rc : fsio_lock(path, &r->lock_fd, err);
}

static int start_ipc(struct run *r, struct pofr_err *err)
{
    struct ipc_server_conf ic = { .runtime_dir = r->conf->runtime_dir,
                                  .state_dir = r->conf->state_dir,
                                  .shipper_user = r->conf->shipper_user,
                                  .host = r->host,
                                  .boot = r->boot,
                                  .key = r->key,
                                  .writer = r->writer,
                                  .recording = r->recording };
    struct ipc_server *ipc = NULL;
    int rc;

    memcpy(ic.run, r->run, sizeof(ic.run));
    rc = ipc_server_start(&ic, &ipc, err);
    if (rc == 0) {
        r->ipc = ipc;
    }
    return rc;
}

static int start(struct run *r, struct pofr_err *err)
{
    int rc = service_setup(err);

    if (rc == 0 && r->conf->container && machine_join(err) != 0) { /* the record is poorer by names */
        log_warn("collect", "machine_not_joined", "error=\"%s\"", err->text);
    }
    if (rc == 0) {
        (void)service_raise_nofile(65536);
        rc = take_lock(r, err);
    }
    if (rc == 0) {
        rc = read_identity(r, err);
    }
    if (rc == 0) {
        rc = start_loop(r, err); /* blocks signals: before any thread */
    }
    if (rc == 0) {
        rc = sources_new(r->conf, &r->sources, err);
    }
    if (rc == 0) {
        rc = sandbox_user(r->conf, err);
    }
    if (rc == 0) {
        rc = sources_open(r->sources, err);
    }
    if (rc == 0) {
        rc = open_spool(r, err);
    }
    if (rc == 0) {
        rc = start_recording(r, err);
    }
    if (rc == 0) {
        rc = start_ipc(r, err);
    }
    if (rc == 0) {
        look_for_next_key(r);
    }
    if (rc == 0 && r->conf->sandbox) {
        rc = sandbox_calls(err);
    }
    return rc;
}

static bool stop(struct run *r, bool clean)
{
    struct pofr_err err = { 0 };

    service_stopping();
    if (clean && r->recording != NULL && recording_end(r->recording, &err) != 0) {
        log_error("collect", "end_failed", "error=\"%s\"", err.text);
    }
    ipc_server_stop(r->ipc);
    clean = writer_stop(r->writer, STOP_LIMIT_US) && clean;
    ipc_server_free(r->ipc);
    recording_free(r->recording);
    sources_close(r->sources);
    if (r->loop != NULL) {
        loop_timer_cancel(r->loop, &r->timer);
        loop_timer_cancel(r->loop, &r->watchdog);
    }
    loop_free(r->loop);
    snapshot_free(r->before);
    sshkey_free(r->key);
    for (unsigned i = 0; i < r->next_keys_len; i++) {
        sshkey_free(r->next_keys[i]);
    }
    fsio_close(&r->lock_fd);
    conf_free(r->options.conf != r->first ? r->options.conf : NULL);
    conf_free(r->first);
    log_info("collect", "ended", "clean=%d", clean);
    log_flush();
    return clean;
}

int collect_main(int argc, char **argv)
{
    static const struct options_spec spec = {
        .program = "pofr-agent collect",
        .what = "Record what this machine does: capture, sign, keep until the gateway has it.",
        .synopsis = "",
        .conf = &agent_conf_table,
    };
    struct run r = { .lock_fd = -1 };
    struct pofr_err err = { 0 };
    int exit_code, rc;

    if (!options_parse(&spec, argc, argv, &r.options, &exit_code)) {
        return exit_code;
    }
    r.first = r.options.conf;
    r.conf = conf_values(r.options.conf);
    rc = start(&r, &err);
    if (rc == 0) {
        tick_init(&r.tick, r.conf->tick_us, clock_mono_us());
        rc = loop_timer_set(r.loop, &r.timer, r.tick.due_us, on_tick, &r);
    }
    if (rc == 0) {
        log_info("collect", "started", "sequence=%llu restored=%d", (unsigned long long)r.start.head.sequence,
                 r.start.head.sequence > 0 && uuid_eq(&r.start.head.boot, &r.boot));
        service_ready();
        if (service_watchdog_us() > 0) {
            tell_progress(&r);
        }
        rc = loop_run(r.loop, &err);
        rc = rc != 0 ? rc : r.failed;
    } else {
        log_error("collect", "not_started", "error=\"%s\"", err.text);
    }
    if (!stop(&r, rc == 0) && rc == 0) {
        rc = POFR_ESYSTEM;
    }
    return options_exit_of(rc);
}
