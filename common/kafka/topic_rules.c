/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/kafka/topic_rules.h"

#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"

const struct topic_rule topic_rules[] = {
    /* a worker compares the broker's time of arrival with a key's end */
    { "message.timestamp.type", "LogAppendTime", 0 },
    /* the topic is the buffer for shards that are down, and what a restored shard is filled from */
    { "retention.ms", "604800000", 0 },
    { "retention.bytes", "-1", 0 },
    /* all messages of a host have one key: compaction would keep the last alone */
    { "cleanup.policy", "delete", 0 },
    { "unclean.leader.election.enable", "false", 0 },
    { "max.message.bytes", "16777216", 0 },
    /* nobody else has what is only in this machine's page cache */
    { "flush.messages", "1", 1 },
};
const size_t topic_rules_count = pofr_countof(topic_rules);

static const char *value_of(const struct topic_setting *settings, size_t count, const char *name)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (strcmp(settings[i].name, name) == 0) {
            return settings[i].value;
        }
    }
    return NULL;
}

int topic_rules_judge(const struct topic_setting *settings, size_t count, uint32_t replication, struct pofr_err *err)
{
    char text[sizeof(((struct pofr_err *)0)->text)] = "";
    size_t used = 0, i;
    int n;

    for (i = 0; i < topic_rules_count; i++) {
        const struct topic_rule *rule = &topic_rules[i];
        const char *value = value_of(settings, count, rule->name);

        if ((rule->only_replication != 0 && rule->only_replication != replication) ||
            (value && strcmp(value, rule->value) == 0)) {
            continue;
        }
        n = snprintf(text + used, sizeof(text) - used, "%s%s is %.32s, must be %s", used > 0 ? "; " : "", rule->name,
                     value ? value : "unknown", rule->value);
        used += n > 0 && (size_t)n < sizeof(text) - used ? (size_t)n : sizeof(text) - used - 1;
    }
    return used > 0 ? pofr_err_set(err, POFR_ECONFLICT, "%s", text) : 0;
}
