/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * topic_settle.h -- topics and rules that were made a moment ago: a broker answers as if there were none until it has heard
 * of them, and who starts then believes it.
 */
#pragma once

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/kafka/topic_acl.h"

struct topic_admin;

/*
 * Wait until each broker that is in the cluster knows both topics, with a leader for every partition, and what
 * topic_allow() allows. Blocks for at most about the time given. POFR_ETIMEOUT: err says which broker lacks what.
 */
POFR_MUST_USE int topic_settle(struct topic_admin *a, const struct topic_parties *p, int timeout_ms,
                               struct pofr_err *err);
