/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lane_parts.h -- what lane, listener and peer share. Not for others.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>

#include "common/base/hashmap.h"
#include "common/os/loop.h"
#include "gateway/catalog.h"
#include "gateway/hosts.h"
#include "gateway/lane.h"
#include "gateway/limits.h"
#include "gateway/mailbox.h"
#include "gateway/publish.h"
#include "gateway/session.h"

#define PEER_TEXT_SIZE 64 /* "[2001:db8::1]:65535" */

enum peer_list {
    PEER_DIRTY,
    PEER_BLOCKED,
    PEER_LISTS
};

struct peer {
    struct lane *lane;
    uint64_t number;
    int fd; /* the ssh session's; -1: the connection is gone */
    ssh_session ssh;
    ssh_event event;
    ssh_channel channel;
    struct ssh_server_callbacks_struct server_callbacks;
    struct ssh_channel_callbacks_struct channel_callbacks;
    struct loop_timer timer;
    uint32_t epoll;

    struct limit_address address;
    char text[PEER_TEXT_SIZE];
    int64_t opened_us;
    unsigned denials, refusals; /* of logins, of requests */

    struct ssh_callbacks_struct callbacks;    /* peer_guard.c: */
    struct ssh_counter_struct bytes, packets; /* on the socket; payloads of packets */
    uint64_t packets_useful;                  /* packets.in_packets when a message's bytes came last */
    uint64_t out_emptied;                     /* out_size() when nothing waited to go out */
    uint64_t exchanges;                       /* of keys */

    bool authenticated; /* by SSH */
    bool is_known;      /* counted as such by limits */
    bool is_watched;    /* by the loop */
    bool is_broken;     /* to be closed: set in libssh's callbacks, where that is not allowed */
    bool is_eof;
    bool said_end;   /* our EOF is out */
    bool deaf;       /* libssh is at work below us: what comes in stays in its buffer */
    bool stalled;    /* there may be bytes in that buffer */
    bool is_sent;    /* nothing of ours waits in libssh, as far as is known */
    int64_t over_us; /* when its session was over; 0: is not */
    struct session_identity who;
    struct session *session;
    struct host_claim claim;

    struct peer *next[PEER_LISTS];
    bool in[PEER_LISTS];
};

struct peers { /* first in, first out */
    struct peer *first, **last;
    enum peer_list which;
};

struct lane_listener {
    struct lane *lane;
    int fd;
    struct loop_timer again;
};

struct lane {
    struct lane_options o;
    pthread_t thread;
    bool started;
    struct loop *loop;
    struct mailbox *mailbox;
    struct publisher *publisher;
    ssh_bind bind;
    struct lane_listener *listeners;
    struct session_env env;
    struct frame_memory memory;
    struct hashmap peers; /* by number */
    uint64_t last_number;
    struct peers dirty, blocked;
    struct note keys_note, drain_note, stop_note;
    struct loop_timer keys_timer, drain_timer, beat_timer;
    _Atomic int64_t drain_deadline_us;
    bool draining, stopping;
    _Atomic bool done;
    _Atomic uint64_t beats;
};

/* peer.c; fd becomes its own */
void peer_open(struct lane *l, int fd, const struct sockaddr_storage *from);
/* Do all that is due: read, write, close. May free p. */
void peer_settle(struct peer *p);
/* The connection goes now; p itself when nothing of it is with Kafka any more. May free p. */
void peer_close(struct peer *p, enum session_end why);
struct peer *peer_find(struct lane *l, uint64_t number);

/* peer_auth.c: libssh's callbacks until there is a session */
void peer_set_callbacks(struct peer *p);
/* Too many wrong logins or requests, or the like. */
void peer_break(struct peer *p);

/* peer_guard.c: what a peer may do to libssh */
void peer_guard_start(struct peer *p);
void peer_guard_useful(struct peer *p); /* bytes of a message were taken */
/* After libssh has read: is it still within its limits? Else it is broken. */
void peer_guard_check(struct peer *p);
/* ssh_channel_write() that ends. */
int peer_guard_write(struct peer *p, struct slice out);

/* peer_ops.c: what its session asks for, and the answers */
extern const struct session_ops peer_ops;
void peer_claim_init(struct peer *p);
void peer_set_known(struct peer *p);

/* lane.c */
void lane_put(struct peers *list, struct peer *p); /* where it is in the list already, it stays where it is */
void lane_take_out(struct peers *list, struct peer *p);
/* Memory or room may have come free: those who wait try again. */
void lane_progressed(struct lane *l);

/* listener.c */
POFR_MUST_USE int listener_start(struct lane *l, struct pofr_err *err);
void listener_stop(struct lane *l);
/* "127.0.0.1:2222" */
void listener_text(const struct sockaddr_storage *at, char out[PEER_TEXT_SIZE]);
