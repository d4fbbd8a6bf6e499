/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session.h -- one peer's conversation (docs/PROTOCOL.md), from the first byte in the channel to the last
 * report of Kafka. No SSH, no Kafka, no database in here: the owner brings bytes and answers, and fetches
 * bytes.
 *
 * Every bundle gets one answer, ACK or REFUSE, in the order in which the bundles came. An ACK stands for
 * Kafka's report; nothing else makes one.
 *
 * A session outlives its connection: session_is_idle() says when Kafka has reported all that it published.
 *
 * Not thread-safe: one owner. The ops may not call back into the session before they return.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/base/uuid.h"
#include "common/wire/message.h"
#include "gateway/flight.h"
#include "gateway/gateway_stat.h"

struct keys;
struct limit_values;
struct session;
struct reports;
struct wanted;

enum session_role {
    SESSION_ENROL,   /* may send one ENROL */
    SESSION_UNKNOWN, /* says that it is a host, with a key that is not in the copy: the catalog is asked */
    SESSION_HOST,
    SESSION_REFUSED, /* a host that may not send now; it is told why */
};

struct session_identity { /* what the login showed; see auth.h */
    enum session_role role;
    struct uuid host; /* not with SESSION_ENROL */
    uint8_t key[32];
    uint64_t host_id; /* with SESSION_HOST: */
    uint32_t slot;
    enum message_refuse refuse; /* with SESSION_REFUSED */
    const char *reason;         /* static */
};

struct session_hello { /* what the headers of its bundles say */
    struct uuid boot;
    int64_t offset_us; /* our wall clock minus its boot clock */
    int64_t uncertainty_us;
    uint64_t oldest, newest; /* not in headers: what its spool held and no gateway had acked */
};

struct session_ops {
    /* Ask for the host: session_claimed() follows. 0 or an error. */
    int (*claim)(void *peer);
    /* Ask the catalog for the key: session_judged() follows. 0, or POFR_EFULL. */
    int (*lookup)(void *peer);
    /* Have the token redeemed: session_enrolled() follows. 0, or POFR_EFULL. m and its slices are borrowed.
     */
    int (*enrol)(void *peer, const struct message *m);
    /*
     * Give it to Kafka: session_reported() follows. 0; POFR_EFULL: not now, session_retry() when there is
     * room; another: this session can't go on.
     */
    int (*publish)(void *peer, struct flight *f);
};

struct session_env { /* what all sessions of a lane share; outlives them */
    const struct limit_values *limits;
    const struct keys *keys;
    struct wanted *wanted;
    struct reports *reports;
    struct stat_set *stats;
    const char *gateway;
    struct frame_memory *memory;
    const struct session_ops *ops;
};

/* opened_us: clock_mono_us() when the peer was told that its subsystem is there. */
POFR_MUST_USE int session_new(const struct session_env *env, const struct session_identity *who, void *peer,
                              struct session **out);
/* Only when it is idle. NULL is allowed. */
void session_free(struct session *s);

/* Bytes from the peer. Returns how many were taken: fewer when it paused or is over. */
POFR_MUST_USE size_t session_input(struct session *s, struct slice data);
/* How many bytes it wants next: up to the end of the header or the frame. 0: paused or over. */
size_t session_wants(const struct session *s);
/* Bytes for the peer, borrowed until the next call; session_sent() says how many went. */
struct slice session_output(const struct session *s);
void session_sent(struct session *s, size_t n);

/* Answers to ops. */
void session_claimed(struct session *s);
void session_judged(struct session *s, const struct session_identity *who); /* NULL: the catalog does not answer */
/* refuse 0: enrolled. */
void session_enrolled(struct session *s, const struct message *answer);
void session_reported(struct flight *f, bool delivered);

/* There may be room again. True: it goes on, or is over; false: still none. */
bool session_retry(struct session *s);
/* Keys changed: is it still who it was? With SESSION_REFUSED it is told so, and over. */
void session_rejudge(struct session *s, const struct session_identity *who);
/* The gateway ends: nothing more is read; over when all is reported. */
void session_drain(struct session *s);
/* The connection is gone, or must go. */
void session_end(struct session *s, enum session_end why);
/* Deadlines, PING. When to call again (clock_mono_us()). */
int64_t session_tick(struct session *s, int64_t now_us);

/* Over: what is in session_output() goes out, then the connection is closed. */
bool session_is_over(const struct session *s);
enum session_end session_why(const struct session *s);
/* Over, and nothing of it is with Kafka any more. */
bool session_is_idle(const struct session *s);
/* Waits for room that the lane must find (session_retry()). */
bool session_is_blocked(const struct session *s);
void *session_peer(const struct session *s);
const struct session_identity *session_who(const struct session *s);
const struct session_hello *session_hello_of(const struct session *s);
