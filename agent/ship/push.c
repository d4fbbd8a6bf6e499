/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * STATES   IDLE       waiting for the collector's state: begins by itself when it comes
 *          WAITING    after a failure, until the timer; then it asks the collector anew, so that each session begins
 *                     at what is unacked now and logs in with the key that counts now
 *          CONNECTING a link that is not open yet; the collector may be signing
 *          OPEN       a session
 *
 * ACKS     go to the collector in the order of the session's outcomes. A final refusal stops them until the collector
 *          has recorded it, since an ack says "and all before it".
 *
 * GATEWAYS are tried in turn; only when all of them failed the back-off begins. A session that got acks, or lasted,
 *          sets it back.
 */
#include "agent/ship/push.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ship/collector.h"
#include "agent/ship/compose.h"
#include "agent/ship/link.h"
#include "agent/ship/session.h"
#include "agent/ship/spool_read.h"
#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "common/os/loop.h"
#include "common/os/retry.h"
#include "common/os/stop_point.h"

#define NEXT_GATEWAY_US INT64_C(50000)
#define LASTING_US      INT64_C(30000000) /* a session this long was a good one */
#define FIGURES_US      INT64_C(10000000)
#define STUCK_US        INT64_C(120000000) /* beside what the configuration allows */

enum push_state {
    PUSH_IDLE,
    PUSH_WAITING,
    PUSH_CONNECTING,
    PUSH_OPEN
};
enum push_signature {
    SIGNATURE_NONE,
    SIGNATURE_ASKED,
    SIGNATURE_HERE,
    SIGNATURE_DENIED
};

struct push {
    struct loop *loop;
    struct push_options options;
    struct spool_read *spool;
    struct collector *collector;
    enum push_state state;
    int64_t state_us; /* since then */
    struct link *link;
    struct session session;
    bool welcomed;
    unsigned gateway; /* that is tried or used, in settings.gateways */
    unsigned failed;  /* gateways in a row */
    struct retry retry;
    struct loop_timer wait;    /* WAITING */
    struct loop_timer due;     /* the session's */
    struct loop_timer figures; /* next report */
    struct loop_timer drain;
    enum push_signature signature_state;
    uint8_t signature[64];
    bool refusing; /* the collector has not answered REFUSED yet */
    bool stopping;

    int64_t open_us; /* since then */
    uint64_t since_wall_us;
    uint64_t sent_bytes, bundles_acked, sessions, failures;
    char peer[72];
    char last_error[240];
};

static void settle(struct push *p);

static void enter(struct push *p, enum push_state state)
{
    p->state = state;
    p->state_us = clock_mono_us();
}

/* --- figures -------------------------------------------------------------------------------------- */

static void report(struct push *p)
{
    struct ipc_message m = { .type = IPC_SHIPPER };

    m.shipper.connected = p->state == PUSH_OPEN && p->welcomed;
    m.shipper.since_wall_us = p->since_wall_us;
    m.shipper.sent_bytes = p->sent_bytes + (p->link ? link_bytes_sent(p->link) : 0);
    m.shipper.bundles_acked = p->bundles_acked;
    m.shipper.sessions = p->sessions;
    m.shipper.failures = p->failures;
    m.shipper.gateway = slice_str(p->peer);
    m.shipper.last_error = slice_str(p->last_error);
    collector_figures(p->collector, &m);
}

static void report_now(void *arg)
{
    struct push *p = arg;

    report(p);
    if (loop_timer_after(p->loop, &p->figures, FIGURES_US, report_now, p) != 0) {
        log_error("push", "no_memory", "what=timer"); /* the next change of state reports */
    }
}

/* --- from one session to the next ----------------------------------------------------------------- */

static void stopped(struct push *p)
{
    loop_timer_cancel(p->loop, &p->drain);
    loop_timer_cancel(p->loop, &p->wait);
    p->options.stopped(p->options.arg);
}

static void close_link(struct push *p)
{
    if (p->link) {
        p->sent_bytes += link_bytes_sent(p->link);
        link_close(p->link);
        p->link = NULL;
    }
    loop_timer_cancel(p->loop, &p->due);
    p->signature_state = SIGNATURE_NONE;
    p->welcomed = false;
}

static void wait_over(void *arg)
{
    struct push *p = arg;

    enter(p, PUSH_IDLE);
    if (collector_is_connected(p->collector)) {
        collector_refresh(p->collector);
    } /* else ready() comes after its connection */
}

static void wait_for(struct push *p, int64_t us)
{
    enter(p, PUSH_WAITING);
    if (loop_timer_after(p->loop, &p->wait, us, wait_over, p) != 0) {
        log_error("push", "no_memory", "what=timer");
        loop_stop(p->loop); /* the supervisor starts us again */
    }
}

/* The session, or the attempt at one, is over. */
static void over(struct push *p, int rc, const char *text)
{
    const struct hostport *g = &p->options.settings.gateways.list[p->gateway];
    bool good = p->state == PUSH_OPEN && p->welcomed && clock_mono_us() - p->open_us >= LASTING_US;
    int64_t least_us = p->state == PUSH_OPEN ? p->session.retry_us : 0, wait_us;
    char clean[sizeof(p->last_error)];

    close_link(p);
    p->failures++;
    p->since_wall_us = (uint64_t)clock_wall_us();
    snprintf(p->last_error, sizeof(p->last_error), "%s", text);
    if (p->stopping) {
        stopped(p);
        return;
    }
    if (good) {
        retry_reset(&p->retry);
        p->failed = 0;
    }
    p->failed++;
    p->gateway = (p->gateway + 1) % p->options.settings.gateways.len;
    wait_us = p->failed % p->options.settings.gateways.len != 0 ? NEXT_GATEWAY_US : retry_next_us(&p->retry);
    if (wait_us < least_us) {
        wait_us = least_us;
    }
    log_escape(slice_str(text), clean, sizeof(clean));
    log_with(NULL, rc == POFR_ECONFLICT ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, "push",
             rc == POFR_ECONFLICT ? "gateway_key_differs" : "session_lost", "gateway=%s:%u error=\"%s\" retry_ms=%lld",
             g->host, (unsigned)g->port, clean, (long long)(wait_us / 1000));
    wait_for(p, wait_us);
    report(p);
}

/* --- the session's messages ----------------------------------------------------------------------- */

static void arm(struct push *p);

static void due(void *arg)
{
    struct push *p = arg;
    struct pofr_err err;
    int rc = session_check(&p->session, clock_mono_us(), &err);

    if (rc != 0) {
        over(p, rc, err.text);
        return;
    }
    link_wake(p->link);
    arm(p);
}

static void arm(struct push *p)
{
    int64_t now = clock_mono_us();

    if (loop_timer_set(p->loop, &p->due, session_due_us(&p->session, now), due, p) != 0) {
        over(p, POFR_ENOMEM, "no memory for a timer");
    }
}

static void pump(void *arg)
{
    struct push *p = arg;
    struct pofr_err err = { 0 };
    int rc = 0;

    while (rc == 0 && link_has_room(p->link)) {
        struct session_turn turn;

        session_next(&p->session, clock_mono_us(), &turn);
        if (turn.what == SESSION_NOTHING) {
            break;
        }
        switch (turn.what) {
        case SESSION_SEND_HELLO:
            rc = compose_hello(p->link, collector_state(p->collector));
            session_hello_sent(&p->session, clock_mono_us());
            break;
        case SESSION_SEND_PING:
            rc = compose_ping(p->link, MESSAGE_PING, turn.token);
            session_ping_sent(&p->session, clock_mono_us());
            break;
        case SESSION_SEND_PONG:
            rc = compose_ping(p->link, MESSAGE_PONG, turn.token);
            session_pong_sent(&p->session);
            break;
        case SESSION_SEND_BUNDLE:
            rc = compose_bundle(p->link, &p->session, p->spool, &turn, &err);
            break;
        case SESSION_NOTHING:
            break;
        }
    }
    if (rc != 0) {
        over(p, rc, err.text[0] ? err.text : pofr_err_text(rc));
        return;
    }
    settle(p); /* what could not be sent */
    if (p->link) {
        arm(p);
    }
}

static void welcome(struct push *p, const struct message *m)
{
    static const uint8_t none[32];
    struct ipc_range ranges[IPC_RANGES_MAX];
    unsigned len = 0;
    char key[PINS_TEXT_SIZE], name[80];

    p->welcomed = true;
    p->sessions++;
    p->since_wall_us = (uint64_t)clock_wall_us();
    p->last_error[0] = '\0';
    for (unsigned i = 0; i < p->session.wanted_len && len < IPC_RANGES_MAX; i++) {
        ranges[len++] = (struct ipc_range){ p->session.wanted[i].first, p->session.wanted[i].last };
    }
    collector_wanted(p->collector, ranges, len);
    if (memcmp(m->welcome.key, none, sizeof(none)) != 0) {
        collector_entered(p->collector, m->welcome.key);
    }
    log_info("push", "session_open", "gateway=%s name=\"%s\" key=%s from=%" PRIu64 " newest=%" PRIu64 " wanted=%u",
             p->peer, log_escape(m->welcome.gateway, name, sizeof(name)), pins_format(link_host_key(p->link), key),
             p->session.resume, p->session.newest, p->session.wanted_len);
    report(p);
}

static void message(void *arg, const struct message *m)
{
    struct push *p = arg;
    struct pofr_err err = { 0 };
    int rc = session_take(&p->session, m, clock_mono_us(), &err);

    if (rc != 0) {
        settle(p); /* what was settled before that stays settled */
        if (p->link) {
            over(p, rc, err.text);
        }
        return;
    }
    if (m->type == MESSAGE_WELCOME) {
        welcome(p, m);
    }
    settle(p);
    if (p->link) {
        arm(p);
    }
}

static void progress(void *arg)
{
    struct push *p = arg;

    session_alive(&p->session, clock_mono_us());
}

/* --- what came of it ------------------------------------------------------------------------------ */

static void refused(struct push *p, const struct session_outcome *o)
{
    log_error("push", "bundle_refused", "sequence=%" PRIu64 " code=%s reason=\"%s\"", o->sequence,
              message_refuse_name(o->code), o->reason);
    if (o->sequence > collector_state(p->collector)->acked) {
        p->refusing = true;
        collector_refuse(p->collector, o->sequence, o->digest, o->code, o->reason);
    } /* else it was wanted again: its place in the chain is settled already */
}

static void settle(struct push *p)
{
    struct session_outcome o, acked = { 0 };

    while (!p->refusing && session_outcome(&p->session, &o)) {
        if (o.result == SESSION_ACKED) {
            p->bundles_acked++;
            p->failed = 0;
            retry_reset(&p->retry);
            if (o.sequence > collector_state(p->collector)->acked) {
                acked = o;
            }
        } else {
            if (acked.sequence > 0) {
                collector_acked(p->collector, acked.sequence, acked.digest);
                acked.sequence = 0;
            }
            refused(p, &o);
        }
    }
    if (acked.sequence > 0) {
        STOP_POINT("push_acked");
        collector_acked(p->collector, acked.sequence, acked.digest);
    }
    if (p->stopping && p->state == PUSH_OPEN && session_is_idle(&p->session) && !p->refusing) {
        close_link(p);
        stopped(p);
    }
}

/* --- the connection ------------------------------------------------------------------------------- */

static int sign(void *arg, struct slice blob, uint8_t out_signature[64])
{
    struct push *p = arg;

    switch (p->signature_state) {
    case SIGNATURE_NONE:
        p->signature_state = SIGNATURE_ASKED;
        collector_sign(p->collector, blob);
        return SSH_CLIENT_AGAIN;
    case SIGNATURE_ASKED:
        return SSH_CLIENT_AGAIN;
    case SIGNATURE_HERE:
        memcpy(out_signature, p->signature, sizeof(p->signature));
        return 0;
    case SIGNATURE_DENIED:
    default:
        return POFR_EREFUSED;
    }
}

static void opened(void *arg)
{
    struct push *p = arg;
    const struct collector_state *c = collector_state(p->collector);
    const struct session_conf conf = { .window_bytes = PUSH_WINDOW_BYTES };

    enter(p, PUSH_OPEN);
    p->open_us = clock_mono_us();
    snprintf(p->peer, sizeof(p->peer), "%s", link_peer(p->link));
    session_init(&p->session, &conf, c->acked + 1, c->newest, p->open_us);
    if (p->stopping) {
        session_stop(&p->session);
    }
}

static void closed(void *arg, int rc, const struct pofr_err *err)
{
    over(arg, rc, err->text);
}

static void connect_now(struct push *p)
{
    const struct collector_state *c = collector_state(p->collector);
    const struct link_handlers handlers = { opened, message, pump, progress, closed, sign, p };
    struct push_settings *s = &p->options.settings;
    struct link_options options = { .connect_us = s->connect_us, .handshake_us = s->connect_us };
    struct pofr_err err;
    int rc;

    enter(p, PUSH_CONNECTING);
    p->signature_state = SIGNATURE_NONE;
    options.gateway = s->gateways.list[p->gateway];
    uuid_format(&c->host, options.user);
    memcpy(options.public_key, c->public_key, 32);
    p->options.read_pins(p->options.arg, &s->pins);
    options.pins = s->pins;
    rc = link_new(p->loop, &options, &handlers, &p->link, &err);
    if (rc != 0) {
        over(p, rc, err.text);
    }
}

/* --- the collector -------------------------------------------------------------------------------- */

static void collector_ready(void *arg)
{
    struct push *p = arg;

    if (p->state == PUSH_IDLE && !p->stopping) {
        connect_now(p);
    }
}

static void collector_news(void *arg)
{
    struct push *p = arg;

    if (p->state == PUSH_OPEN) {
        session_news(&p->session, collector_state(p->collector)->newest);
        link_wake(p->link);
    }
}

static void collector_login(void *arg, const uint8_t signature[64])
{
    struct push *p = arg;

    if (p->signature_state != SIGNATURE_ASKED) {
        return; /* for a login that was given up */
    }
    p->signature_state = signature ? SIGNATURE_HERE : SIGNATURE_DENIED;
    if (signature) {
        memcpy(p->signature, signature, sizeof(p->signature));
    }
    link_signed(p->link);
}

static void collector_refused(void *arg, bool recorded)
{
    struct push *p = arg;

    if (!recorded) {
        log_error("push", "refusal_not_recorded", "reason=unknown");
    }
    p->refusing = false;
    if (p->state == PUSH_OPEN) {
        settle(p);
        if (p->link) {
            link_wake(p->link);
        }
    }
}

static void collector_lost(void *arg)
{
    struct push *p = arg;

    p->refusing = false;
    if (p->state == PUSH_CONNECTING || p->state == PUSH_OPEN) {
        close_link(p);
        enter(p, PUSH_IDLE);
        if (p->stopping) {
            stopped(p);
        }
    }
}

/* --- birth, change, death ------------------------------------------------------------------------- */

int push_new(struct loop *loop, const struct push_options *options, struct push **out, struct pofr_err *err)
{
    struct push *p = calloc(1, sizeof(*p));
    uint64_t seed = 0;
    int rc;

    if (!p) {
        return pofr_err_set(err, POFR_ENOMEM, "no memory to push");
    }
    p->loop = loop;
    p->options = *options;
    enter(p, PUSH_IDLE);
    p->since_wall_us = (uint64_t)clock_wall_us();
    rc = fsio_random(&seed, sizeof(seed), err);
    if (rc == 0) {
        gateways_shuffle(&p->options.settings.gateways, seed);
        retry_init(&p->retry, options->settings.retry_min_us, options->settings.retry_max_us, seed);
        rc = spool_read_open(options->spool_dir, &p->spool, err);
    }
    if (rc == 0) {
        const struct collector_handlers handlers = { collector_ready,   collector_news, collector_login,
                                                     collector_refused, collector_lost, p };

        rc = collector_new(loop, options->socket_path, &handlers, &p->collector, err);
    }
    if (rc == 0) {
        rc = loop_timer_after(loop, &p->figures, FIGURES_US, report_now, p);
    }
    if (rc != 0) {
        push_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void push_free(struct push *p)
{
    if (p) {
        close_link(p);
        loop_timer_cancel(p->loop, &p->wait);
        loop_timer_cancel(p->loop, &p->figures);
        loop_timer_cancel(p->loop, &p->drain);
        collector_free(p->collector);
        spool_read_close(p->spool);
        free(p);
    }
}

void push_change(struct push *p, const struct push_settings *settings)
{
    struct hostport used = p->options.settings.gateways.list[p->gateway];
    bool unpinned = p->state == PUSH_OPEN && !pins_hold(&settings->pins, link_host_key(p->link));
    unsigned at;

    p->options.settings = *settings;
    gateways_shuffle(&p->options.settings.gateways, p->retry.random);
    retry_init(&p->retry, settings->retry_min_us, settings->retry_max_us, p->retry.random);
    p->failed = 0;
    at = gateways_find(&p->options.settings.gateways, &used);
    p->gateway = at < settings->gateways.len ? at : 0;
    if (unpinned || ((p->state == PUSH_CONNECTING || p->state == PUSH_OPEN) && at == settings->gateways.len)) {
        log_info("push", unpinned ? "gateway_key_unpinned" : "gateway_changed", "from=%s:%u", used.host, used.port);
        close_link(p);
        wait_for(p, NEXT_GATEWAY_US);
    } else if (p->state == PUSH_WAITING) {
        wait_for(p, NEXT_GATEWAY_US); /* whoever reloads it does not want to wait */
    }
}

bool push_goes_on(const struct push *p, int64_t now_us)
{
    int64_t lasts_us = now_us - p->state_us;

    switch (p->state) {
    case PUSH_IDLE: /* a collector that is away is waited for, and may be for ever; one that is there answers */
        return !collector_is_connected(p->collector) || lasts_us < STUCK_US;
    case PUSH_WAITING:
        return loop_timer_is_set(&p->wait);
    case PUSH_CONNECTING: /* to connect, and to log in */
        return lasts_us < 2 * p->options.settings.connect_us + STUCK_US;
    case PUSH_OPEN: /* session_check() ends one that says nothing; it is asked for with the first message */
    default:
        return loop_timer_is_set(&p->due) || lasts_us < STUCK_US;
    }
}

static void drained_enough(void *arg)
{
    struct push *p = arg;

    log_warn("push", "stopped_early", "under_way=%u", p->session.sent_len);
    close_link(p);
    stopped(p);
}

void push_stop(struct push *p)
{
    if (p->stopping) {
        return;
    }
    p->stopping = true;
    if (p->state != PUSH_OPEN || !p->welcomed) {
        close_link(p);
        stopped(p);
        return;
    }
    session_stop(&p->session);
    if (loop_timer_after(p->loop, &p->drain, PUSH_DRAIN_US, drained_enough, p) != 0) {
        drained_enough(p);
        return;
    }
    settle(p);
}
