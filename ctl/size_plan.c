/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/size_plan.h"

#include <string.h>

#include "common/base/compiler.h"

#define SIZE_PROFILE(name_, what_, ...) { .name = name_, .what = what_, __VA_ARGS__ },
#define SIZE_BASE(part, mib)
const struct size_profile size_profiles[] = {
#include "ctl/size.def"
};
#undef SIZE_PROFILE
#undef SIZE_BASE
const size_t size_profiles_count = pofr_countof(size_profiles);

#define SIZE_PROFILE(...)
#define SIZE_BASE(part, mib) [part] = (mib),
const double size_base_mib[SIZE_PARTS] = {
#include "ctl/size.def"
};

#define GB_OF_MB 1e-3

const struct size_profile *size_profile_find(const char *name)
{
    for (size_t i = 0; i < size_profiles_count; i++) {
        if (strcmp(size_profiles[i].name, name) == 0) {
            return &size_profiles[i];
        }
    }
    return NULL;
}

static uint32_t up(double x)
{
    uint32_t n = x > 0 ? (uint32_t)x : 0;

    return (double)n < x ? n + 1 : n;
}

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Cores for so many % of a core and host, so that SIZE_CPU_SHARE of them are used. */
static double cores(const struct size_wish *w, double cpu)
{
    return w->hosts * cpu / 100 / SIZE_CPU_SHARE;
}

static double base_gb(unsigned part)
{
    return size_base_mib[part] * 1048576 / 1e9;
}

static double mbit(double mb_a_day)
{
    return mb_a_day * 8 / 86400;
}

/* Any one of two or more may be away. */
static void plan_gateways(const struct size_profile *p, const struct size_wish *w, struct size_part *out)
{
    double back = w->hosts * SIZE_SESSION_CPU_MS / 1000 / SIZE_RECONNECT_S + w->hosts * p->gateway_cpu / 100;
    double all = cores(w, p->gateway_cpu) > back ? cores(w, p->gateway_cpu) : back;
    uint32_t others = most(up(all / SIZE_GATEWAY_CORES), 1);

    *out = (struct size_part){ .name = "gateway",
                               .count = others + 1,
                               .cores = most(up(all / others), 1),
                               .memory_gb = base_gb(SIZE_GATEWAY) + w->hosts / (double)others * SIZE_SESSION_KB * 1e-6,
                               .in_mbit = mbit(w->hosts * p->sent_mb),
                               .out_mbit = mbit(w->hosts * p->kafka_mb) };
}

static void plan_brokers(const struct size_profile *p, const struct size_wish *w, struct size_part *out)
{
    double kept_gb = w->hosts * p->kafka_mb * GB_OF_MB * SIZE_KAFKA_DAYS * w->replication / SIZE_DISK_SHARE;
    double all = cores(w, p->kafka_cpu) * w->replication;
    uint32_t count = most(w->replication, most(up(all / w->server_cores), up(kept_gb / 1000 / w->disk_tb)));
    double hour_gb = w->hosts * p->kafka_mb * GB_OF_MB / 24 * w->replication;

    *out = (struct size_part){ .name = "broker",
                               .count = count,
                               .cores = most(up(all / count), 1),
                               .memory_gb = base_gb(SIZE_BROKER) + hour_gb / count,
                               .disk_gb = kept_gb / count,
                               .in_mbit = mbit(w->hosts * p->kafka_mb * w->replication),
                               .out_mbit = mbit(w->hosts * p->kafka_mb * w->replication) };
}

static void plan_workers(const struct size_profile *p, const struct size_wish *w, struct size_part *out)
{
    *out = (struct size_part){ .name = "worker",
                               .count = most(up(cores(w, p->worker_cpu)), 2),
                               .cores = 1,
                               .memory_gb = base_gb(SIZE_WORKER) + SIZE_WORKER_QUEUE_GB,
                               .in_mbit = mbit(w->hosts * p->kafka_mb),
                               .out_mbit = mbit(w->hosts * (p->rows_mb + p->ledger_mb)) };
}

static void plan_shards(const struct size_profile *p, const struct size_wish *w, struct size_part *out)
{
    double kept_gb = w->hosts * (w->days * (p->rows_mb + p->ledger_mb) + p->open_mb) * GB_OF_MB / SIZE_DISK_SHARE;
    double all = cores(w, p->shard_cpu);
    uint32_t count = most(1, most(up(all / w->server_cores), up(kept_gb / 1000 / w->disk_tb)));
    double pool_gb = w->hosts * (p->open_mb * SIZE_POOL_OPEN + p->index_mb) * GB_OF_MB;

    *out = (struct size_part){ .name = "shard",
                               .count = count,
                               .cores = most(up(all / count), 1),
                               .memory_gb = base_gb(SIZE_SHARD) + pool_gb / count,
                               .disk_gb = kept_gb / count,
                               .in_mbit = mbit(w->hosts * (p->rows_mb + p->ledger_mb)) };
}

void size_plan(const struct size_profile *p, const struct size_wish *w, struct size_result *out)
{
    struct size_part *parts = out->parts;
    uint32_t busiest;

    plan_gateways(p, w, &parts[SIZE_GATEWAY]);
    plan_brokers(p, w, &parts[SIZE_BROKER]);
    plan_workers(p, w, &parts[SIZE_WORKER]);
    plan_shards(p, w, &parts[SIZE_SHARD]);
    parts[SIZE_HEAD] = (struct size_part){
        .name = "head", .count = 1, .cores = most(up(cores(w, p->head_cpu)), 1), .memory_gb = base_gb(SIZE_HEAD)
    };
    parts[SIZE_MERGER] = (struct size_part){ .name = "merger",
                                             .count = 2, /* one works, the other waits for its locks */
                                             .cores = most(up(cores(w, p->merger_cpu)), 1),
                                             .memory_gb = base_gb(SIZE_MERGER) };
    busiest = most(parts[SIZE_WORKER].count, parts[SIZE_SHARD].count);
    out->partitions = SIZE_PARTITIONS_FEW;
    while (out->partitions < SIZE_PARTITIONS_MAX && busiest * SIZE_SLOTS_OF_ONE > out->partitions) {
        out->partitions *= 4;
    }
    out->too_large = parts[SIZE_SHARD].count * SIZE_SLOTS_OF_ONE > SIZE_PARTITIONS_MAX;
}
