/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * session_rig.h -- a gateway's session with all around it played: the catalog's copy (no database), Kafka, the host's
 * other sessions. For unit tests and the fuzz target.
 *
 * Nothing answers by itself: the test says what becomes of a claim, a look-up, a bundle. Errors of the rig itself end
 * the program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/catalog/keys.h"
#include "common/evidence/statement.h"
#include "common/evidence/sshsig.h"
#include "gateway/limits.h"
#include "gateway/reports.h"
#include "gateway/session.h"
#include "gateway/wanted.h"

#define RIG_PUBLISHED_MAX 4096

struct rig {
    struct session_env env;
    struct keys *keys;
    struct wanted *wanted;
    struct reports *reports;
    struct limits *limits;
    struct gateway_conf conf;
    struct stat_set *stats;
    struct frame_memory memory;
    struct sshkey *key, *old_key, *foreign_key; /* of the host: now, and one that ended; of another host */
    struct uuid host, other_host;
    uint64_t host_id;

    struct session *session;
    int claims, lookups, enrols;                           /* asked by the session */
    int claim_code, lookup_code, enrol_code, publish_code; /* what the ops say; 0 at first */
    struct flight *published[RIG_PUBLISHED_MAX];           /* given to Kafka and not reported */
    size_t published_count;
    struct buf got; /* output that was fetched */
    uint8_t last_digest[32];
};

void rig_init(struct rig *r);
void rig_fini(struct rig *r);

/* A session of this role, as the host. The one before must be gone. */
void rig_open(struct rig *r, enum session_role role);
/* ... up to WELCOME, which is fetched and forgotten. */
void rig_open_host(struct rig *r);
/* Reports what is published, and frees. */
void rig_close(struct rig *r);

/* Bytes in, as far as they are taken; returns how many. */
size_t rig_feed(struct rig *r, struct slice bytes);
/* A message in; true: all of it was taken. */
bool rig_put(struct rig *r, const struct message *m);
bool rig_put_hello(struct rig *r);
/* A good bundle that follows the one before. */
bool rig_put_bundle(struct rig *r, uint64_t sequence);

/* A signed block, appended to out; previous NULL: the digest of the last one made. */
void rig_seal(struct rig *r, const struct uuid *host, uint64_t sequence, const uint8_t *previous,
              const struct sshkey *key, struct buf *out);

/* The next message that the session sent; false: none. Slices live until the next call. */
bool rig_next(struct rig *r, struct message *out);
/* How many messages are waiting; all are forgotten. */
size_t rig_forget(struct rig *r);

/* Kafka reports the n-th of what is published. */
void rig_report(struct rig *r, size_t n, bool delivered);
