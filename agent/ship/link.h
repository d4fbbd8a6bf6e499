/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * link.h -- messages to and from one gateway: dial.h, ssh_client.h and message frames, driven by the loop, with a
 * deadline for each step until it is open. What the messages mean is not its business (session.h).
 *
 * Callbacks come from the loop, never from within link_new(), link_put() or link_close(). In each of them everything is allowed,
 * link_close() included. After closed() the link is no more.
 *
 * Memory: one message out at a time where the caller waits for room(), 64 KiB in, and the library's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ship/ssh_client.h"
#include "common/base/compiler.h"
#include "common/base/hostport.h"
#include "common/wire/message.h"

struct link;
struct loop;
struct pofr_err;

#define LINK_IN_MAX 65536u /* no gateway says more in one message */

struct link_handlers {
    void (*opened)(void *arg);                           /* the subsystem is there; room() follows */
    void (*message)(void *arg, const struct message *m); /* its slices live until the return */
    void (*room)(void *arg);                             /* nothing is waiting to be sent: put more, or nothing */
    void (*progress)(void *arg); /* the peer took a part of a message that goes on; may be NULL */
    void (*closed)(void *arg, int rc, const struct pofr_err *err); /* it broke; not called after link_close() */
    ssh_client_sign_fn sign; /* see ssh_client.h; after SSH_CLIENT_AGAIN call link_signed() */
    void *arg;
};

struct link_options {
    struct hostport gateway;
    char user[40]; /* host uuid, or MESSAGE_ENROL_USER */
    uint8_t public_key[32];
    struct pins pins;
    int64_t connect_us;   /* name and TCP */
    int64_t handshake_us; /* from there to the open subsystem, the signature included */
};

POFR_MUST_USE int link_new(struct loop *loop, const struct link_options *options, const struct link_handlers *handlers,
                           struct link **out, struct pofr_err *err);

/* Without waiting, and without closed(). NULL is allowed. */
void link_close(struct link *l);

/* Queue a message; call it in opened(), room() or message(). The error of message_put(); the link is as before. */
POFR_MUST_USE int link_put(struct link *l, const struct message *m);

/* Is nothing waiting to be sent? */
bool link_has_room(const struct link *l);

/* There may be something to send: room() will be called soon. */
void link_wake(struct link *l);

/* The signature can be made now: sign() will be asked again. */
void link_signed(struct link *l);

/* "192.0.2.7:2222" once it is connected, else "". */
const char *link_peer(const struct link *l);
/* The fingerprint of the gateway's key, once the subsystem is open. */
const uint8_t *link_host_key(const struct link *l);
uint64_t link_bytes_sent(const struct link *l);
