/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * size_plan.h -- how large a cluster has to be, from what a host costs (size.def: measured) and rules that are ours (below). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct size_profile { /* of one host */
    const char *name, *what;
    double sent_mb, kafka_mb;                     /* a day: to the gateway; in Kafka, once */
    double rows_mb, ledger_mb, index_mb, open_mb; /* on its shard: a day, a day, of a day's rows the indexes whose new
                                                     * entries go everywhere, always */
    double gateway_cpu, kafka_cpu, worker_cpu, shard_cpu; /* % of a core */
    double head_cpu, merger_cpu;
};

extern const struct size_profile size_profiles[];
extern const size_t size_profiles_count;
extern const double size_base_mib[];                            /* memory without a host, by part; measured */
const struct size_profile *size_profile_find(const char *name); /* NULL: there is none */

/* Rules: choices, not measurements (docs/SIZING.md says why). */
#define SIZE_CPU_SHARE       0.5   /* of the cores that there are, in everyday life: what is left is for catching up */
#define SIZE_DISK_SHARE      0.7   /* of a disk */
#define SIZE_KAFKA_DAYS      7     /* retention.ms of the topic */
#define SIZE_POOL_OPEN       2     /* times what is open, and a day's indexes: a shard's buffer pool */
#define SIZE_RECONNECT_S     60    /* in which all hosts are back after the gateways were away */
#define SIZE_GATEWAY_CORES   8     /* of one gateway: it has no more threads unless told */
#define SIZE_WORKER_QUEUE_GB 0.128 /* [limits] queue, and librdkafka's */
#define SIZE_PARTITIONS_FEW  64
#define SIZE_PARTITIONS_MAX  1024
#define SIZE_SLOTS_OF_ONE    4 /* at least, of a worker and of a shard, so that they share evenly */

/* Measured by bench/run gateway. */
#define SIZE_SESSION_CPU_MS 0.94 /* of a new one */
#define SIZE_SESSION_KB     17   /* of an idle one */

#define SIZE_HOSTS_MAX 1000000u
#define SIZE_DAYS_MAX  36500u

struct size_wish {
    uint32_t hosts, days;
    uint32_t replication;           /* of the topic: 3, or 1 on one broker for those who can lose it */
    uint32_t disk_tb, server_cores; /* what one shard or broker may have, at most */
};

struct size_part { /* all of one kind */
    const char *name;
    uint32_t count;
    uint32_t cores;           /* of each */
    double memory_gb;         /* of each; the operating system's comes beside it */
    double disk_gb;           /* of each; 0: none but small files */
    double in_mbit, out_mbit; /* of all together, average of a day */
};

enum {
    SIZE_GATEWAY,
    SIZE_BROKER,
    SIZE_WORKER,
    SIZE_SHARD,
    SIZE_HEAD,
    SIZE_MERGER,
    SIZE_PARTS
};

struct size_result {
    struct size_part parts[SIZE_PARTS];
    uint32_t partitions;
    bool too_large; /* for one cluster: more shards than SIZE_PARTITIONS_MAX can be shared among */
};

void size_plan(const struct size_profile *p, const struct size_wish *w, struct size_result *out);
