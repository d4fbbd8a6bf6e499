/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kafka_look_parts.h -- what the files of kafka_look share. Not for others. */
#pragma once

#include "common/kafka/client.h"
#include "common/watch/kafka_look.h"

struct kafka_look {
    struct rd_kafka_s *rk;
    struct kafka_notes notes;
    const char *brokers, *program;
    const struct kafka_access *access;
};

/*
 * What the group has committed, into out, whose slots are there. POFR_ETIMEOUT: its coordinator does not answer, and the
 * client is another one from now on.
 */
POFR_MUST_USE int kafka_look_committed(struct kafka_look *k, const char *topic, const char *group, int timeout_ms,
                                       struct look_topic *out, struct pofr_err *err);
