/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ssh_raw.h -- an SSH client without manners: every packet as the test wants it, in any order. curve25519-sha256,
 * aes128-ctr, hmac-sha2-256; the server's key is not looked at.
 *
 * Errors of its own end the program with 2. Where the server has closed, functions say false and ssh_raw_is_closed()
 * is true; where it neither reads nor answers within the time, the program says "timeout" and ends with 3.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/evidence/sshsig.h"

struct ssh_raw;

struct ssh_raw *ssh_raw_connect(const char *address, int64_t timeout_us);
void ssh_raw_free(struct ssh_raw *r);
bool ssh_raw_is_closed(const struct ssh_raw *r);
int ssh_raw_fd(const struct ssh_raw *r);

/* Bytes as they are, outside of any packet. */
bool ssh_raw_bytes(struct ssh_raw *r, struct slice bytes);
bool ssh_raw_banner(struct ssh_raw *r);
/* One packet; encrypted once there are keys. */
bool ssh_raw_send(struct ssh_raw *r, struct slice payload);
/* The next packet's payload, borrowed until the next call. */
bool ssh_raw_receive(struct ssh_raw *r, struct slice *out);
/* Skips what is of another type. */
bool ssh_raw_receive_type(struct ssh_raw *r, uint8_t type, struct slice *out);

/* KEXINIT alone, and all of the exchange; the first one, or another. */
bool ssh_raw_send_kexinit(struct ssh_raw *r);
bool ssh_raw_exchange(struct ssh_raw *r);

/* A login request for a public key: the offer alone, or with its signature. No answer is waited for. */
bool ssh_raw_send_login(struct ssh_raw *r, const char *user, const struct sshkey *key, bool with_signature);
