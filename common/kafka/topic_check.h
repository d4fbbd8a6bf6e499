/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * topic_check.h -- the topic, seen from outside: make it, and refuse to work with one whose settings would
 * break a guarantee. Blocks for at most the time given: for start-up and for tools.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/kafka/topic_rules.h"

struct kafka_access;
struct topic_admin; /* one client; connects when it is asked something */

struct topic_facts {
    uint32_t brokers; /* in the cluster now */
    uint32_t partitions;
    uint32_t replication; /* the smallest of all partitions */
    uint32_t min_insync;  /* min.insync.replicas */
};

/* access: see client.h, its strings must outlive the admin; NULL: plain connections. POFR_ECONFIG. */
POFR_MUST_USE int topic_admin_open(const char *brokers, const struct kafka_access *access, struct topic_admin **out,
                                   struct pofr_err *err);
void topic_admin_close(struct topic_admin *a); /* NULL is allowed */

/* POFR_ENOTFOUND: no such topic. POFR_ETIMEOUT: no broker answered in time. */
POFR_MUST_USE int topic_describe(struct topic_admin *a, const char *topic, int timeout_ms, struct topic_facts *out,
                                 struct pofr_err *err);

/*
 * topic_describe(), and POFR_ECONFLICT where a setting differs from topic_rules: whoever is to publish or to
 * read must then not start (exit code 3).
 */
POFR_MUST_USE int topic_check(struct topic_admin *a, const char *topic, int timeout_ms, struct topic_facts *out,
                              struct pofr_err *err);

/*
 * Of what topic_check() said: may it be otherwise when it is asked again? No broker answers yet, or the one that does has not
 * heard of a topic, or of a right to see it, that was made a moment ago. Who starts waits a while for it.
 */
bool topic_may_come(int code);

/*
 * Make it with the settings of topic_rules; with 3 or more replicas also min.insync.replicas = 2.
 * replication 0: 3, or as many as there are brokers if they are fewer. POFR_EEXISTS; POFR_EREFUSED: the
 * cluster refused; POFR_ETIMEOUT; POFR_EUSAGE: partitions not 1 to TOPIC_PARTITIONS_MAX.
 */
POFR_MUST_USE int topic_create(struct topic_admin *a, const char *topic, uint32_t partitions, uint32_t replication,
                               int timeout_ms, struct pofr_err *err);

/* More partitions than now; hosts that are there stay in theirs. POFR_EUSAGE, POFR_EREFUSED, POFR_ETIMEOUT.
 */
POFR_MUST_USE int topic_grow(struct topic_admin *a, const char *topic, uint32_t partitions, int timeout_ms,
                             struct pofr_err *err);
