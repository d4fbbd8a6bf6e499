/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What comes before the first bundle: HELLO, the catalog where the key is not in the copy, the host's older
 * session, WELCOME; or ENROL and its answer.
 */
#include <assert.h>
#include <string.h>

#include "common/base/err.h"
#include "common/catalog/keys.h"
#include "gateway/limits.h"
#include "gateway/reports.h"
#include "gateway/session_parts.h"
#include "gateway/wanted.h"

#define WAIT_MAX_US (15 * CLOCK_US_PER_S)
#define BOOT_US_MAX (INT64_MAX / 4)

static void wait_in(struct session *s, enum session_state state)
{
    s->state = state;
    s->state_us = clock_mono_us();
    session_pause(s, PAUSE_WAIT);
}

static void welcome(struct session *s)
{
    struct message m;
    int64_t now = clock_wall_us();

    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_WELCOME;
    m.welcome.version = MESSAGE_VERSION;
    m.welcome.gateway = slice_str(s->env->gateway);
    m.welcome.bundle_max = atomic_load(&s->env->limits->bundle_max);
    m.welcome.window = atomic_load(&s->env->limits->window);
    m.welcome.wall_us = (uint64_t)now;
    if (keys_newest(s->env->keys, s->who.host_id, now, m.welcome.key) != 0) {
        memcpy(m.welcome.key, s->who.key, sizeof(m.welcome.key));
    }
    m.welcome.wanted_len =
        wanted_of(s->env->wanted, s->who.host_id, m.welcome.wanted, MESSAGE_WANTED_MAX, &s->wanted_since_us);
    s->state = SESSION_OPEN;
    reports_hello(s->env->reports, s->who.host_id, s->hello.oldest, s->hello.newest, now);
    s->reported = true;
    session_send(s, &m);
    session_resume(s, PAUSE_WAIT);
}

static void enter_as_host(struct session *s)
{
    int rc;

    wait_in(s, SESSION_CLAIM);
    rc = s->env->ops->claim(s->peer);
    if (rc != 0) {
        session_refuse(s, MESSAGE_REFUSE_BUSY, "out of memory", RETRY_SOON_MS, END_RESOURCES);
    }
}

static void enter(struct session *s)
{
    switch (s->who.role) {
    case SESSION_HOST:
        enter_as_host(s);
        break;
    case SESSION_REFUSED:
        session_refuse(s, s->who.refuse, s->who.reason, RETRY_LATE_MS, END_REFUSED);
        break;
    case SESSION_UNKNOWN:
        wait_in(s, SESSION_LOOKUP);
        if (s->env->ops->lookup(s->peer) != 0) {
            session_refuse_unavailable(s, "the catalog is asked too much now");
        }
        break;
    case SESSION_ENROL:
        assert(0);
        break;
    }
}

/*
 * The boot clock was read somewhere between our telling that the subsystem is there and HELLO's arrival: so
 * the middle of the two is off by at most half of it.
 */
void session_take_hello(struct session *s, const struct message *m)
{
    int64_t took = clock_mono_us() - s->opened_us;

    if (m->hello.version == 0 || m->hello.boot_us > (uint64_t)BOOT_US_MAX || uuid_is_zero(&m->hello.boot)) {
        session_refuse_protocol(s, "HELLO lacks something");
        return;
    }
    if (!uuid_eq(&m->hello.host, &s->who.host)) {
        session_refuse_protocol(s, "HELLO names another host than the login");
        return;
    }
    s->hello.boot = m->hello.boot;
    s->hello.oldest = m->hello.oldest;
    s->hello.newest = m->hello.newest;
    s->hello.offset_us = clock_wall_us() - took / 2 - (int64_t)m->hello.boot_us;
    s->hello.uncertainty_us = (took + 1) / 2 > 1000 ? (took + 1) / 2 : 1000;
    enter(s);
}

void session_take_enrol(struct session *s, const struct message *m)
{
    if (m->enrol.version == 0 || !slice_eq(m->enrol.public_key, slice_of(s->who.key, sizeof(s->who.key)))) {
        session_refuse_protocol(s, "ENROL does not name the key of the login");
        return;
    }
    wait_in(s, SESSION_ENROLLING);
    if (s->env->ops->enrol(s->peer, m) != 0) {
        stat_add_by(s->env->stats, STAT_gateway_enrolments, ENROLMENT_UNAVAILABLE, 1);
        session_refuse_unavailable(s, "the catalog is asked too much now");
    }
}

void session_claimed(struct session *s)
{
    if (!s->over && s->state == SESSION_CLAIM) {
        welcome(s);
    }
}

void session_judged(struct session *s, const struct session_identity *who)
{
    if (s->over || s->state != SESSION_LOOKUP) {
        return;
    }
    if (!who) {
        session_refuse_unavailable(s, "the catalog can't be reached");
        return;
    }
    s->who = *who;
    enter(s);
}

void session_enrolled(struct session *s, const struct message *reply)
{
    if (!s->over && s->state == SESSION_ENROLLING) {
        session_send(s, reply);
        session_end(s, END_DONE);
    }
}

void session_rejudge(struct session *s, const struct session_identity *who)
{
    if (!s->over && s->who.role == SESSION_HOST && who->role != SESSION_HOST) {
        stat_add(s->env->stats, STAT_gateway_revocations, 1);
        session_refuse(s, who->refuse != 0 ? who->refuse : MESSAGE_REFUSE_REVOKED,
                       who->reason ? who->reason : "the key is not known any more", RETRY_LATE_MS, END_REFUSED);
    }
    if (!s->over && s->state == SESSION_OPEN && s->who.role == SESSION_HOST) {
        int64_t since_us;

        (void)wanted_of(s->env->wanted, s->who.host_id, NULL, MESSAGE_WANTED_MAX, &since_us);
        if (since_us > s->wanted_since_us) { /* only the answer to HELLO names them */
            session_refuse(s, MESSAGE_REFUSE_BUSY, "bundles are wanted again", RETRY_SOON_MS, END_WANTED);
        }
    }
}

int64_t session_tick_greeting(struct session *s, int64_t now_us)
{
    int64_t due;

    if (s->state == SESSION_FIRST) {
        due = s->opened_us + atomic_load(&s->env->limits->auth_us);
        if (now_us >= due) {
            session_end(s, END_SLOW);
        }
        return due;
    }
    due = s->state_us + WAIT_MAX_US;
    if (now_us >= due) {
        if (s->state == SESSION_ENROLLING) {
            stat_add_by(s->env->stats, STAT_gateway_enrolments, ENROLMENT_UNAVAILABLE, 1);
        }
        session_refuse_unavailable(s, s->state == SESSION_CLAIM
                                          ? "earlier bundles of this host are still on their way to Kafka"
                                          : "the catalog does not answer");
    }
    return due;
}
