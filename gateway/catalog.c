/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: lock guards the queue and the flags; the thread alone has the connection.
 *
 * A connection that fails is closed and made anew for the next question. Whether a token was redeemed by a
 * CALL whose answer got lost is not known here: the agent asks again, and the same token with the same key
 * has the same answer.
 */
#include "gateway/catalog.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/murmur2.h"
#include "common/catalog/keys.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "gateway/reports.h"
#include "gateway/wanted.h"

#define REPORTS_BATCH   1000u /* hosts in one statement */
#define REPORT_TEXT_MAX 160u  /* of one: 7 numbers */

struct catalog {
    struct catalog_options o;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct ask *first, **last;
    unsigned count;
    bool stop, refresh;
    struct db *db; /* from here on the thread's own */
    bool down, untold;
};

/* --- questions ---------------------------------------------------------------------------------------- */

static int ask_once(struct catalog *c, const char *sql, const struct db_value *values, size_t count,
                    struct db_result **out, struct pofr_err *err)
{
    int rc = c->db ? 0 : db_connect(&c->o.address, &c->db, err);

    if (rc == 0) {
        rc = db_run(c->db, sql, values, count, out, err);
    }
    if (rc != 0) {
        db_close(c->db);
        c->db = NULL;
    }
    return rc;
}

/* A connection that idled may be gone without a word. All that is asked here may be asked twice. */
static int ask_db(struct catalog *c, const char *sql, const struct db_value *values, size_t count,
                  struct db_result **out, struct pofr_err *err)
{
    bool was_there = c->db != NULL;
    int rc = ask_once(c, sql, values, count, out, err);

    return rc == POFR_EDBBUSY && was_there ? ask_once(c, sql, values, count, out, err) : rc;
}

static void take_wanted(struct catalog *c, const struct db_result *r)
{
    size_t n = db_rows(r), i;
    struct wanted_row *rows = (struct wanted_row *)calloc(n + 1, sizeof(*rows));

    if (!rows) {
        log_error("catalog", "no_memory", "rows=%zu", n);
        return;
    }
    for (i = 0; i < n; i++) {
        rows[i].host_id = db_get_u64(r, i, 0);
        rows[i].range.first = db_get_u64(r, i, 1);
        rows[i].range.last = db_get_u64(r, i, 2);
        rows[i].since_us = (int64_t)db_get_u64(r, i, 3);
    }
    if (wanted_replace(c->o.wanted, rows, n)) {
        c->o.changed(c->o.arg);
    }
}

static void read_wanted(struct catalog *c)
{
    static const char sql[] =
        "SELECT host_id, first_sequence, last_sequence, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', since) FROM wanted "
        "ORDER BY host_id, first_sequence LIMIT ?";
    struct db_value limit = DB_V_U(WANTED_MAX);
    struct db_result *r = NULL;
    struct pofr_err err;
    int rc;

    rc = ask_db(c, sql, &limit, 1, &r, &err);
    if (rc == 0) {
        take_wanted(c, r);
    } else if (!c->down) { /* once: until it is back it is asked every few seconds */
        log_warn("catalog", "no_answer", "error=\"%s\"", err.text);
    }
    c->down = rc != 0;
    stat_put(c->o.stats, STAT_gateway_catalog_up, rc == 0 ? 1 : 0);
    db_result_free(r);
}

static int tell(struct catalog *c, const struct report *list, size_t count, struct pofr_err *err)
{
    struct buf text = BUF_INIT(REPORT_TEXT_MAX * REPORTS_BATCH);
    int rc;

    reports_format(list, count, &text);
    rc = text.err ? pofr_err_set(err, text.err, "reports") : 0;
    if (rc == 0) {
        const struct db_value values[] = { DB_V_C(c->o.gateway), DB_V_S(buf_slice(&text)) };

        rc = ask_db(c, "CALL report_spools(?, ?)", values, pofr_countof(values), NULL, err);
    }
    buf_free(&text);
    return rc;
}

/* What the catalog could not be told is in the next round again: nothing hangs on it but what is shown. */
static void tell_reports(struct catalog *c)
{
    struct report *list = NULL;
    struct pofr_err err = { 0 };
    size_t count = 0, at, n;
    int rc = reports_take(c->o.reports, &list, &count);

    for (at = 0; rc == 0 && at < count; at += n) {
        n = count - at < REPORTS_BATCH ? count - at : REPORTS_BATCH;
        rc = tell(c, list + at, n, &err);
        if (rc == 0) {
            reports_told(c->o.reports, list + at, n);
        }
    }
    if (rc != 0 && !c->untold) {
        log_warn("catalog", "reports_not_told", "error=\"%s\"", err.text);
    }
    c->untold = rc != 0;
    free(list);
}

static void look_up(struct catalog *c, struct ask *a)
{
    struct pofr_err err = { 0 };
    int rc = keys_ask_key(c->o.keys, a->key, &err);

    a->found = rc == 0 ? LOOKUP_FOUND : rc == POFR_ENOTFOUND ? LOOKUP_UNKNOWN : LOOKUP_UNAVAILABLE;
    if (a->found == LOOKUP_UNAVAILABLE) {
        log_warn("catalog", "no_answer", "error=\"%s\"", err.text);
    }
    stat_add_by(c->o.stats, STAT_gateway_lookups, a->found, 1);
}

static int call_enrol(struct catalog *c, const struct enrol_facts *f, struct db_result **out, struct pofr_err *err)
{
    static const char sql[] = "CALL enrol_host(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    char text[UUID_TEXT_SIZE];
    struct uuid uuid;
    int rc;

    rc = uuid_random(&uuid);
    if (rc != 0) {
        return pofr_err_set(err, rc, "no random bytes");
    }
    uuid_format(&uuid, text);
    {
        const struct db_value values[] = {
            DB_V_S(slice_of(f->token_hash, sizeof(f->token_hash))),
            DB_V_S(slice_of(f->key_id, sizeof(f->key_id))),
            DB_V_S(slice_of(f->public_key, sizeof(f->public_key))),
            DB_V_S(slice_of(uuid.b, sizeof(uuid.b))),
            DB_V_U(murmur2_partition(slice_of(text, UUID_TEXT_LEN), atomic_load(c->o.partitions))),
            DB_V_C(f->hostname),
            DB_V_C(f->machine_id),
            DB_V_C(f->os),
            DB_V_C(f->kernel),
            DB_V_C(f->agent_version),
            DB_V_C(f->peer),
        };

        return ask_db(c, sql, values, pofr_countof(values), out, err);
    }
}

static void copy_text(struct slice from, char *to, size_t size)
{
    size_t n = from.len < size - 1 ? from.len : size - 1;

    if (n > 0) {
        memcpy(to, from.data, n);
    }
    to[n] = '\0';
}

/* Columns: result, host_uuid, host_id, host, state. */
static int take_enrolled(const struct db_result *r, struct enrol_result *out)
{
    struct slice what, uuid, state;

    if (db_rows(r) != 1 || db_columns(r) != 5) {
        return POFR_EFORMAT;
    }
    what = db_get(r, 0, 0);
    if (slice_eq_str(what, "token") || slice_eq_str(what, "key")) {
        out->what = slice_eq_str(what, "key") ? ENROLMENT_KEY : ENROLMENT_TOKEN;
        return 0;
    }
    uuid = db_get(r, 0, 1);
    if (uuid.len != sizeof(out->host.b)) {
        return POFR_EFORMAT;
    }
    memcpy(out->host.b, uuid.data, uuid.len);
    copy_text(db_get(r, 0, 3), out->name, sizeof(out->name));
    state = db_get(r, 0, 4);
    out->pending = slice_eq_str(state, "pending");
    out->ended = slice_eq_str(state, "retired") || slice_eq_str(state, "erased");
    out->what = slice_eq_str(what, "new") ? ENROLMENT_NEW : ENROLMENT_AGAIN;
    return 0;
}

static void enrol(struct catalog *c, struct ask *a)
{
    struct db_result *r = NULL;
    struct pofr_err err = { 0 };
    int rc;

    a->result.what = ENROLMENT_UNAVAILABLE;
    rc = call_enrol(c, &a->facts, &r, &err);
    if (rc == 0) {
        rc = take_enrolled(r, &a->result);
        rc = rc != 0 ? pofr_err_set(&err, rc, "the procedure's answer makes no sense") : 0;
    }
    db_result_free(r);
    if (rc == 0 && (a->result.what == ENROLMENT_NEW || a->result.what == ENROLMENT_AGAIN)) {
        rc = keys_ask_key(c->o.keys, a->facts.public_key, &err); /* it logs in next */
    }
    if (rc != 0) {
        a->result.what = ENROLMENT_UNAVAILABLE;
        log_warn("catalog", "not_enrolled", "error=\"%s\"", err.text);
    }
    stat_add_by(c->o.stats, STAT_gateway_enrolments, a->result.what, 1);
}

/* --- the thread --------------------------------------------------------------------------------------- */

/* The next one, or NULL when the list of wanted bundles is due or the end has come (*out_stop). */
static struct ask *wait_for_work(struct catalog *c, int64_t due_us, bool *out_stop)
{
    struct timespec due = { due_us / CLOCK_US_PER_S, due_us % CLOCK_US_PER_S * 1000 };
    struct ask *a;

    pthread_mutex_lock(&c->lock);
    while (!c->stop && !c->refresh && !c->first && clock_mono_us() < due_us &&
           pthread_cond_timedwait(&c->wake, &c->lock, &due) != ETIMEDOUT) {
    }
    a = c->refresh || clock_mono_us() >= due_us ? NULL : c->first;
    c->refresh = false;
    *out_stop = c->stop;
    if (a) {
        c->first = a->next;
        c->last = c->first ? c->last : &c->first;
        c->count--;
    }
    pthread_mutex_unlock(&c->lock);
    return a;
}

static void *run(void *arg)
{
    struct catalog *c = (struct catalog *)arg;
    int64_t due_us = clock_mono_us();
    struct ask *a;
    bool stop = false;

    while (!stop) {
        a = wait_for_work(c, due_us, &stop);
        if (a && stop) {
            free(a);
        } else if (a) {
            (a->kind == ASK_ENROL ? enrol : look_up)(c, a);
            mailbox_post(a->mailbox, &a->note);
        } else if (!stop) {
            read_wanted(c);
            if (!c->down) {
                tell_reports(c);
            }
            due_us = clock_mono_us() + c->o.refresh_us;
        }
    }
    return NULL;
}

int catalog_open(const struct catalog_options *o, struct catalog **out, struct pofr_err *err)
{
    struct catalog *c = (struct catalog *)calloc(1, sizeof(*c));
    pthread_condattr_t monotonic;

    if (!c) {
        return pofr_err_set(err, POFR_ENOMEM, "catalog: out of memory");
    }
    c->o = *o;
    c->last = &c->first;
    (void)pthread_mutex_init(&c->lock, NULL); /* none of these four can fail */
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    errno = pthread_create(&c->thread, NULL, run, c);
    if (errno != 0) {
        pthread_cond_destroy(&c->wake);
        pthread_mutex_destroy(&c->lock);
        free(c);
        return pofr_err_sys(err, POFR_ESYSTEM, "the catalog's thread");
    }
    *out = c;
    return 0;
}

void catalog_close(struct catalog *c)
{
    struct ask *a;

    if (!c) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    (void)pthread_join(c->thread, NULL); /* it ends by itself */
    while ((a = c->first) != NULL) {
        c->first = a->next;
        free(a);
    }
    db_close(c->db);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

int catalog_ask(struct catalog *c, struct ask *a)
{
    int rc = POFR_EFULL;

    pthread_mutex_lock(&c->lock);
    if (c->count < CATALOG_ASKS_MAX && !c->stop) {
        a->next = NULL;
        *c->last = a;
        c->last = &a->next;
        c->count++;
        pthread_cond_signal(&c->wake);
        rc = 0;
    }
    pthread_mutex_unlock(&c->lock);
    return rc;
}

void catalog_refresh(struct catalog *c)
{
    pthread_mutex_lock(&c->lock);
    c->refresh = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}
