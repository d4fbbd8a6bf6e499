/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log_ends.h -- where the log of a slot begins and ends now, asked of the broker that leads it.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"

struct rd_kafka_s;

/*
 * The first offset that the log has, and the next one that it will give; both or none. 0 or librdkafka's code. Three questions
 * at most, each for at most timeout_ms, also where the leader is gone; after a failure the client asks who leads, so that the
 * next call finds another one.
 */
POFR_MUST_USE int kafka_log_ends(struct rd_kafka_s *rk, const char *topic, unsigned slot, int timeout_ms,
                                 int64_t *out_low, int64_t *out_high);
