/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "merger/program.h"

#include <signal.h>
#include <stdio.h>

#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/os/loop.h"
#include "common/os/metrics_http.h"
#include "common/os/service.h"
#include "common/tls/tls_expiry.h"
#include "merger/merger.h"
#include "merger/stats.h"
#include "merger/watch.h"

struct program {
    struct loop *loop;
    struct loop_timer timer, idle;
    struct conf *first, *conf; /* at the start, and now */
    struct merger *merger;
    struct watch *watch;
};

static const struct merger_conf *values(const struct program *p)
{
    return conf_values(p->conf);
}

/* During a pass the loop does not turn, so a signal waits there. */
static bool is_asked_to_end(void)
{
    sigset_t waiting;

    return sigpending(&waiting) == 0 && (sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGINT) == 1);
}

/* Between passes nothing is to be done, and that goes well while the loop turns. In a pass each step tells by itself. */
static void on_idle(void *arg)
{
    struct program *p = arg;

    service_watchdog();
    if (loop_timer_after(p->loop, &p->idle, service_watchdog_us(), on_idle, p)) {
        log_error("merger", "timer_failed", "error=\"out of memory\"");
        loop_stop(p->loop);
    }
}

static void on_timer(void *arg)
{
    struct program *p = arg;

    merger_pass(p->merger, is_asked_to_end);
    service_watchdog();
    if (loop_timer_after(p->loop, &p->timer, values(p)->period, on_timer, p)) {
        log_error("merger", "timer_failed", "error=\"out of memory\"");
        loop_stop(p->loop);
    }
}

static void on_stop(int signo, void *arg)
{
    struct program *p = arg;

    (void)signo;
    service_stopping();
    loop_stop(p->loop);
}

static void on_change(const char *section, const char *name, const char *before, const char *after, void *arg)
{
    (void)arg;
    log_info("merger", "option_changed", "option=%s.%s before=\"%s\" after=\"%s\"", section, name, before, after);
}

static void on_reload(int signo, void *arg)
{
    struct program *p = arg;
    struct conf *fresh = NULL;
    struct pofr_err err = { 0 };

    (void)signo;
    service_reloading();
    if (conf_reload(p->conf, on_change, NULL, &fresh, &err)) {
        log_error("merger", "reload_refused", "error=\"%s\"", err.text);
    } else {
        merger_set_conf(p->merger, conf_values(fresh));
        conf_free(p->conf != p->first ? p->conf : NULL);
        p->conf = fresh;
    }
    service_ready();
}

static size_t held(void *arg, struct watch_shard *out, size_t max)
{
    return merger_shards_held(arg, out, max);
}

static bool ready(void *arg, char *reason, size_t size)
{
    return merger_is_ready(arg, reason, size);
}

static const struct {
    int number;
    loop_signal_fn fn;
} signals[] = { { SIGTERM, on_stop }, { SIGINT, on_stop }, { SIGHUP, on_reload } };

/* Another thread: what it reads is never freed before it, and these options are not reloaded. */
static void write_more(struct buf *out, void *arg)
{
    const struct program *p = arg;
    const struct merger_conf *c = conf_values(p->first);
    const struct tls_use uses[] = { { "kafka", &c->kafka.tls },
                                    { "catalog", &c->catalog_tls },
                                    { "shard", &c->shard_tls } };

    watch_metrics(out, p->watch);
    tls_expiry_write(uses, pofr_countof(uses), out);
}

static int start(struct program *p, struct stat_set *stats, struct metrics_http **http, struct pofr_err *err)
{
    struct metrics_http_options o = { .address = values(p)->metrics_listen, .stats = stats, .ready = ready };
    struct watch_options wo = { .conf = values(p), .shards = held };
    int code = service_setup(err);

    if (!code) {
        code = merger_new(values(p), stats, &p->merger, err);
        wo.arg = p->merger;
    }
    if (!code) {
        code = loop_new(&p->loop, err);
    }
    for (size_t i = 0; i < pofr_countof(signals) && !code; i++) {
        code = loop_signal_add(p->loop, signals[i].number, signals[i].fn, p, err);
    }
    if (!code) {
        code = watch_start(&wo, &p->watch, err);
    }
    if (!code && o.address[0]) {
        o.arg = p->merger;
        stat_set_extra(stats, write_more, p);
        code = metrics_http_start(&o, http, err);
    }
    if (!code) {
        code = loop_timer_after(p->loop, &p->timer, 0, on_timer, p);
    }
    if (!code) {
        log_info("merger", "started", "version=%s name=%s", POFR_VERSION, values(p)->name);
        service_ready();
        if (service_watchdog_us() > 0) {
            on_idle(p);
        }
        code = loop_run(p->loop, err);
    }
    return code;
}

int program_run(struct conf *conf, struct pofr_err *err)
{
    struct program p = { .first = conf, .conf = conf };
    struct stat_set *stats = NULL;
    struct metrics_http *http = NULL;
    int code = stat_new(merger_stats, MERGER_STATS, &stats, err);

    if (!code) {
        code = start(&p, stats, &http, err);
    }
    metrics_http_stop(http);
    watch_stop(p.watch);
    loop_timer_cancel(p.loop, &p.timer);
    loop_timer_cancel(p.loop, &p.idle);
    loop_free(p.loop);
    merger_free(p.merger);
    stat_free(stats);
    conf_free(p.conf != p.first ? p.conf : NULL);
    conf_free(p.first);
    return code;
}
