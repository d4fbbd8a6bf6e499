/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/ship/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/err.h"
#include "common/os/log.h"
#include "common/record/limits.h"

void session_init(struct session *s, const struct session_conf *conf, uint64_t unacked, uint64_t newest, int64_t now_us)
{
    memset(s, 0, sizeof(*s));
    s->conf = *conf;
    s->phase = SESSION_BEGINS;
    s->resume = unacked > 0 ? unacked : 1;
    s->next = s->resume;
    s->newest = newest;
    s->heard_us = now_us;
    s->ping_token = 1;
}

void session_news(struct session *s, uint64_t newest)
{
    if (newest > s->newest) {
        s->newest = newest;
    }
}

void session_stop(struct session *s)
{
    s->stopping = true;
}

bool session_is_idle(const struct session *s)
{
    return s->sent_len == 0;
}

static struct session_entry *entry(struct session *s, unsigned i)
{
    return &s->sent[(s->sent_at + i) % SESSION_WINDOW_MAX];
}

/* Under way and not answered. */
static unsigned unanswered(const struct session *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->sent_len; i++) {
        n += s->sent[(s->sent_at + i) % SESSION_WINDOW_MAX].answer == SESSION_NO_ANSWER;
    }
    return n;
}

static bool may_send_bundle(const struct session *s, int64_t now_us)
{
    return s->phase == SESSION_OPEN && !s->stopping && now_us >= s->hold_until_us && s->sent_len < SESSION_WINDOW_MAX &&
           unanswered(s) < s->window && (s->sent_bytes == 0 || s->sent_bytes < s->conf.window_bytes);
}

void session_next(const struct session *s, int64_t now_us, struct session_turn *out_turn)
{
    *out_turn = (struct session_turn){ .what = SESSION_NOTHING };
    if (s->phase == SESSION_BEGINS) {
        out_turn->what = SESSION_SEND_HELLO;
    } else if (s->pong_due) {
        out_turn->what = SESSION_SEND_PONG;
        out_turn->token = s->pong_token;
    } else if (s->phase == SESSION_OPEN && s->asked_us == 0 && now_us - s->heard_us >= SESSION_PING_US) {
        out_turn->what = SESSION_SEND_PING;
        out_turn->token = s->ping_token;
    } else if (may_send_bundle(s, now_us)) {
        uint64_t last = s->wanted_at < s->wanted_len ? s->wanted[s->wanted_at].last : s->newest;

        if (s->next <= last) {
            *out_turn = (struct session_turn){ .what = SESSION_SEND_BUNDLE, .first = s->next, .last = last };
        }
    }
}

void session_hello_sent(struct session *s, int64_t now_us)
{
    s->phase = SESSION_GREETED;
    s->greeted_us = now_us;
}

void session_ping_sent(struct session *s, int64_t now_us)
{
    s->asked_us = now_us;
    s->ping_token++;
}

void session_pong_sent(struct session *s)
{
    s->pong_due = false;
}

/* Behind sequence, or behind the range that is used up. */
static void advance(struct session *s, uint64_t to)
{
    s->next = to;
    while (s->wanted_at < s->wanted_len && s->next > s->wanted[s->wanted_at].last) {
        s->wanted_at++;
        if (s->wanted_at < s->wanted_len) {
            if (s->next < s->wanted[s->wanted_at].first) {
                s->next = s->wanted[s->wanted_at].first;
            }
        } else if (s->next < s->resume) {
            s->next = s->resume;
        }
    }
}

static struct session_entry *push_entry(struct session *s, uint64_t sequence, const uint8_t digest[32], uint64_t bytes)
{
    struct session_entry *e = entry(s, s->sent_len);

    assert(s->sent_len < SESSION_WINDOW_MAX);
    memset(e, 0, sizeof(*e));
    e->sequence = sequence;
    memcpy(e->digest, digest, sizeof(e->digest));
    e->bytes = bytes;
    s->sent_len++;
    advance(s, sequence + 1);
    return e;
}

void session_bundle_sent(struct session *s, uint64_t sequence, const uint8_t digest[32], uint64_t bytes)
{
    push_entry(s, sequence, digest, bytes);
    s->sent_bytes += bytes;
}

void session_bundle_unfit(struct session *s, uint64_t sequence, const uint8_t digest[32], uint64_t code,
                          const char *reason)
{
    struct session_entry *e = push_entry(s, sequence, digest, 0);

    e->answer = SESSION_IS_REFUSED;
    e->code = code;
    log_escape(slice_str(reason), e->reason, sizeof(e->reason));
}

void session_none_there(struct session *s, const struct session_turn *turn)
{
    if (turn->last < UINT64_MAX) {
        advance(s, turn->last + 1);
    }
}

void session_alive(struct session *s, int64_t now_us)
{
    s->heard_us = now_us;
    s->asked_us = 0;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct message_range *x = a, *y = b;

    return (x->first > y->first) - (x->first < y->first);
}

/* Oldest first, without what makes no sense and what is sent anyway. */
static void set_wanted(struct session *s, const struct message *m)
{
    for (unsigned i = 0; i < m->welcome.wanted_len && i < MESSAGE_WANTED_MAX; i++) {
        struct message_range r = m->welcome.wanted[i];

        if (r.last >= s->resume) {
            r.last = s->resume - 1;
        }
        if (r.first > 0 && r.first <= r.last) {
            s->wanted[s->wanted_len++] = r;
        }
    }
    qsort(s->wanted, s->wanted_len, sizeof(s->wanted[0]), compare_ranges);
    s->wanted_at = 0;
    s->next = s->wanted_len > 0 ? s->wanted[0].first : s->resume;
}

static int take_welcome(struct session *s, const struct message *m, struct pofr_err *err)
{
    if (s->phase != SESSION_GREETED) {
        return pofr_err_set(err, POFR_EFORMAT, "WELCOME out of place");
    }
    if (m->welcome.version == 0) {
        return pofr_err_set(err, POFR_EFORMAT, "WELCOME without a version");
    }
    s->version = m->welcome.version < MESSAGE_VERSION ? m->welcome.version : MESSAGE_VERSION;
    s->bundle_max =
        m->welcome.bundle_max > 0 && m->welcome.bundle_max < BUNDLE_MAX ? m->welcome.bundle_max : BUNDLE_MAX;
    s->window = m->welcome.window > 0 ? m->welcome.window : 1;
    if (s->window > SESSION_WINDOW_MAX) {
        s->window = SESSION_WINDOW_MAX;
    }
    set_wanted(s, m);
    s->phase = SESSION_OPEN;
    return 0;
}

static void answered(struct session *s, struct session_entry *e, enum session_answer answer)
{
    s->sent_bytes -= e->bytes;
    e->answer = answer;
}

static int take_ack(struct session *s, const struct message *m, struct pofr_err *err)
{
    if (s->phase != SESSION_OPEN) {
        return pofr_err_set(err, POFR_EFORMAT, "ACK out of place");
    }
    for (unsigned i = 0; i < s->sent_len; i++) {
        struct session_entry *e = entry(s, i);

        if (e->answer != SESSION_NO_ANSWER) {
            continue;
        }
        if (e->sequence != m->ack.sequence || memcmp(e->digest, m->ack.digest, 32) != 0) {
            return pofr_err_set(err, POFR_EFORMAT, "ACK of %llu where %llu was next%s",
                                (unsigned long long)m->ack.sequence, (unsigned long long)e->sequence,
                                e->sequence == m->ack.sequence ? ", with another digest" : "");
        }
        answered(s, e, SESSION_IS_ACKED);
        return 0;
    }
    return pofr_err_set(err, POFR_EFORMAT, "ACK of %llu where none was under way", (unsigned long long)m->ack.sequence);
}

static int64_t capped_us(uint64_t ms)
{
    return ms < (uint64_t)(SESSION_HOLD_MAX_US / 1000) ? (int64_t)ms * 1000 : SESSION_HOLD_MAX_US;
}

/* Not finally, or about no bundle: the session is over. */
static int refuse_session(struct session *s, const struct message *m, struct pofr_err *err)
{
    bool refused = m->refuse.final || m->refuse.code == MESSAGE_REFUSE_REVOKED ||
                   m->refuse.code == MESSAGE_REFUSE_PENDING || m->refuse.code == MESSAGE_REFUSE_PROTOCOL;
    char reason[SESSION_REASON_SIZE];

    s->retry_us = capped_us(m->refuse.retry_ms);
    log_escape(m->refuse.reason, reason, sizeof(reason));
    return pofr_err_set(err, refused ? POFR_EREFUSED : POFR_EBUSY, "the gateway refuses: %s%s%s",
                        message_refuse_name(m->refuse.code), reason[0] ? ": " : "", reason);
}

static int take_refuse(struct session *s, const struct message *m, struct pofr_err *err)
{
    if (!m->refuse.final || m->refuse.sequence == 0 || s->phase != SESSION_OPEN) {
        return refuse_session(s, m, err);
    }
    for (unsigned i = 0; i < s->sent_len; i++) {
        struct session_entry *e = entry(s, i);

        if (e->answer == SESSION_NO_ANSWER && e->sequence == m->refuse.sequence) {
            /* The digest is of the block where the statement could not be read: the sequence says which is meant. */
            answered(s, e, SESSION_IS_REFUSED);
            e->code = m->refuse.code;
            log_escape(m->refuse.reason, e->reason, sizeof(e->reason));
            return 0;
        }
    }
    return pofr_err_set(err, POFR_EFORMAT, "REFUSE of %llu, which is not under way",
                        (unsigned long long)m->refuse.sequence);
}

int session_take(struct session *s, const struct message *m, int64_t now_us, struct pofr_err *err)
{
    session_alive(s, now_us);
    switch (m->type) {
    case MESSAGE_WELCOME:
        return take_welcome(s, m, err);
    case MESSAGE_ACK:
        return take_ack(s, m, err);
    case MESSAGE_REFUSE:
        return take_refuse(s, m, err);
    case MESSAGE_SLOW_DOWN:
        if (now_us + capped_us(m->slow_down.wait_ms) > s->hold_until_us) {
            s->hold_until_us = now_us + capped_us(m->slow_down.wait_ms);
        }
        return 0;
    case MESSAGE_PING:
        s->pong_due = true;
        s->pong_token = m->ping.token;
        return 0;
    case MESSAGE_PONG:
        return 0;
    case MESSAGE_ENROL:
    case MESSAGE_ENROLLED:
    case MESSAGE_HELLO:
    case MESSAGE_BUNDLE:
        return pofr_err_set(err, POFR_EFORMAT, "a message of type %d from a gateway", (int)m->type);
    case MESSAGE_IGNORABLE:
    default: /* message_get() lets through only those that may be skipped */
        return 0;
    }
}

bool session_outcome(struct session *s, struct session_outcome *out_outcome)
{
    struct session_entry *e = entry(s, 0);

    if (s->sent_len == 0 || e->answer == SESSION_NO_ANSWER) {
        return false;
    }
    *out_outcome = (struct session_outcome){
        .result = e->answer == SESSION_IS_ACKED ? SESSION_ACKED : SESSION_REFUSED,
        .sequence = e->sequence,
        .bytes = e->bytes,
        .code = e->code,
    };
    memcpy(out_outcome->digest, e->digest, sizeof(e->digest));
    memcpy(out_outcome->reason, e->reason, sizeof(e->reason));
    s->sent_at = (s->sent_at + 1) % SESSION_WINDOW_MAX;
    s->sent_len--;
    return true;
}

int session_check(struct session *s, int64_t now_us, struct pofr_err *err)
{
    if (s->phase == SESSION_GREETED && now_us - s->greeted_us >= SESSION_WELCOME_US) {
        return pofr_err_set(err, POFR_ETIMEOUT, "no WELCOME within %lld s", (long long)(SESSION_WELCOME_US / 1000000));
    }
    if (now_us - s->heard_us >= SESSION_SILENCE_US) {
        return pofr_err_set(err, POFR_ETIMEOUT, "the gateway was silent for %lld s",
                            (long long)(SESSION_SILENCE_US / 1000000));
    }
    return 0;
}

static void sooner(int64_t *due, int64_t at)
{
    if (at < *due) {
        *due = at;
    }
}

int64_t session_due_us(const struct session *s, int64_t now_us)
{
    int64_t due = s->heard_us + SESSION_SILENCE_US;

    if (s->phase == SESSION_GREETED) {
        sooner(&due, s->greeted_us + SESSION_WELCOME_US);
    }
    if (s->phase == SESSION_OPEN && s->asked_us == 0) {
        sooner(&due, s->heard_us + SESSION_PING_US);
    }
    if (s->hold_until_us > now_us) {
        sooner(&due, s->hold_until_us);
    }
    return due;
}
