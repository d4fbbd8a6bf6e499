/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "merger/merger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include "common/base/hostport.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/os/service.h"
#include "merger/plan.h"
#include "merger/stats.h"
#include "merger/step.h"
#include "merger/watch.h"

#define SHARDS_MAX 1024
#define DAY_US     86400000000LL

struct merger {
    const struct merger_conf *conf;
    struct stat_set *stats;
    struct db *catalog;
    struct shard shards[SHARDS_MAX];
    size_t count;
    pthread_mutex_t lock;                /* protects state: it is read by the metrics server's thread */
    char state[200];                     /* what is not well; "" */
    struct watch_shard held[SHARDS_MAX]; /* under lock, too */
    size_t held_count;
};

static const struct {
    const char *name;
    int (*run)(const struct pass *p, struct shard *s, struct pofr_err *err);
} steps[] = {
    { "slots", step_slots },     { "partitions", step_partitions }, { "hosts", step_hosts },
    { "retired", step_retired }, { "wanted", step_wanted },         { "strings", step_strings },
};

static void publish_held(struct merger *m)
{
    pthread_mutex_lock(&m->lock);
    m->held_count = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct shard *s = &m->shards[i];

        if (s->ours && s->listed) {
            struct watch_shard *h = &m->held[m->held_count++];

            snprintf(h->name, sizeof(h->name), "%s", s->name);
            snprintf(h->address, sizeof(h->address), "%s", s->address);
            h->port = s->port;
            h->shard_id = s->shard_id;
            h->days_ahead = s->days_ahead;
        }
    }
    pthread_mutex_unlock(&m->lock);
}

size_t merger_shards_held(struct merger *m, struct watch_shard *out, size_t max)
{
    size_t count;

    pthread_mutex_lock(&m->lock);
    count = m->held_count < max ? m->held_count : max;
    memcpy(out, m->held, count * sizeof(*out));
    pthread_mutex_unlock(&m->lock);
    return count;
}

static void set_state(struct merger *m, const char *text)
{
    pthread_mutex_lock(&m->lock);
    snprintf(m->state, sizeof(m->state), "%s", text);
    pthread_mutex_unlock(&m->lock);
}

int merger_new(const struct merger_conf *conf, struct stat_set *stats, struct merger **out, struct pofr_err *err)
{
    struct merger *m = calloc(1, sizeof(*m));

    if (!m) {
        return pofr_err_set(err, POFR_ENOMEM, "merger");
    }
    pthread_mutex_init(&m->lock, NULL);
    m->conf = conf;
    m->stats = stats;
    set_state(m, "no pass was made yet");
    *out = m;
    return 0;
}

void merger_free(struct merger *m)
{
    if (!m) {
        return;
    }
    for (size_t i = 0; i < m->count; i++) {
        db_close(m->shards[i].db);
    }
    db_close(m->catalog);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void merger_set_conf(struct merger *m, const struct merger_conf *conf)
{
    m->conf = conf;
}

bool merger_is_ready(const struct merger *m, char *reason, size_t size)
{
    struct merger *unlocked = (struct merger *)m;
    bool ready;

    pthread_mutex_lock(&unlocked->lock);
    ready = m->state[0] == 0;
    snprintf(reason, size, "%s", m->state);
    pthread_mutex_unlock(&unlocked->lock);
    return ready;
}

static bool wanted(const struct merger_conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->shards.count; i++) {
        if (strcmp(conf->shards.items[i], name) == 0) {
            return true;
        }
    }
    return conf->shards.count == 0;
}

static int connect_catalog(struct merger *m, struct pofr_err *err)
{
    struct hostport hp;
    struct db_address a = { .user = m->conf->catalog_user,
                            .password_file = m->conf->catalog_password_file,
                            .database = "pofr_catalog",
                            .tls = m->conf->catalog_tls };

    if (m->catalog) {
        return 0;
    }
    if (hostport_parse(slice_str(m->conf->catalog_address), 3306, &hp)) {
        return pofr_err_set(err, POFR_ECONFIG, "catalog address \"%s\" is not host:port", m->conf->catalog_address);
    }
    a.host = hp.host;
    a.port = hp.port;
    return db_connect(&a, &m->catalog, err);
}

static struct shard *shard_named(struct merger *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->shards[i].name, name) == 0) {
            return &m->shards[i];
        }
    }
    if (m->count == SHARDS_MAX) {
        return NULL;
    }
    snprintf(m->shards[m->count].name, sizeof(m->shards[0].name), "%s", name);
    return &m->shards[m->count++];
}

static void let_go(struct shard *s)
{
    db_close(s->db);
    s->db = NULL;
    s->hosts_changed = 0;
    s->slots_known = false;
}

/* The list of the catalog; a shard that moved or left is let go. */
static int read_shards(struct merger *m, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code =
        db_run(m->catalog, "SELECT shard_id, name, address, port FROM shard ORDER BY shard_id", NULL, 0, &r, err);

    for (size_t i = 0; !code && i < m->count; i++) {
        m->shards[i].listed = false;
    }
    for (size_t i = 0; !code && i < db_rows(r); i++) {
        struct shard *s = shard_named(m, (const char *)db_get(r, i, 1).data);
        const char *address = (const char *)db_get(r, i, 2).data;
        uint16_t port = (uint16_t)db_get_u64(r, i, 3);

        if (!s) {
            break;
        }
        if (strcmp(s->address, address) != 0 || s->port != port || !wanted(m->conf, s->name)) {
            let_go(s);
        }
        s->shard_id = db_get_u64(r, i, 0);
        snprintf(s->address, sizeof(s->address), "%s", address);
        s->port = port;
        s->listed = true;
    }
    for (size_t i = 0; !code && i < m->count; i++) {
        if (!m->shards[i].listed) {
            let_go(&m->shards[i]);
        }
    }
    db_result_free(r);
    return code;
}

/*
 * A clock that is years ahead would drop all that is kept, one that is behind would make no days. Whose clock is wrong
 * can't be told here: so nothing is done until they agree, and readiness says why.
 */
static int clock_agrees(struct db *db, const char *whose, int32_t today, struct pofr_err *err)
{
    struct db_result *r = NULL;
    int code = db_run(db, "SELECT DATEDIFF(UTC_DATE(), '1970-01-01'), UTC_DATE()", NULL, 0, &r, err);

    if (!code && llabs((int64_t)db_get_u64(r, 0, 0) - today) > 1) {
        char ours[11];

        plan_date_of_day(today, ours);
        code =
            pofr_err_set(err, POFR_ESYSTEM, "the %s has %s, we have %s: no day is made or dropped until clocks agree",
                         whose, (const char *)db_get(r, 0, 1).data, ours);
    }
    db_result_free(r);
    return code;
}

/* Connected and holding the lock: 0. POFR_EBUSY: another merger has it, and that is fine. */
static int take(const struct merger *m, struct shard *s, struct pofr_err *err)
{
    struct db_address a = { .host = s->address,
                            .port = s->port,
                            .user = m->conf->shard_user,
                            .password_file = m->conf->shard_password_file,
                            .database = "pofr_store",
                            .tls = m->conf->shard_tls,
                            .io_timeout_s = 600 };
    struct db_result *r = NULL;
    int code = 0;

    if (!s->db) {
        code = db_connect(&a, &s->db, err);
    }
    if (!code) { /* again at each pass: harmless where it is held, and the first word on a lost connection */
        code = db_run(s->db, "SELECT GET_LOCK('pofr_merger', 0)", NULL, 0, &r, err);
    }
    if (!code && db_get_u64(r, 0, 0) != 1) {
        code = POFR_EBUSY;
    }
    db_result_free(r);
    return code;
}

static int one_shard(struct merger *m, struct shard *s, const struct pass *p, bool (*stop)(void), struct pofr_err *err)
{
    int64_t begin = clock_mono_us();
    int code = take(m, s, err);

    if (!code) {
        code = clock_agrees(s->db, "shard", p->today, err);
    }
    for (size_t i = 0; i < pofr_countof(steps) && !code && !stop(); i++) {
        service_watchdog();
        code = steps[i].run(p, s, err);
        if (code) {
            return pofr_err_prefix(err, "%s", steps[i].name);
        }
    }
    if (!code) {
        stat_add(m->stats, STAT_merger_passes, 1);
        stat_observe(m->stats, STAT_merger_pass, (uint64_t)(clock_mono_us() - begin));
    }
    return code;
}

static void fail_shard(struct merger *m, struct shard *s, const struct pofr_err *err, char *state, size_t size)
{
    stat_add(m->stats, STAT_merger_failures, 1);
    log_warn("merger", "shard_failed", "shard=%s error=\"%s\"", s->name, err->text);
    snprintf(state, size, "shard %.40s: %.120s", s->name, err->text);
    let_go(s);
}

void merger_pass(struct merger *m, bool (*stop)(void))
{
    struct pass p = { .conf = m->conf, .stats = m->stats, .today = (int32_t)(clock_wall_us() / DAY_US) };
    struct pofr_err err = { 0 };
    char state[200] = "";
    int64_t held = 0;
    int code = connect_catalog(m, &err);

    if (!code) {
        code = clock_agrees(m->catalog, "catalog", p.today, &err);
    }
    if (!code) {
        code = read_shards(m, &err);
    }
    if (code) {
        stat_add(m->stats, STAT_merger_failures, 1);
        log_warn("merger", "catalog_failed", "error=\"%s\"", err.text);
        snprintf(state, sizeof(state), "catalog: %.180s", err.text);
        db_close(m->catalog);
        m->catalog = NULL;
    }
    p.catalog = m->catalog;
    for (size_t i = 0; i < m->count && !code && !stop(); i++) {
        struct shard *s = &m->shards[i];
        int rc;

        if (!s->listed || !wanted(m->conf, s->name)) {
            s->ours = false;
            continue;
        }
        err = (struct pofr_err){ 0 };
        rc = one_shard(m, s, &p, stop, &err);
        held += rc == 0;
        s->ours = rc == 0 || (s->ours && rc != POFR_EBUSY);
        publish_held(m); /* a step on the next one may last */
        if (rc && rc != POFR_EBUSY) {
            fail_shard(m, s, &err, state, sizeof(state));
        }
    }
    publish_held(m);
    stat_put(m->stats, STAT_merger_shards, held);
    set_state(m, state);
}
