/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.h -- the shipper's side of one session with a gateway, as pure state (docs/PROTOCOL.md).
 *
 * Messages and the time go in; what is to be sent next and what came of it goes out. No I/O, no clock, no
 * allocation: the transport below is link.h, the bundles lie in the spool, and push.h moves all of it.
 *
 *   session_next()     what to send now, asked whenever the transport has room
 *   session_*_sent()   it was handed to the transport
 *   session_take()     a message came
 *   session_outcome()  what is settled, oldest first: acked, or finally refused
 *   session_due_us()   when session_check() and session_next() are to be asked again at the latest
 *
 * ORDER    Bundles that the gateway wants again go first, then from the first unacked one on, each behind the one
 *          before. The gateway acks in that order. A final refusal may overtake the acks of what was sent
 *          before it; session_outcome() puts it back in its place, so that the collector hears of a bundle only
 *          when all before it is settled.
 * LATER    REFUSE later ends the session: a gateway takes no sequence twice in one session.
 * END      An error ends the session: the caller closes, waits at least retry_us, and begins a new one at its
 *          first unacked bundle. Nothing is lost by that, since only an outcome lets go of a bundle.
 *
 * Not thread-safe: one owner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/wire/message.h"

struct pofr_err;

#define SESSION_WINDOW_MAX  256u /* bundles unacked, whatever the gateway allows */
#define SESSION_REASON_SIZE 160u

#define SESSION_WELCOME_US  INT64_C(15000000)  /* HELLO to WELCOME */
#define SESSION_PING_US     INT64_C(30000000)  /* silence until we ask */
#define SESSION_SILENCE_US  INT64_C(90000000)  /* silence that ends the session */
#define SESSION_HOLD_MAX_US INT64_C(600000000) /* no gateway keeps us waiting longer than that at once */

struct session_conf {
    uint64_t window_bytes; /* unacked bytes; one bundle may always be under way */
};

enum session_what {
    SESSION_NOTHING,
    SESSION_SEND_HELLO,
    SESSION_SEND_PING,
    SESSION_SEND_PONG,
    SESSION_SEND_BUNDLE, /* the first one in the spool from first to last; none there: session_none_there() */
};

struct session_turn {
    enum session_what what;
    uint64_t token;       /* of PING, PONG */
    uint64_t first, last; /* of BUNDLE */
};

enum session_result {
    SESSION_ACKED,   /* and so is all before it that was sent in this session */
    SESSION_REFUSED, /* finally */
};

struct session_outcome {
    enum session_result result;
    uint64_t sequence;
    uint8_t digest[32];
    uint64_t bytes;
    uint64_t code; /* of a refusal */
    char reason[SESSION_REASON_SIZE];
};

enum session_phase {
    SESSION_BEGINS,
    SESSION_GREETED,
    SESSION_OPEN
};

enum session_answer {
    SESSION_NO_ANSWER,
    SESSION_IS_ACKED,
    SESSION_IS_REFUSED
};

struct session_entry {
    uint64_t sequence;
    uint8_t digest[32];
    uint64_t bytes;
    enum session_answer answer;
    uint64_t code;
    char reason[SESSION_REASON_SIZE];
};

struct session {
    struct session_conf conf;
    enum session_phase phase;
    uint64_t version; /* spoken, once open */
    uint64_t bundle_max;
    uint64_t window;
    bool stopping;

    /* what to send */
    unsigned wanted_len, wanted_at;
    struct message_range wanted[MESSAGE_WANTED_MAX];
    uint64_t next;   /* position: at or after this comes next */
    uint64_t newest; /* the last one in the spool */
    uint64_t resume; /* where sending goes on behind the wanted ones: the first unacked */

    /* what is under way: a ring, oldest first */
    struct session_entry sent[SESSION_WINDOW_MAX];
    unsigned sent_at, sent_len;
    uint64_t sent_bytes; /* without an answer */

    /* time */
    int64_t heard_us; /* last sign of life */
    int64_t asked_us; /* last PING since then; 0: none */
    int64_t greeted_us;
    int64_t hold_until_us;
    bool pong_due;
    uint64_t pong_token;
    uint64_t ping_token;

    int64_t retry_us; /* after an error: at least this long until the next session */
};

/* unacked: the first sequence to send (acked + 1); newest: the last one in the spool, 0: none. */
void session_init(struct session *s, const struct session_conf *conf, uint64_t unacked, uint64_t newest,
                  int64_t now_us);

/* There are bundles up to newest now. */
void session_news(struct session *s, uint64_t newest);

/* Send no more bundles; what is under way is still waited for. */
void session_stop(struct session *s);

/* Is there nothing under way? */
bool session_is_idle(const struct session *s);

/* What to send now. Pure: asked twice, it says the same. */
void session_next(const struct session *s, int64_t now_us, struct session_turn *out_turn);

/* It was handed to the transport. */
void session_hello_sent(struct session *s, int64_t now_us);
void session_ping_sent(struct session *s, int64_t now_us);
void session_pong_sent(struct session *s);
void session_bundle_sent(struct session *s, uint64_t sequence, const uint8_t digest[32], uint64_t bytes);

/* In place of sending it: it can't be sent (larger than bundle_max, rotten in the spool). Settled as refused by ourselves. */
void session_bundle_unfit(struct session *s, uint64_t sequence, const uint8_t digest[32], uint64_t code,
                          const char *reason);

/* The spool holds nothing from first to last of the turn. */
void session_none_there(struct session *s, const struct session_turn *turn);

/* The peer took bytes from us: a sign of life while a long bundle is on its way. */
void session_alive(struct session *s, int64_t now_us);

/*
 * A message came. POFR_EREFUSED: the gateway wants no session with us now (revoked, pending, protocol …);
 * POFR_EBUSY: it can't now, or not take a bundle now; POFR_EFORMAT: it broke the protocol. After an error the session is over.
 */
POFR_MUST_USE int session_take(struct session *s, const struct message *m, int64_t now_us, struct pofr_err *err);

/* The next settled bundle, oldest first; false: none. Each comes once. */
bool session_outcome(struct session *s, struct session_outcome *out_outcome);

/* Is the time up? POFR_ETIMEOUT: the session is over. */
POFR_MUST_USE int session_check(struct session *s, int64_t now_us, struct pofr_err *err);

/* When to come back at the latest. */
int64_t session_due_us(const struct session *s, int64_t now_us);
