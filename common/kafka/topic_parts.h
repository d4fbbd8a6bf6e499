/* SPDX-License-Identifier: GPL-2.0-or-later */
/* topic_parts.h -- what the files of topic share. Not for others. */
#pragma once

#include <librdkafka/rdkafka.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/kafka/client.h"

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
