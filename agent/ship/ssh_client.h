/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssh_client.h -- one SSH connection to a gateway: pinned host key, publickey login with a signature that someone else
 * makes, one channel with the subsystem `pofr`. Never blocks. ssh_client.c is the only file that includes libssh2.h.
 *
 *   ssh_client_advance() until it says 0, then ssh_client_read() and ssh_client_write(); after each call watch the socket for
 *   ssh_client_wants(). Any error is the end: ssh_client_free().
 *
 * Errors: POFR_ECONFLICT: the gateway's host key is not the pinned one (nothing was sent to it but our name for the
 * key exchange). POFR_EREFUSED: it does not take our key, or has no such subsystem. POFR_EPEER: the connection broke.
 * POFR_EFORMAT: it does not speak SSH as we do. POFR_ETOOBIG: it would have us hold more than SSH_CLIENT_MEMORY_MAX.
 *
 * Not thread-safe: one owner; different connections may be on different threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ship/pins.h"
#include "common/base/compiler.h"
#include "common/base/slice.h"

struct pofr_err;
struct ssh_client;

#define SSH_CLIENT_MEMORY_MAX (4u * 1024u * 1024u) /* of the library, for one connection */

/*
 * Sign blob (RFC 4252 part 7: session id and the request) with the private key of options.public_key.
 * 0: out_signature is filled. SSH_CLIENT_AGAIN: not yet; the caller of ssh_client_advance() calls it again once it can be
 * made. Else an error, which ends the connection.
 */
typedef int (*ssh_client_sign_fn)(void *arg, struct slice blob, uint8_t out_signature[64]);

#define SSH_CLIENT_AGAIN 1

struct ssh_client_options {
    const char *user;
    uint8_t public_key[32]; /* Ed25519 */
    struct pins pins;       /* the host key is one of these */
    ssh_client_sign_fn sign;
    void *arg;
};

/* Once per process, before any other and before any thread. */
POFR_MUST_USE int ssh_client_library_init(struct pofr_err *err);
const char *ssh_client_library_version(void);

/* fd: a connected, non-blocking socket; it stays the caller's. */
POFR_MUST_USE int ssh_client_new(int fd, const struct ssh_client_options *options, struct ssh_client **out,
                                 struct pofr_err *err);

/* Ends the connection without waiting. NULL is allowed. The fd is to be closed then. */
void ssh_client_free(struct ssh_client *s);

/* From the first byte to the open subsystem. 0: it is open; SSH_CLIENT_AGAIN: not yet. */
POFR_MUST_USE int ssh_client_advance(struct ssh_client *s, struct pofr_err *err);

/* The fingerprint of the host key, once it is known to be a pinned one; before that zeroes. */
const uint8_t *ssh_client_host_key(const struct ssh_client *s);

/* What it is doing, for messages: "handshake", "login", "channel", "open". */
const char *ssh_client_stage(const struct ssh_client *s);

/* 0 with *out_len 0: nothing now. POFR_EPEER: the gateway closed the channel. */
POFR_MUST_USE int ssh_client_read(struct ssh_client *s, uint8_t *out, size_t room, size_t *out_len,
                                  struct pofr_err *err);

/* Bytes taken from the socket since it is open. Where a read moved this, though it gave nothing, a write may go further now. */
uint64_t ssh_client_received(const struct ssh_client *s);

/*
 * *out_taken bytes of data are on their way or kept to be; the rest is to be offered again. What is kept
 * goes out with the next ssh_client_write(), for which data may be empty.
 */
POFR_MUST_USE int ssh_client_write(struct ssh_client *s, struct slice data, size_t *out_taken, struct pofr_err *err);

/* Is something kept that is not yet handed to the kernel? */
bool ssh_client_unsent(const struct ssh_client *s);

/* Events to wait for (EPOLLIN, EPOLLOUT); 0: for the signature. */
uint32_t ssh_client_wants(const struct ssh_client *s);
