/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * STATES   FIRST -> [LOOKUP] -> CLAIM -> OPEN, or FIRST -> ENROLLING; over from any. All before OPEN is in
 *          session_greet.c.
 *
 * PAUSE    A paused session takes no bytes, so the channel's window closes and the agent waits. QUEUE and
 * MEMORY the lane must lift (session_retry()), the others end by themselves.
 *
 * ANSWERS  See flight.h. When the session is over, only those flights stay that Kafka's client has.
 */
#include "gateway/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/record/limits.h"
#include "gateway/intake.h"
#include "gateway/limits.h"
#include "gateway/reports.h"
#include "gateway/session_parts.h"

#define OUT_MAX      65536u /* unread answers; beyond it the peer is stuck */
#define PING_US      (30 * CLOCK_US_PER_S)
#define SILENCE_US   (90 * CLOCK_US_PER_S)
#define SLOW_DOWN_US (20 * CLOCK_US_PER_S)
#define SLOW_DOWN_MS 1000u

int session_new(const struct session_env *env, const struct session_identity *who, void *peer, struct session **out)
{
    struct session *s = (struct session *)calloc(1, sizeof(*s));

    if (!s) {
        return POFR_ENOMEM;
    }
    s->env = env;
    s->who = *who;
    s->peer = peer;
    s->frame.memory = env->memory;
    flights_init(&s->flights, env->memory, env->stats);
    buf_init(&s->out, OUT_MAX);
    s->opened_us = s->state_us = s->in_us = clock_mono_us();
    *out = s;
    return 0;
}

void session_free(struct session *s)
{
    if (s) {
        assert(s->flights.published == 0);
        if (s->reported) {
            reports_left(s->env->reports, s->who.host_id);
        }
        frame_drop(&s->frame);
        flights_drop(&s->flights);
        buf_free(&s->out);
        free(s);
    }
}

/* --- pauses and ends ---------------------------------------------------------------------------------- */

void session_send(struct session *s, const struct message *m)
{
    if (!s->over && message_put(m, &s->out) != 0) {
        session_end(s, END_STUCK);
    }
}

static void send_slow_down(struct session *s)
{
    struct message m = { .type = MESSAGE_SLOW_DOWN };

    m.slow_down.wait_ms = SLOW_DOWN_MS;
    session_send(s, &m);
    s->slow_us = clock_mono_us();
}

void session_pause(struct session *s, unsigned cause)
{
    bool was_full = (s->pause & PAUSE_FULL) != 0, was_blocked = session_is_blocked(s);

    s->pause |= cause;
    if (!was_full && (s->pause & PAUSE_FULL) != 0) {
        s->pause_us = clock_mono_us();
    }
    if (!was_blocked && session_is_blocked(s)) {
        send_slow_down(s); /* for its own window the agent needs no word: acks will come */
    }
}

void session_resume(struct session *s, unsigned cause)
{
    bool was_full = (s->pause & PAUSE_FULL) != 0;

    s->pause &= ~cause;
    if (was_full && (s->pause & PAUSE_FULL) == 0) {
        stat_add(s->env->stats, STAT_gateway_backpressure, (uint64_t)(clock_mono_us() - s->pause_us));
    }
    if (s->pause == 0) {
        s->in_us = s->frame_us = clock_mono_us(); /* it could not be heard until now */
    }
}

void session_end(struct session *s, enum session_end why)
{
    if (!s->over) {
        session_resume(s, PAUSE_FULL);
        s->over = true;
        s->why = why;
        stat_add_by(s->env->stats, STAT_gateway_sessions_ended, why, 1);
        s->blocked = NULL;
        frame_drop(&s->frame);
        flights_drop(&s->flights);
    }
}

/* Not about a bundle; the agent keeps what it has and comes again. */
void session_refuse(struct session *s, enum message_refuse code, const char *reason, uint64_t retry_ms,
                    enum session_end why)
{
    struct message m = { .type = MESSAGE_REFUSE };

    m.refuse.code = code;
    m.refuse.reason = slice_str(reason);
    m.refuse.retry_ms = retry_ms;
    session_send(s, &m);
    session_end(s, why);
}

void session_refuse_protocol(struct session *s, const char *reason)
{
    session_refuse(s, MESSAGE_REFUSE_PROTOCOL, reason, RETRY_LATE_MS, END_PROTOCOL);
}

void session_refuse_unavailable(struct session *s, const char *reason)
{
    session_refuse(s, MESSAGE_REFUSE_UNAVAILABLE, reason, RETRY_SOON_MS, END_REFUSED);
}

/* --- answers to bundles ------------------------------------------------------------------------------- */

static const enum bundle_result refused_as[] = {
    [MESSAGE_REFUSE_SIGNATURE] = BUNDLE_SIGNATURE,
    [MESSAGE_REFUSE_HOST] = BUNDLE_HOST,
    [MESSAGE_REFUSE_SIZE] = BUNDLE_SIZE,
    [MESSAGE_REFUSE_STATEMENT] = BUNDLE_STATEMENT,
};

static void answer(struct session *s, const struct flight *f)
{
    struct message m;

    memset(&m, 0, sizeof(m));
    if (f->state == FLIGHT_REFUSED) {
        m.type = MESSAGE_REFUSE;
        m.refuse.sequence = f->sequence;
        memcpy(m.refuse.digest, f->digest, sizeof(m.refuse.digest));
        m.refuse.final = true;
        m.refuse.code = f->refuse;
        m.refuse.reason = slice_str(f->reason);
        stat_add_by(s->env->stats, STAT_gateway_bundles, refused_as[f->refuse], 1);
    } else {
        m.type = MESSAGE_ACK;
        m.ack.sequence = f->sequence;
        memcpy(m.ack.digest, f->digest, sizeof(m.ack.digest));
        stat_add_by(s->env->stats, STAT_gateway_bundles, BUNDLE_ACKED, 1);
        stat_add(s->env->stats, STAT_gateway, f->block.len);
        reports_acked(s->env->reports, s->who.host_id, f->sequence, clock_wall_us());
        stat_observe(s->env->stats, STAT_gateway_ack, (uint64_t)(clock_mono_us() - f->since_us));
    }
    session_send(s, &m);
}

static bool has_room(const struct session *s)
{
    return s->flights.count <= atomic_load(&s->env->limits->window) &&
           (s->flights.count == 0 || s->flights.bytes < atomic_load(&s->env->limits->session_memory));
}

static void answer_ready(struct session *s)
{
    struct flight *f;

    while (!s->over && (f = flights_pop(&s->flights)) != NULL) {
        answer(s, f);
        flights_free_one(&s->flights, f);
    }
    if (!s->over && s->pause & PAUSE_WINDOW && has_room(s)) {
        session_resume(s, PAUSE_WINDOW);
    }
    if (!s->over && s->pause & PAUSE_DRAIN && s->flights.count == 0) {
        session_end(s, END_DRAIN);
    }
}

void session_reported(struct flight *f, bool delivered)
{
    struct session *s = f->session;

    assert(f->state == FLIGHT_PUBLISHED);
    s->flights.published--;
    if (s->over || !delivered) {
        stat_add_by(s->env->stats, STAT_gateway_bundles, delivered ? BUNDLE_UNASKED : BUNDLE_UNDELIVERED, 1);
        flights_remove(&s->flights, f);
        flights_free_one(&s->flights, f);
        if (!s->over) {
            session_refuse(s, MESSAGE_REFUSE_UNAVAILABLE, "Kafka did not take a bundle", RETRY_SOON_MS, END_DELIVERY);
        }
        return;
    }
    f->state = FLIGHT_REPORTED;
    answer_ready(s);
}

/* --- bundles ------------------------------------------------------------------------------------------ */

static void publish(struct session *s, struct flight *f)
{
    int rc;

    rc = s->env->ops->publish(s->peer, f);
    if (rc == 0) {
        f->state = FLIGHT_PUBLISHED;
        s->flights.published++;
        s->blocked = NULL;
        session_resume(s, PAUSE_QUEUE);
    } else if (rc == POFR_EFULL) {
        s->blocked = f;
        session_pause(s, PAUSE_QUEUE);
    } else {
        session_refuse(s, MESSAGE_REFUSE_UNAVAILABLE, "Kafka can't be reached", RETRY_SOON_MS, END_DELIVERY);
    }
}

static bool breaks_chain(const struct session *s, uint64_t sequence, const struct intake *in)
{
    return in->readable && s->last_readable && sequence == s->last_sequence + 1 &&
           memcmp(in->previous, s->last_digest, sizeof(in->previous)) != 0;
}

static void take_bundle(struct session *s, const struct message *m)
{
    uint64_t sequence = m->bundle.sequence;
    struct intake in;
    struct flight *f;

    if (sequence == 0 || slice_empty(m->bundle.block)) {
        session_refuse_protocol(s, "a bundle without sequence or block");
        return;
    }
    if (sequence <= s->last_sequence) {
        stat_add_by(s->env->stats, STAT_gateway_bundles, BUNDLE_ORDER, 1);
        session_refuse(s, MESSAGE_REFUSE_ORDER, "out of sequence within the session", RETRY_SOON_MS, END_ORDER);
        return;
    }
    if (intake_check(m->bundle.block, sequence, &s->who.host, atomic_load(&s->env->limits->bundle_max), s->env->keys,
                     &in) != 0 ||
        (f = flights_add(&s->flights, &s->frame, m->bundle.block, sequence, &in)) == NULL) {
        session_refuse(s, MESSAGE_REFUSE_BUSY, "out of memory", RETRY_SOON_MS, END_RESOURCES);
        return;
    }
    f->session = s;
    f->doubt = breaks_chain(s, sequence, &in);
    stat_add(s->env->stats, STAT_gateway_doubts, f->doubt ? 1 : 0);
    stat_add(s->env->stats, STAT_gateway_skips, s->last_sequence != 0 && sequence != s->last_sequence + 1 ? 1 : 0);
    s->last_sequence = sequence;
    s->last_readable = in.readable;
    memcpy(s->last_digest, in.digest, sizeof(s->last_digest));
    if (f->state == FLIGHT_REFUSED) {
        answer_ready(s);
    } else {
        publish(s, f);
    }
    if (!s->over && !has_room(s)) {
        session_pause(s, PAUSE_WINDOW);
    }
}

/* --- frames ------------------------------------------------------------------------------------------- */

static void take_message(struct session *s, const struct message *m)
{
    enum message_type first = s->who.role == SESSION_ENROL ? MESSAGE_ENROL : MESSAGE_HELLO;
    struct message pong = { .type = MESSAGE_PONG };

    if (s->state == SESSION_FIRST) {
        if (m->type != first) {
            session_refuse_protocol(s, first == MESSAGE_ENROL ? "ENROL is wanted" : "HELLO is wanted");
        } else if (first == MESSAGE_ENROL) {
            session_take_enrol(s, m);
        } else {
            session_take_hello(s, m);
        }
        return;
    }
    switch (m->type) {
    case MESSAGE_BUNDLE:
        take_bundle(s, m);
        break;
    case MESSAGE_PING:
        pong.ping.token = m->ping.token;
        session_send(s, &pong);
        break;
    case MESSAGE_PONG:
        break;
    default:
        if ((unsigned)m->type < MESSAGE_IGNORABLE) {
            session_refuse_protocol(s, "a message that an agent does not send here");
        }
    }
}

static size_t frame_max(const struct session *s)
{
    return s->state == SESSION_OPEN && frame_type(&s->frame) == MESSAGE_BUNDLE ? MESSAGE_MAX : FRAME_SMALL;
}

static void take_frame(struct session *s)
{
    struct slice bytes = frame_bytes(&s->frame);
    struct message m;
    size_t used = 0;

    s->in_us = clock_mono_us();
    if (message_get(bytes, frame_max(s), &m, &used) != 1 || used != bytes.len) {
        session_refuse_protocol(s, "a message that can't be read");
        return;
    }
    take_message(s, &m);
    frame_drop(&s->frame); /* a bundle's is its flight's by now */
}

/* The header is there. */
static void begin_frame(struct session *s)
{
    int rc = frame_begin(&s->frame, frame_max(s));

    if (rc == POFR_EFULL) {
        session_pause(s, PAUSE_MEMORY);
    } else if (rc == POFR_ENOMEM) {
        session_refuse(s, MESSAGE_REFUSE_BUSY, "out of memory", RETRY_SOON_MS, END_RESOURCES);
    } else if (rc != 0) {
        session_refuse_protocol(s, rc == POFR_ETOOBIG ? "a message is too large" : "this is no message");
    } else if (frame_is_whole(&s->frame)) {
        take_frame(s);
    }
}

size_t session_wants(const struct session *s)
{
    return s->over || s->pause != 0 ? 0 : frame_wants(&s->frame);
}

size_t session_input(struct session *s, struct slice data)
{
    size_t taken = 0, n;

    while (taken < data.len && (n = session_wants(s)) > 0) {
        n = n < data.len - taken ? n : data.len - taken;
        if (frame_is_empty(&s->frame)) {
            s->frame_us = clock_mono_us();
        }
        frame_add(&s->frame, slice_sub(data, taken, n));
        taken += n;
        if (frame_has_header(&s->frame)) {
            begin_frame(s);
        } else if (frame_is_whole(&s->frame)) {
            take_frame(s);
        }
    }
    return taken;
}

bool session_retry(struct session *s)
{
    if (!s->over && s->blocked) {
        publish(s, s->blocked);
    }
    if (!s->over && s->pause & PAUSE_MEMORY) {
        session_resume(s, PAUSE_MEMORY);
        begin_frame(s); /* pauses it again where there is still no room */
    }
    return !session_is_blocked(s);
}

/* --- output, time, questions -------------------------------------------------------------------------- */

struct slice session_output(const struct session *s)
{
    return buf_slice(&s->out);
}

void session_sent(struct session *s, size_t n)
{
    buf_consume(&s->out, n);
    if (s->out.len == 0) {
        buf_free(&s->out); /* most sessions are idle most of the time */
    }
}

void session_drain(struct session *s)
{
    if (!s->over) {
        session_pause(s, PAUSE_DRAIN);
        frame_drop(&s->frame);
        send_slow_down(s);
        answer_ready(s);
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t tick_open(struct session *s, int64_t now)
{
    struct message ping = { .type = MESSAGE_PING };
    int64_t message_us = atomic_load(&s->env->limits->message_us);

    if (s->pause != 0) {
        if (s->pause & PAUSE_FULL && now >= s->slow_us + SLOW_DOWN_US) {
            send_slow_down(s);
        }
        return now + SLOW_DOWN_US;
    }
    if (!frame_is_empty(&s->frame) && now >= s->frame_us + message_us) {
        session_end(s, END_SLOW);
        return now;
    }
    if (now >= s->in_us + SILENCE_US) {
        session_end(s, END_SILENCE);
        return now;
    }
    if (now >= s->in_us + PING_US && s->ping_us <= s->in_us) {
        ping.ping.token = (uint64_t)now;
        session_send(s, &ping);
        s->ping_us = now;
    }
    return earlier(s->ping_us > s->in_us ? s->in_us + SILENCE_US : s->in_us + PING_US,
                   frame_is_empty(&s->frame) ? INT64_MAX : s->frame_us + message_us);
}

int64_t session_tick(struct session *s, int64_t now)
{
    int64_t due;

    if (s->over) {
        return INT64_MAX;
    }
    due = s->state == SESSION_OPEN ? tick_open(s, now) : session_tick_greeting(s, now);
    return s->over ? now : due;
}

bool session_is_over(const struct session *s)
{
    return s->over;
}

enum session_end session_why(const struct session *s)
{
    return s->why;
}

bool session_is_idle(const struct session *s)
{
    return s->over && s->flights.published == 0;
}

bool session_is_blocked(const struct session *s)
{
    return !s->over && (s->pause & (PAUSE_QUEUE | PAUSE_MEMORY)) != 0;
}

void *session_peer(const struct session *s)
{
    return s->peer;
}

const struct session_identity *session_who(const struct session *s)
{
    return &s->who;
}

const struct session_hello *session_hello_of(const struct session *s)
{
    return &s->hello;
}
