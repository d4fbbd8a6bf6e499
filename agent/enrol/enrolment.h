/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * enrolment.h -- the state folder's side of enrolling: who we are (agent/identity.h), what we are called
 * (host.name), where the gateways are (agent/ship/gateways.h). Written so that a crash at any point leaves
 * something that the same command completes: the key first, the uuid last.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "agent/ship/gateways.h"
#include "agent/ship/pins.h"
#include "common/base/compiler.h"
#include "common/base/uuid.h"
#include "common/evidence/sshsig.h"

struct pofr_err;

#define ENROLMENT_NAME_FILE "host.name"
#define ENROLMENT_NAME_SIZE 256

struct enrolment {
    struct uuid host;
    char name[ENROLMENT_NAME_SIZE]; /* the catalog's, as it was then; may be empty */
};

/* What a name may hold here: printable ASCII without quotes and backslash; the rest becomes '_'. Cut to fit. */
void enrolment_set_name(struct enrolment *e, struct slice name);

/* POFR_ENOTFOUND: not enrolled. */
POFR_MUST_USE int enrolment_read(const char *state_dir, struct enrolment *out, struct pofr_err *err);

/* The folder, made where it is missing and then owner's. (uid_t)-1: whoever calls. */
POFR_MUST_USE int enrolment_folder(const char *state_dir, uid_t owner, gid_t group, struct pofr_err *err);

/* One at a time: nobody else enrols this host, or makes a key for it. Closing it lets go. */
POFR_MUST_USE int enrolment_lock(const char *state_dir, int *out_fd, struct pofr_err *err);

/* The host's key; made where there is none yet. *out_made: it was. */
POFR_MUST_USE int enrolment_key(const char *state_dir, uid_t owner, gid_t group, struct sshkey **out_key,
                                bool *out_made, struct pofr_err *err);

POFR_MUST_USE int enrolment_write(const char *state_dir, const struct enrolment *e, const struct gateways *g,
                                  const struct pins *pins, struct pofr_err *err);
