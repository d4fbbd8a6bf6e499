/* SPDX-License-Identifier: GPL-2.0-or-later */
/* size.c -- pofrctl size: how large a cluster has to be. Asks no server. */
#include <stdio.h>

#include "common/base/parse_num.h"
#include "common/os/options.h"
#include "ctl/nouns.h"
#include "ctl/size_plan.h"

#define DAYS_DEFAULT    365
#define PROFILE_DEFAULT "typical"
#define DISK_DEFAULT    8
#define CORES_DEFAULT   16

static bool number(const struct ctl *c, const char *option, const char *given, uint32_t least, uint32_t most,
                   uint32_t *io)
{
    if (given && (parse_u32(slice_str(given), most, io) != 0 || *io < least)) {
        ctl_usage(c, "--%s takes a number from %u to %u", option, least, most);
        return false;
    }
    return true;
}

/* The table behind it, as docs/SIZING.md shows it. */
static void print_costs(bool json)
{
    printf("%s", json ? "[" : "");
    for (size_t i = 0; i < size_profiles_count; i++) {
        const struct size_profile *p = &size_profiles[i];

        if (json) {
            printf("%s\n {\"profile\": \"%s\", \"what\": \"%s\", \"sent_mb\": %.0f, \"kafka_mb\": %.0f, \"rows_mb\": "
                   "%.0f, \"ledger_mb\": %.0f, \"index_mb\": %.0f, \"open_mb\": %.1f, \"gateway_cpu\": %.3f, "
                   "\"kafka_cpu\": %.3f, "
                   "\"worker_cpu\": %.3f, \"shard_cpu\": %.3f, \"head_cpu\": %.3f, \"merger_cpu\": %.3f}",
                   i ? "," : "", p->name, p->what, p->sent_mb, p->kafka_mb, p->rows_mb, p->ledger_mb, p->index_mb,
                   p->open_mb, p->gateway_cpu, p->kafka_cpu, p->worker_cpu, p->shard_cpu, p->head_cpu, p->merger_cpu);
            continue;
        }
        printf("%s%s: %s\n", i ? "\n" : "", p->name, p->what);
        printf("  %-34s %8.0f MB a day\n", "sent to the gateway", p->sent_mb);
        printf("  %-34s %8.0f MB a day\n", "in Kafka, each replica", p->kafka_mb);
        printf("  %-34s %8.0f MB a day\n", "rows on its shard", p->rows_mb);
        printf("  %-34s %8.0f MB a day\n", "of these, paths and texts", p->index_mb);
        printf("  %-34s %8.0f MB a day\n", "the ledger on its shard", p->ledger_mb);
        printf("  %-34s %8.1f MB\n", "what is open on its shard", p->open_mb);
        printf("  %-34s %8.3f %% of a core\n", "gateway", p->gateway_cpu);
        printf("  %-34s %8.3f %% of a core\n", "Kafka", p->kafka_cpu);
        printf("  %-34s %8.3f %% of a core\n", "worker", p->worker_cpu);
        printf("  %-34s %8.3f %% of a core\n", "shard", p->shard_cpu);
        printf("  %-34s %8.3f %% of a core\n", "head", p->head_cpu);
        printf("  %-34s %8.3f %% of a core\n", "merger", p->merger_cpu);
    }
    printf("%s", json ? "\n]\n" : "");
}

static void print_json(const struct size_profile *p, const struct size_wish *w, const struct size_result *r)
{
    printf("{\"hosts\": %u, \"days\": %u, \"profile\": \"%s\", \"replication\": %u, \"partitions\": %u, \"too_large\": "
           "%s, \"parts\": [",
           w->hosts, w->days, p->name, w->replication, r->partitions, r->too_large ? "true" : "false");
    for (unsigned i = 0; i < SIZE_PARTS; i++) {
        const struct size_part *s = &r->parts[i];

        printf("%s\n {\"part\": \"%s\", \"count\": %u, \"cores\": %u, \"memory_gb\": %.1f, \"disk_gb\": %.0f, "
               "\"in_mbit\": "
               "%.1f, \"out_mbit\": %.1f}",
               i ? "," : "", s->name, s->count, s->cores, s->memory_gb, s->disk_gb, s->in_mbit, s->out_mbit);
    }
    printf("\n]}\n");
}

static void print_table(const struct size_profile *p, const struct size_wish *w, const struct size_result *r)
{
    printf("%u hosts, rows kept for %u days, profile %s (%s)\n\n", w->hosts, w->days, p->name, p->what);
    printf("         number  cores  memory_GB   disk_GB   in_Mbit/s  out_Mbit/s\n"
           "                  each       each      each      in all      in all\n");
    for (unsigned i = 0; i < SIZE_PARTS; i++) {
        const struct size_part *s = &r->parts[i];

        printf("%-8s %6u %6u %10.1f %9.0f %11.1f %11.1f\n", s->name, s->count, s->cores, s->memory_gb, s->disk_gb,
               s->in_mbit, s->out_mbit);
    }
    printf("\n%u partitions, %u replica%s of each, kept for %d days\n", r->partitions, w->replication,
           w->replication == 1 ? "" : "s", SIZE_KAFKA_DAYS);
    if (r->too_large) {
        printf("that is too large for one cluster: fewer days, larger disks (--disk, in TB), or several clusters\n");
    }
}

int size_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = {
        "hosts=", "days=", "profile=", "replication=", "disk=", "cores=", "costs", NULL
    };
    const char *v[8];
    char *args[1];
    size_t args_count;
    struct size_wish w = {
        .days = DAYS_DEFAULT, .replication = 3, .disk_tb = DISK_DEFAULT, .server_cores = CORES_DEFAULT
    };
    const struct size_profile *p;
    struct size_result r;

    if (!ctl_options(c, argc, argv, names, v, args, 0, &args_count) ||
        !number(c, "hosts", v[0], 1, SIZE_HOSTS_MAX, &w.hosts) || !number(c, "days", v[1], 1, SIZE_DAYS_MAX, &w.days) ||
        !number(c, "replication", v[3], 1, 9, &w.replication) || !number(c, "disk", v[4], 1, 1000, &w.disk_tb) ||
        !number(c, "cores", v[5], 1, 1024, &w.server_cores)) {
        return POFR_EXIT_USAGE;
    }
    if (v[6]) {
        print_costs(c->json);
        return POFR_EXIT_DONE;
    }
    if (!v[0]) {
        return ctl_usage(c, "--hosts is needed");
    }
    p = size_profile_find(v[2] ? v[2] : PROFILE_DEFAULT);
    if (!p) {
        return ctl_usage(c, "no such profile: %s; pofrctl size --costs shows those that there are", v[2]);
    }
    size_plan(p, &w, &r);
    if (c->json) {
        print_json(p, &w, &r);
    } else {
        print_table(p, &w, &r);
    }
    return r.too_large ? POFR_EXIT_NO : POFR_EXIT_DONE;
}
