/* SPDX-License-Identifier: GPL-2.0-or-later */
/* topic_parts.h -- what the files of topic share. Not for others. */
#pragma once

#include <stdbool.h>

#include <librdkafka/rdkafka.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/kafka/client.h"
#include "common/kafka/topic_acl.h"

struct topic_admin {
    rd_kafka_t *rk;
    struct tls_files tls;
    struct kafka_notes notes;
};

/* Our code for what a broker or the client says. */
int topic_code_of(rd_kafka_resp_err_t e);

/* Wait for the answer to what was asked with queue, about what; NULL with err filled. The caller destroys both. */
POFR_MUST_USE rd_kafka_event_t *topic_answer(struct topic_admin *a, rd_kafka_queue_t *queue, const char *what,
                                             int timeout_ms, struct pofr_err *err);
rd_kafka_AdminOptions_t *topic_options(struct topic_admin *a, rd_kafka_admin_op_t op, int timeout_ms);
/* For this broker and no other; NULL: out of memory. */
rd_kafka_AdminOptions_t *topic_options_at(struct topic_admin *a, rd_kafka_admin_op_t op, int32_t broker,
                                          int timeout_ms);

/* What one of the brokers has, of all topics or of the cluster alone; about topic, for who reads an error. */
POFR_MUST_USE int topic_metadata(struct topic_admin *a, bool all, const char *topic,
                                 const struct rd_kafka_metadata **out, int timeout_ms, struct pofr_err *err);

/* Has this broker heard of all that topic_allow() allows? POFR_ENOTFOUND: not yet. */
POFR_MUST_USE int topic_allowed_at(struct topic_admin *a, int32_t broker, const struct topic_parties *p, int timeout_ms,
                                   struct pofr_err *err);
