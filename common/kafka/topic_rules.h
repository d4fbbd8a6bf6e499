/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * topic_rules.h -- the settings without which `acked means kept` is false (docs/GUARANTEES.md). Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"

#define TOPIC_SNAPSHOTS      "pofr.snapshots"
#define TOPIC_DEADLETTER     "pofr.deadletter"
#define TOPIC_PARTITIONS_MAX 1024u /* host_id = number * 1024 + slot */

struct topic_rule {
    const char *name;
    const char *value;
    uint32_t only_replication; /* 0: always; n: only where the topic has n replicas */
};

extern const struct topic_rule topic_rules[];
extern const size_t topic_rules_count;

struct topic_setting {
    const char *name;
    const char *value; /* NULL: the broker did not tell */
};

/*
 * 0, or POFR_ECONFLICT with a text that names each setting that differs and what it must be. A setting that
 * is missing differs.
 */
POFR_MUST_USE int topic_rules_judge(const struct topic_setting *settings, size_t count, uint32_t replication,
                                    struct pofr_err *err);
