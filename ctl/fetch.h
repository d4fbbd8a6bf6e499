/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fetch.h -- one message out of the topic, by its place. It joins no consumer group and moves nobody's offset.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/err.h"
#include "ctl/ctl_conf.h"

/*
 * The value of the message at that offset of the slot's partition, appended to out. POFR_ENOTFOUND: Kafka does not have
 * it any more, or has no such offset; POFR_ETIMEOUT: no broker answered; POFR_ETOOBIG: out is too small for it. timeout_ms is for each
 * question that the brokers are asked: there are four at most.
 */
POFR_MUST_USE int fetch_message(const struct ctl_conf *conf, uint64_t slot, int64_t offset, int timeout_ms,
                                struct buf *out, struct pofr_err *err);
