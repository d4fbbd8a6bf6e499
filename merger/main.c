/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main.c -- pofr-merger: a timer, two signals, one pass after the other. */
#include <signal.h>
#include <stdio.h>

#include "common/base/compiler.h"
#include "common/db/db.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/os/loop.h"
#include "common/os/metrics_http.h"
#include "common/os/options.h"
#include "common/os/service.h"
#include "merger/merger.h"
#include "merger/stats.h"

struct program {
    struct loop *loop;
    struct loop_timer timer;
    struct conf *conf;
    struct merger *merger;
    volatile bool stop;
};

static const struct merger_conf *values(const struct program *p)
{
    return conf_values(p->conf);
}

static void on_timer(void *arg)
{
    struct program *p = arg;

    merger_pass(p->merger, &p->stop);
    service_watchdog(); /* progress, not time: a pass that hangs is noticed */
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
    p->stop = true;
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
        conf_free(p->conf);
        p->conf = fresh;
    }
    service_ready();
}

static bool ready(void *arg, char *reason, size_t size)
{
    return merger_is_ready(arg, reason, size);
}

static const struct {
    int number;
    loop_signal_fn fn;
} signals[] = { { SIGTERM, on_stop }, { SIGINT, on_stop }, { SIGHUP, on_reload } };

static int run(struct program *p, struct stat_set *stats, struct metrics_http **http, struct pofr_err *err)
{
    struct metrics_http_options o = { .address = values(p)->metrics_listen, .stats = stats, .ready = ready };
    int code = service_setup(err);

    if (!code) {
        code = merger_new(values(p), stats, &p->merger, err);
    }
    if (!code) {
        code = loop_new(&p->loop, err);
    }
    for (size_t i = 0; i < pofr_countof(signals) && !code; i++) {
        code = loop_signal_add(p->loop, signals[i].number, signals[i].fn, p, err);
    }
    if (!code && o.address[0]) {
        o.arg = p->merger;
        code = metrics_http_start(&o, http, err);
    }
    if (!code) {
        code = loop_timer_after(p->loop, &p->timer, 0, on_timer, p);
    }
    if (!code) {
        log_info("merger", "started", "version=%s name=%s", POFR_VERSION, values(p)->name);
        service_ready();
        code = loop_run(p->loop, err);
    }
    return code;
}

int main(int argc, char **argv)
{
    const char *libraries[] = { db_library(), NULL };
    const struct options_spec spec = {
        .program = "pofr-merger",
        .what = "Keeps the shards' tables in shape: days ahead, retention, names of hosts, unused strings.",
        .synopsis = "",
        .conf = &merger_conf_table,
        .libraries = libraries,
    };
    struct options options = { 0 };
    struct program p = { 0 };
    struct stat_set *stats = NULL;
    struct metrics_http *http = NULL;
    struct pofr_err err = { 0 };
    int code, rc;

    if (!options_parse(&spec, argc, argv, &options, &rc)) {
        return rc;
    }
    p.conf = options.conf;
    code = stat_new(merger_stats, MERGER_STATS, &stats, &err);
    if (!code) {
        code = run(&p, stats, &http, &err);
    }
    if (code) {
        fprintf(stderr, "pofr-merger: %s\n", err.text[0] ? err.text : pofr_err_text(code));
    }
    metrics_http_stop(http);
    loop_timer_cancel(p.loop, &p.timer);
    loop_free(p.loop);
    merger_free(p.merger);
    stat_free(stats);
    conf_free(p.conf);
    return options_exit_of(code);
}
