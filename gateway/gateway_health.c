/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "common/base/err.h"
#include "common/catalog/keys.h"
#include "common/kafka/topic_check.h"
#include "common/os/log.h"
#include "common/os/metrics_http.h"
#include "common/os/service.h"
#include "common/tls/tls_expiry.h"
#include "gateway/gateway_parts.h"
#include "gateway/lane.h"
#include "gateway/limits.h"

#define STUCK_US (15 * CLOCK_US_PER_S)

static bool is_healthy(void *arg, char *reason, size_t n)
{
    const struct gateway *g = (const struct gateway *)arg;

    if (atomic_load(&g->stuck)) {
        snprintf(reason, n, "a thread has not turned its loop for %d s", (int)(STUCK_US / CLOCK_US_PER_S));
    } else if (stat_get(g->stats, STAT_gateway_topic_there) == 0) {
        snprintf(reason, n, "there is no topic %s: pofrctl topic create", g->at_start->topic);
    } else {
        return true;
    }
    return false;
}

static bool is_ready(void *arg, char *reason, size_t n)
{
    const struct gateway *g = (const struct gateway *)arg;

    if (atomic_load(&g->unready)) {
        snprintf(reason, n, "draining");
    } else if (!keys_loaded(g->keys)) {
        snprintf(reason, n, "the catalog was never reached, and there is no copy of it");
    } else if (stat_get(g->stats, STAT_gateway_kafka_up) == 0) {
        snprintf(reason, n, "no Kafka broker can be reached");
    } else {
        return is_healthy(arg, reason, n);
    }
    return false;
}

static void write_more(struct buf *out, void *arg)
{
    const struct gateway *g = (const struct gateway *)arg;
    const struct tls_use uses[] = { { "kafka", &g->at_start->kafka.tls }, { "catalog", &g->at_start->catalog_tls } };

    tls_expiry_write(uses, pofr_countof(uses), out);
}

int gateway_open_metrics(struct gateway *g, struct pofr_err *err)
{
    struct metrics_http_options o = { 0 };
    int rc;

    if (!g->c->metrics_listen[0]) {
        return 0;
    }
    stat_set_extra(g->stats, write_more, g);
    o.address = g->c->metrics_listen;
    o.stats = g->stats;
    o.healthy = is_healthy;
    o.ready = is_ready;
    o.arg = g;
    rc = metrics_http_start(&o, &g->metrics, err);
    if (rc == 0) {
        log_info("gateway", "metrics", "port=%u", metrics_http_port(g->metrics));
    }
    return rc;
}

static void put_figures(struct gateway *g)
{
    int64_t age = keys_age_us(g->keys);

    stat_put(g->stats, STAT_gateway_sessions, limits_sessions(g->limits));
    stat_put(g->stats, STAT_gateway_unauthenticated, limits_unauthenticated(g->limits));
    stat_put(g->stats, STAT_gateway_hosts, (int64_t)keys_count(g->keys));
    stat_put(g->stats, STAT_gateway_keys_age, age < 0 ? 0 : age);
    stat_put(g->stats, STAT_gateway_copy_unsaved, keys_unsaved_us(g->keys));
}

/*
 * The clients of the lanes tell when all brokers are gone, and notice their return only by sending; and that the topic is
 * gone only when they have something to send.
 */
static void look_for_kafka(struct gateway *g, int64_t now)
{
    bool down = stat_get(g->stats, STAT_gateway_kafka_up) == 0;
    struct topic_facts facts = { 0 };
    int code;

    if (now < (down ? g->topic_due_us : g->sight.due_us)) {
        return;
    }
    code = topic_describe(g->admin, g->c->topic, TOPIC_ASK_MS, &facts, NULL);
    if (down && (code == 0 || code == POFR_ENOTFOUND)) {
        stat_put(g->stats, STAT_gateway_kafka_up, 1);
        log_info("gateway", "kafka_up", "brokers=%u", facts.brokers);
    }
    now = clock_mono_us();
    g->topic_due_us = now + 5 * TICK_US;
    if (topic_sight_take(&g->sight, code, now)) {
        stat_put(g->stats, STAT_gateway_topic_there, !g->sight.missing);
        if (g->sight.missing) {
            log_error("gateway", "topic_missing", "name=%s", g->c->topic);
        } else {
            log_info("gateway", "topic_back", "name=%s", g->c->topic);
        }
    }
}

/* The lanes see to their own clients (publish.c). */
static void look_at_files(struct gateway *g, int64_t now)
{
    struct topic_admin *fresh = NULL;
    struct pofr_err err;

    if (now < g->files_due_us) {
        return;
    }
    g->files_due_us = now + 5 * TICK_US;
    if (tls_watch_changed(&g->admin_watch, &g->at_start->kafka.tls)) {
        if (topic_admin_open(g->brokers, &g->at_start->kafka, &fresh, &err) != 0) {
            log_error("gateway", "certificate_unusable", "error=\"%s\"", err.text);
        } else {
            topic_admin_close(g->admin);
            g->admin = fresh;
        }
    }
}

static void look_at_lanes(struct gateway *g, int64_t now)
{
    bool stuck = false;
    unsigned i;

    for (i = 0; i < g->lanes_count; i++) {
        uint64_t beats = lane_beats(g->lanes[i]);

        if (beats != g->beats[i] || lane_is_done(g->lanes[i])) {
            g->beats[i] = beats;
            g->beat_us[i] = now;
        }
        stuck |= now - g->beat_us[i] > STUCK_US;
    }
    atomic_store(&g->stuck, stuck);
    if (!stuck && service_watchdog_us() > 0 && now >= g->watchdog_due_us) {
        service_watchdog();
        g->watchdog_due_us = now + service_watchdog_us() - TICK_US;
    }
}

static bool all_done(const struct gateway *g)
{
    unsigned i;

    for (i = 0; i < g->lanes_count; i++) {
        if (!lane_is_done(g->lanes[i])) {
            return false;
        }
    }
    return true;
}

void gateway_tick(void *arg)
{
    struct gateway *g = (struct gateway *)arg;
    int64_t now = clock_mono_us();

    if (g->keys) {
        put_figures(g);
    }
    look_at_lanes(g, now);
    if (all_done(g)) { /* as when it has none yet, and the end came during the start */
        loop_stop(g->loop);
        return;
    }
    if (!g->draining) {
        look_at_files(g, now);
        look_for_kafka(g, now);
    }
    if (loop_timer_after(g->loop, &g->tick, g->draining ? TICK_US / 20 : TICK_US, gateway_tick, g) != 0) {
        log_error("gateway", "no_timer", "");
        loop_stop(g->loop);
    }
}
