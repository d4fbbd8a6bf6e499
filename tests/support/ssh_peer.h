/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssh_peer.h -- a real SSH server (libssh) on a loopback port, in a thread, that plays the gateway: the test
 * says what it does with each session. For faults that the real gateway can't be made to show.
 *
 * Sessions are served one after the other. serve() runs on the peer's thread; when it returns, the session is closed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wire/message.h"

struct ssh_peer;
struct ssh_peer_session;

struct ssh_peer_options {
    const uint8_t *key;   /* the only Ed25519 key that may log in (32 bytes); NULL: any */
    bool drop_at_login;   /* close the connection instead of answering the login */
    bool no_subsystem;    /* refuse it */
    uint64_t rekey_bytes; /* new keys after so many; 0: as libssh likes */
    void (*serve)(struct ssh_peer_session *s, void *arg);
    void *arg;
};

struct ssh_peer *ssh_peer_start(const struct ssh_peer_options *options);
/* Cuts the session that is served, and waits for the thread. */
void ssh_peer_stop(struct ssh_peer *p);
uint16_t ssh_peer_port(const struct ssh_peer *p);
const uint8_t *ssh_peer_fingerprint(const struct ssh_peer *p); /* 32 bytes */
unsigned ssh_peer_sessions(struct ssh_peer *p);                /* that got as far as serve() */

/* In serve(): the next message (slices live until the next call); false: the other side is gone. */
bool ssh_peer_receive(struct ssh_peer_session *s, struct message *out);
void ssh_peer_send(struct ssh_peer_session *s, const struct message *m);
void ssh_peer_send_bytes(struct ssh_peer_session *s, struct slice bytes);
/* From now on all goes out in one piece, at the end of the session. */
void ssh_peer_cork(struct ssh_peer_session *s);
const char *ssh_peer_user(const struct ssh_peer_session *s);
/* Wait until the other side has closed. Reads nothing before. */
void ssh_peer_wait_for_end(struct ssh_peer_session *s);
