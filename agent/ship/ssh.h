/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssh.h -- one SSH connection to a gateway: pinned host key, publickey login with a signature that someone else
 * makes, one channel with the subsystem `pofr`. Never blocks. ssh.c is the only file that includes libssh2.h.
 *
 *   ssh_advance() until it says 0, then ssh_read() and ssh_write(); after each call watch the socket for
 *   ssh_wants(). Any error is the end: ssh_free().
 *
 * Errors: POFR_ECONFLICT: the gateway's host key is not the pinned one (nothing was sent to it but our name for the
 * key exchange). POFR_EREFUSED: it does not take our key, or has no such subsystem. POFR_EPEER: the connection broke.
 * POFR_EFORMAT: it does not speak SSH as we do. POFR_ETOOBIG: it would have us hold more than SSH_MEMORY_MAX.
 *
 * Not thread-safe: one owner; different connections may be on different threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct pofr_err;
struct ssh;

#define SSH_MEMORY_MAX (4u * 1024u * 1024u) /* of the library, for one connection */

/*
 * Sign blob (RFC 4252 part 7: session id and the request) with the private key of options.public_key.
 * 0: out_signature is filled. SSH_AGAIN: not yet; the caller of ssh_advance() calls it again once it can be
 * made. Else an error, which ends the connection.
 */
typedef int (*ssh_sign_fn)(void *arg, struct slice blob, uint8_t out_signature[64]);

#define SSH_AGAIN 1

struct ssh_options {
    const char *user;
    uint8_t public_key[32];  /* Ed25519 */
    uint8_t fingerprint[32]; /* SHA-256 of the host key's blob */
    ssh_sign_fn sign;
    void *arg;
};

/* Once per process, before any other and before any thread. */
POFR_MUST_USE int ssh_library_init(struct pofr_err *err);
const char *ssh_library_version(void);

/* fd: a connected, non-blocking socket; it stays the caller's. */
POFR_MUST_USE int ssh_new(int fd, const struct ssh_options *options, struct ssh **out, struct pofr_err *err);

/* Ends the connection without waiting. NULL is allowed. The fd may not be used for anything but close() afterwards. */
void ssh_free(struct ssh *s);

/* From the first byte to the open subsystem. 0: it is open; SSH_AGAIN: not yet. */
POFR_MUST_USE int ssh_advance(struct ssh *s, struct pofr_err *err);

/* What it is doing, for messages: "handshake", "login", "channel", "open". */
const char *ssh_stage(const struct ssh *s);

/* 0 with *out_len 0: nothing now. POFR_EPEER: the gateway closed the channel. */
POFR_MUST_USE int ssh_read(struct ssh *s, uint8_t *out, size_t room, size_t *out_len, struct pofr_err *err);

/*
 * *out_taken bytes of data are on their way or kept to be; the rest is to be offered again. What is kept
 * goes out with the next ssh_write(), for which data may be empty.
 */
POFR_MUST_USE int ssh_write(struct ssh *s, struct slice data, size_t *out_taken, struct pofr_err *err);

/* Is something kept that is not yet handed to the kernel? */
bool ssh_unsent(const struct ssh *s);

/* Events to wait for (EPOLLIN, EPOLLOUT); 0: for the signature. */
uint32_t ssh_wants(const struct ssh *s);
