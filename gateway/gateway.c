/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: this file is the main thread: signals, figures, health, Kafka's topic. It serves no session, so it
 * may wait. Lanes serve sessions; catalog.c and common/catalog have one thread each; metrics_http has one;
 * librdkafka has its own.
 *
 * ORDER  host key, state, copy of the catalog, topic, sockets, rights dropped, lanes, metrics, ready. The end
 * is the same backwards: the lanes drain, then the catalog's threads end, then what they used goes.
 */
#include "gateway/gateway.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/catalog/keys.h"
#include "common/kafka/topic_check.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "common/os/metrics_http.h"
#include "common/os/service.h"
#include "gateway/catalog.h"
#include "gateway/gateway_parts.h"
#include "gateway/hostkey.h"
#include "gateway/hosts.h"
#include "gateway/lane.h"
#include "gateway/limits.h"
#include "gateway/reports.h"
#include "gateway/wanted.h"

#define LANES_BY_ITSELF   8
#define FILES_FOR_OTHERS  1024u
#define CATALOG_CONNECT_S 3
#define CATALOG_IO_S      5
#define SLACK_US          (60 * CLOCK_US_PER_S) /* what a start or an end takes beside the waiting that is configured */

/* --- parts, in the order of their making -------------------------------------------------------------- */

static int take_names(struct gateway *g, struct pofr_err *err)
{
    size_t used = 0, i;
    int n;

    snprintf(g->name, sizeof(g->name), "%s", g->c->name);
    if (!g->name[0] && gethostname(g->name, sizeof(g->name) - 1) != 0) {
        return pofr_err_sys(err, POFR_ESYSTEM, "the machine's name");
    }
    for (i = 0; i < g->c->brokers.count; i++) {
        n = snprintf(g->brokers + used, sizeof(g->brokers) - used, "%s%s", i > 0 ? "," : "", g->c->brokers.items[i]);
        if (n < 0 || (size_t)n >= sizeof(g->brokers) - used) {
            return pofr_err_set(err, POFR_ECONFIG, "[kafka] brokers: too long");
        }
        used += (size_t)n;
    }
    return hostport_parse(slice_str(g->c->catalog_address), 3306, &g->catalog_at); /* was checked with the file */
}

static int open_state(struct gateway *g, struct pofr_err *err)
{
    char path[4096], fingerprint[64];
    int rc;

    rc = fsio_mkdirs(g->c->state_dir, 0750, err);
    if (rc == 0) {
        snprintf(path, sizeof(path), "%s/lock", g->c->state_dir);
        rc = fsio_lock(path, &g->lock_fd, err);
    }
    if (rc == 0) {
        rc = hostkey_open(g->c->host_key_file, &g->host_key, fingerprint, err);
    }
    if (rc == 0) {
        log_info("gateway", "host_key", "fingerprint=%s", fingerprint);
    }
    return rc;
}

static struct db_address catalog_address(const struct gateway *g)
{
    struct db_address a = { 0 };

    a.host = g->catalog_at.host;
    a.port = g->catalog_at.port;
    a.user = g->c->catalog_user;
    a.password_file = g->c->catalog_password_file;
    a.database = g->c->catalog_database;
    a.tls = g->c->catalog_tls;
    a.connect_timeout_s = CATALOG_CONNECT_S;
    a.io_timeout_s = CATALOG_IO_S;
    return a;
}

/* Any thread that refreshes. */
static void on_keys_changed(void *arg)
{
    struct gateway *g = (struct gateway *)arg;
    unsigned i;

    for (i = 0; i < g->lanes_count; i++) {
        lane_keys_changed(g->lanes[i]);
    }
}

static int open_keys(struct gateway *g, struct pofr_err *err)
{
    struct keys_options o = { 0 };
    int rc;

    snprintf(g->catalog_file, sizeof(g->catalog_file), "%s/catalog", g->c->state_dir);
    o.catalog = catalog_address(g);
    o.file = g->catalog_file;
    o.refresh_us = g->c->refresh_us;
    o.hosts_only = true;
    o.changed = on_keys_changed;
    o.arg = g;
    rc = keys_open(&o, &g->keys, err);
    if (rc != 0) {
        return rc;
    }
    if (keys_refresh(g->keys, err) != 0) { /* it goes on with the copy, and asks again soon */
        log_warn("gateway", "catalog_down", "hosts=%zu error=\"%s\"", keys_count(g->keys), err->text);
    } else {
        log_info("gateway", "catalog_read", "hosts=%zu", keys_count(g->keys));
    }
    return 0;
}

/* Signals are heard meanwhile. */
static int check_topic(struct gateway *g, struct pofr_err *err)
{
    int64_t deadline = clock_mono_us() + g->c->start_wait_us;
    struct topic_facts facts;
    struct pofr_err why;
    int rc;

    tls_watch_init(&g->admin_watch, &g->c->kafka.tls);
    rc = topic_admin_open(g->brokers, &g->c->kafka, &g->admin, err);
    if (rc != 0) {
        return rc;
    }
    service_extend(g->c->start_wait_us + SLACK_US);
    while (topic_may_come(rc = topic_check(g->admin, g->c->topic, TOPIC_ASK_MS, &facts, err)) && !g->draining &&
           clock_mono_us() < deadline) {
        log_warn("gateway", "waits_for_kafka", "error=\"%s\"", err->text);
        if (loop_once(g->loop, TICK_US, &why) != 0) {
            break;
        }
    }
    if (rc != 0) {
        return g->draining ? pofr_err_set(err, POFR_ECLOSED, "told to stop before Kafka was there") : rc;
    }
    atomic_store(&g->partitions, facts.partitions);
    stat_put(g->stats, STAT_gateway_kafka_up, 1);
    stat_put(g->stats, STAT_gateway_topic_there, 1);
    log_info("gateway", "topic", "name=%s partitions=%u replication=%u min_insync=%u brokers=%u", g->c->topic,
             facts.partitions, facts.replication, facts.min_insync, facts.brokers);
    if (facts.brokers >= 3 && (facts.replication < 3 || facts.min_insync < 2)) {
        log_warn("gateway", "topic_on_one_machine", "name=%s replication=%u min_insync=%u", g->c->topic,
                 facts.replication, facts.min_insync);
    }
    return 0;
}

static int open_catalog(struct gateway *g, struct pofr_err *err)
{
    struct catalog_options o = { 0 };

    o.address = catalog_address(g);
    o.keys = g->keys;
    o.wanted = g->wanted;
    o.changed = on_keys_changed;
    o.arg = g;
    o.reports = g->reports;
    o.stats = g->stats;
    o.refresh_us = g->c->refresh_us;
    o.partitions = &g->partitions;
    o.gateway = g->name;
    return catalog_open(&o, &g->catalog, err);
}

static unsigned lanes_wanted(const struct gateway_conf *c)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (c->threads > 0) {
        return c->threads < LANES_MAX ? c->threads : LANES_MAX;
    }
    return cores < 1 ? 1 : cores > LANES_BY_ITSELF ? LANES_BY_ITSELF : (unsigned)cores;
}

static int open_lanes(struct gateway *g, struct pofr_err *err)
{
    struct lane_options o = { 0 };
    unsigned i;
    int rc = 0;

    o.gateway = g->name;
    o.brokers = g->brokers;
    o.access = &g->c->kafka;
    o.topic = g->c->topic;
    o.host_key = buf_slice(&g->host_key);
    o.memory = g->c->memory / g->sockets.lanes;
    o.keys = g->keys;
    o.wanted = g->wanted;
    o.reports = g->reports;
    o.hosts = g->hosts;
    o.limits = g->limits;
    o.catalog = g->catalog;
    o.stats = g->stats;
    for (i = 0; i < g->sockets.lanes && rc == 0; i++) {
        o.number = i;
        o.listeners = sockets_of(&g->sockets, i, &o.listeners_count);
        rc = lane_open(&o, &g->lanes[i], err);
        g->lanes_count += rc == 0 ? 1 : 0;
    }
    for (i = 0; i < g->lanes_count && rc == 0; i++) {
        rc = lane_start(g->lanes[i], err);
    }
    return rc;
}

/* --- signals ------------------------------------------------------------------------------------------ */

static void on_end(int signo, void *arg)
{
    struct gateway *g = (struct gateway *)arg;
    unsigned i;

    log_info("gateway", g->draining ? "stops" : "drains", "signal=%d sessions=%u", signo, limits_sessions(g->limits));
    service_stopping();
    service_extend(g->c->drain_us + SLACK_US);
    atomic_store(&g->unready, true);
    sockets_refuse(&g->sockets);
    for (i = 0; i < g->lanes_count; i++) {
        if (g->draining) { /* the second time: now */
            lane_stop(g->lanes[i]);
        } else {
            lane_drain(g->lanes[i], clock_mono_us() + g->c->drain_us);
        }
    }
    g->draining = true;
    if (loop_timer_after(g->loop, &g->tick, 0, gateway_tick, g) != 0) {
        log_error("gateway", "no_timer", ""); /* the one that is set goes off within a second */
    }
}

static void on_change(const char *section, const char *name, const char *before, const char *after, void *arg)
{
    (void)arg;
    log_info("gateway", "option_changed", "section=%s option=%s before=\"%s\" after=\"%s\"", section, name, before,
             after);
}

static void reload_topic(struct gateway *g)
{
    struct topic_facts facts;
    struct pofr_err err;

    if (topic_check(g->admin, g->c->topic, TOPIC_ASK_MS, &facts, &err) != 0) {
        log_error("gateway", "topic", "error=\"%s\"", err.text);
    } else {
        atomic_store(&g->partitions, facts.partitions);
    }
}

/* Limits, keys, the list of wanted bundles, the number of partitions. No session is touched. */
static void on_reload(int signo, void *arg)
{
    struct gateway *g = (struct gateway *)arg;
    struct conf *fresh = NULL;
    struct pofr_err err;

    (void)signo;
    if (!g->conf) { /* during the start */
        return;
    }
    service_reloading();
    if (conf_reload(g->conf, on_change, NULL, &fresh, &err) != 0) {
        log_error("gateway", "reload_refused", "error=\"%s\"", err.text);
    } else {
        conf_free(g->conf != g->first ? g->conf : NULL);
        g->conf = fresh;
        g->c = (const struct gateway_conf *)conf_values(fresh);
        limits_set(g->limits, g->c, service_raise_nofile((uint64_t)g->c->sessions + FILES_FOR_OTHERS));
        log_info("gateway", "reloaded", "file=%s", conf_path(fresh));
    }
    if (keys_refresh(g->keys, &err) != 0) {
        log_warn("gateway", "catalog_down", "error=\"%s\"", err.text);
    }
    catalog_refresh(g->catalog);
    reload_topic(g);
    service_ready();
    log_info("gateway", "catalog_reread", "hosts=%zu", keys_count(g->keys)); /* whatever became of the configuration */
}

/* --- all of it ---------------------------------------------------------------------------------------- */

static int open_basics(struct gateway *g, struct pofr_err *err)
{
    int rc = take_names(g, err);

    if (rc == 0) {
        rc = open_state(g, err);
    }
    if (rc == 0) {
        rc = stat_new(gateway_stats, GATEWAY_STAT_COUNT, &g->stats, err);
    }
    if (rc == 0) {
        rc = limits_new(g->c, &g->limits, err);
    }
    if (rc == 0) {
        rc = hosts_new(&g->hosts, err);
    }
    if (rc == 0) {
        rc = wanted_new(&g->wanted);
    }
    if (rc == 0) {
        rc = reports_new(&g->reports, err);
    }
    if (rc == 0) {
        limits_set(g->limits, g->c, service_raise_nofile((uint64_t)g->c->sessions + FILES_FOR_OTHERS));
        rc = loop_new(&g->loop, err);
    }
    return rc;
}

/* Signals first: the threads that are started later must not take them. */
static int take_signals(struct gateway *g, struct pofr_err *err)
{
    int rc = loop_signal_add(g->loop, SIGTERM, on_end, g, err);

    if (rc == 0) {
        rc = loop_signal_add(g->loop, SIGINT, on_end, g, err);
    }
    if (rc == 0) {
        rc = loop_signal_add(g->loop, SIGHUP, on_reload, g, err);
    }
    return rc;
}

static int drop_rights(struct pofr_err *err)
{
    struct service_identity who = { 0 };

    who.uid = geteuid();
    who.gid = getegid();
    return service_drop(&who, err);
}

static int open_rest(struct gateway *g, struct pofr_err *err)
{
    int rc = open_keys(g, err);

    if (rc == 0) {
        rc = check_topic(g, err);
    }
    if (rc == 0) {
        rc = sockets_open(&g->c->listen, lanes_wanted(g->c), &g->sockets, err);
    }
    if (rc == 0) {
        rc = drop_rights(err);
    }
    if (rc == 0) {
        rc = open_catalog(g, err);
    }
    if (rc == 0) {
        rc = open_lanes(g, err);
    }
    if (rc == 0) {
        rc = keys_run(g->keys, err);
    }
    if (rc == 0) {
        rc = gateway_open_metrics(g, err);
    }
    return rc;
}

int gateway_start(struct conf *conf, struct gateway **out, struct pofr_err *err)
{
    struct gateway *g = (struct gateway *)calloc(1, sizeof(*g));
    int rc;

    if (!g) {
        return pofr_err_set(err, POFR_ENOMEM, "gateway: out of memory");
    }
    g->c = g->at_start = (const struct gateway_conf *)conf_values(conf);
    g->lock_fd = -1;
    buf_init(&g->host_key, 16384);
    rc = open_basics(g, err);
    if (rc == 0) {
        rc = take_signals(g, err);
    }
    if (rc == 0) {
        rc = open_rest(g, err);
    }
    if (rc != 0) {
        gateway_free(g);
        return rc;
    }
    g->first = g->conf = conf;
    *out = g;
    return 0;
}

int gateway_run(struct gateway *g, struct pofr_err *err)
{
    unsigned i;
    int rc;

    for (i = 0; i < g->lanes_count; i++) {
        g->beat_us[i] = clock_mono_us();
    }
    gateway_tick(g);
    service_ready();
    log_info("gateway", "ready", "name=%s threads=%u version=%s", g->name, g->lanes_count, POFR_VERSION);
    rc = loop_run(g->loop, err);
    log_info("gateway", "ended", "");
    return rc;
}

void gateway_free(struct gateway *g)
{
    unsigned i;

    if (!g) {
        return;
    }
    metrics_http_stop(g->metrics);
    for (i = 0; i < g->lanes_count; i++) {
        lane_stop(g->lanes[i]);
    }
    for (i = 0; i < g->lanes_count; i++) {
        lane_join(g->lanes[i]);
    }
    catalog_close(g->catalog);
    keys_close(g->keys);
    for (i = 0; i < g->lanes_count; i++) {
        lane_close(g->lanes[i]);
    }
    sockets_close(&g->sockets);
    topic_admin_close(g->admin);
    wanted_free(g->wanted);
    reports_free(g->reports);
    hosts_free(g->hosts);
    limits_free(g->limits);
    loop_timer_cancel(g->loop, &g->tick);
    loop_free(g->loop);
    stat_free(g->stats);
    fsio_close(&g->lock_fd);
    if (g->host_key.data) {
        explicit_bzero(g->host_key.data, g->host_key.cap);
    }
    buf_free(&g->host_key);
    conf_free(g->conf != g->first ? g->conf : NULL);
    conf_free(g->first);
    free(g);
}
