/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session_parts.h -- what the files of session share. Not for others.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/os/clock.h"
#include "gateway/flight.h"
#include "gateway/frame.h"
#include "gateway/session.h"

#define RETRY_SOON_MS 5000u
#define RETRY_LATE_MS 60000u

enum session_state {
    SESSION_FIRST,     /* waits for the one message that its role may send: ENROL or HELLO */
    SESSION_LOOKUP,    /* the key is not in the copy; the catalog is asked */
    SESSION_CLAIM,     /* an older session of the host still has bundles on their way */
    SESSION_ENROLLING, /* the catalog redeems the token */
    SESSION_OPEN,      /* WELCOME is out: bundles */
};

enum session_pause {
    PAUSE_WAIT = 1,   /* for an answer of ours */
    PAUSE_QUEUE = 2,  /* Kafka's client is full */
    PAUSE_MEMORY = 4, /* the lane's share of bytes is used up */
    PAUSE_WINDOW = 8, /* its own share is */
    PAUSE_DRAIN = 16, /* the gateway ends */
};
#define PAUSE_FULL (PAUSE_QUEUE | PAUSE_MEMORY | PAUSE_WINDOW)

struct session {
    const struct session_env *env;
    void *peer;
    struct session_identity who;
    struct session_hello hello;
    enum session_state state;
    unsigned pause; /* of enum session_pause */
    bool over;
    bool reported; /* its host is in the reports */
    enum session_end why;

    struct frame frame; /* what is coming in */
    struct buf out;

    struct flights flights;
    struct flight *blocked; /* the last one, where Kafka's client had no room */
    uint64_t last_sequence; /* 0: none yet */
    uint8_t last_digest[32];
    bool last_readable;

    int64_t opened_us, state_us, frame_us, in_us, ping_us, pause_us, slow_us;
    int64_t wanted_since_us; /* of what its WELCOME named as wanted; wanted.h */
};

void session_send(struct session *s, const struct message *m);
void session_pause(struct session *s, unsigned cause);
void session_resume(struct session *s, unsigned cause);

/* REFUSE that is not about a bundle, and the end: the agent keeps what it has and comes again. reason:
 * static. */
void session_refuse(struct session *s, enum message_refuse code, const char *reason, uint64_t retry_ms,
                    enum session_end why);
void session_refuse_protocol(struct session *s, const char *reason);
void session_refuse_unavailable(struct session *s, const char *reason);

/* session_greet.c: the first message, and what comes of it */
void session_take_hello(struct session *s, const struct message *m);
void session_take_enrol(struct session *s, const struct message *m);
int64_t session_tick_greeting(struct session *s, int64_t now_us);
