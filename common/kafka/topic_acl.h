/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * topic_acl.h -- who may do what with the topics, where the brokers have an authorizer: gateways write the one topic,
 * workers read it with their group and write the topic of what was set aside, who watches reads. Nobody may more.
 */
#pragma once

#include <stddef.h>

#include "common/base/compiler.h"
#include "common/base/err.h"

struct topic_admin;

struct topic_parties { /* principals as the brokers see them: "User:CN=pofr-gateway"; "": none such */
    const char *gateway, *worker, *merger;
    const char *topic, *deadletter, *group; /* names */
};

/*
 * Allow them what they need; what is allowed already stays. Blocks for at most the time given. POFR_EREFUSED: the brokers
 * have no authorizer, or we may not; POFR_ETIMEOUT; POFR_EUSAGE: a principal is none.
 */
POFR_MUST_USE int topic_allow(struct topic_admin *a, const struct topic_parties *p, int timeout_ms, size_t *out_count,
                              struct pofr_err *err);
