/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * identity.h -- who this host is: files in the state folder, written by `pofr-agent enrol`, read by
 * collector (all) and shipper (uuid and pin).
 *
 *   host.uuid     the host's uuid as text, newline                          0644
 *   host.key      Ed25519 private key, OpenSSH form                         0600, the collector's uid
 *   host.key.next a new key that the cluster has not entered yet            0600, the same
 *   gateway.pin   the gateways' host keys: agent/ship/pins.h                0644
 */
#pragma once

#include <sys/types.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/uuid.h"
#include "common/evidence/sshsig.h"

#define IDENTITY_UUID     "host.uuid"
#define IDENTITY_KEY      "host.key"
#define IDENTITY_KEY_NEXT "host.key.next"

/* POFR_ENOTFOUND: this host is not enrolled. */
POFR_MUST_USE int identity_read_uuid(const char *state_dir, struct uuid *out_host, struct pofr_err *err);
/* name: IDENTITY_KEY or IDENTITY_KEY_NEXT. POFR_EPERMISSION: others can read it. */
POFR_MUST_USE int identity_read_key(const char *state_dir, const char *name, struct sshkey **out_key,
                                    struct pofr_err *err);
/* Durable, each file whole or not at all; owner (uid_t)-1 leaves the owner as it is. The uuid is to be written last: it says "enrolled". */
POFR_MUST_USE int identity_write_uuid(const char *state_dir, const struct uuid *host, struct pofr_err *err);
POFR_MUST_USE int identity_write_key(const char *state_dir, const char *name, const struct sshkey *key, uid_t owner,
                                     gid_t group, struct pofr_err *err);
/* host.key.next becomes host.key. Durable. */
POFR_MUST_USE int identity_enter_key(const char *state_dir, struct pofr_err *err);
