/* SPDX-License-Identifier: GPL-2.0-or-later */
/* topic_show.c -- pofrctl topic show|health. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/parse_num.h"
#include "common/kafka/client.h"
#include "common/kafka/topic_check.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/os/options.h"
#include "ctl/lag.h"
#include "ctl/nouns.h"
#include "ctl/table.h"

#define SECONDS_DEFAULT 5
#define SECONDS_MAX     3600

/* 2 looks: what came in and what was stored between them. */
struct rates {
    double seconds; /* 0: only one look was made */
    int64_t high[TOPIC_PARTITIONS_MAX];
    int64_t next[TOPIC_PARTITIONS_MAX];
};

static double rate(const struct rates *r, int64_t then, int64_t now)
{
    return r->seconds > 0 && then >= 0 && now > then ? (double)(now - then) / r->seconds : 0;
}

static double rate_in(const struct rates *r, const struct lag *l, size_t i)
{
    return rate(r, r->high[i], l->slots[i].facts.kafka.high);
}

static double rate_out(const struct rates *r, const struct lag *l, size_t i)
{
    return rate(r, r->next[i], l->slots[i].facts.next_offset);
}

static void json_text(const char *text)
{
    struct buf b = BUF_INIT(65536);

    table_json_string(slice_str(text), &b);
    (void)!fwrite(b.data, 1, b.len, stdout);
    buf_free(&b);
}

/* A host's, a client's word: whatever it may hold. */
static const char *clean(const char *text, char *to, size_t size)
{
    log_escape(slice_str(text), to, size);
    table_unquote(to);
    return to;
}

/* "12s", "3h05m", "6d23h" */
static const char *duration(int64_t s, char to[24])
{
    if (s < 0) {
        snprintf(to, 24, "-");
    } else if (s < 120) {
        snprintf(to, 24, "%llds", (long long)s);
    } else if (s < 7200) {
        snprintf(to, 24, "%lldm%02llds", (long long)(s / 60), (long long)(s % 60));
    } else if (s < 172800) {
        snprintf(to, 24, "%lldh%02lldm", (long long)(s / 3600), (long long)(s / 60 % 60));
    } else {
        snprintf(to, 24, "%lldd%02lldh", (long long)(s / 86400), (long long)(s / 3600 % 24));
    }
    return to;
}

/* Of the topic: the least of all slots */
static uint32_t replication(const struct lag *l)
{
    uint32_t least = UINT32_MAX;

    for (size_t i = 0; i < l->count; i++) {
        least = l->slots[i].facts.kafka.replicas < least ? l->slots[i].facts.kafka.replicas : least;
    }
    return least;
}

static void print_topic(const struct ctl *c, const struct lag *l)
{
    char kept[24], name[256];

    if (c->json) {
        printf(
            "{\"topic\": \"%s\", \"partitions\": %zu, \"replication\": %u, \"min_insync\": %u, \"brokers\": %u, "
            "\"retention_seconds\": %lld, \"group\": \"%s\", \"group_state\": \"%s\", \"complete\": %s, \"members\": [",
            c->conf->kafka_topic, l->count, replication(l), l->topic.min_insync, l->topic.brokers,
            (long long)(l->topic.retention_ms < 0 ? -1 : l->topic.retention_ms / 1000), c->conf->kafka_group,
            l->topic.group_state, l->partial ? "false" : "true");
    } else {
        printf("%s: %zu partitions, replication %u, min.insync.replicas %u, %u broker%s, kept for %s\n",
               c->conf->kafka_topic, l->count, replication(l), l->topic.min_insync, l->topic.brokers,
               l->topic.brokers == 1 ? "" : "s",
               l->topic.retention_ms < 0 ? "ever" : duration(l->topic.retention_ms / 1000, kept));
        if (l->topic.group_error[0]) {
            printf("group %s: not known (%s)\n", c->conf->kafka_group, l->topic.group_error);
        } else {
            printf("group %s: %s, %zu member%s\n", c->conf->kafka_group, l->topic.group_state, l->topic.members_count,
                   l->topic.members_count == 1 ? "" : "s");
        }
    }
    for (size_t i = 0; i < l->topic.members_count; i++) {
        const struct look_member *m = &l->topic.members[i];

        if (c->json) {
            printf("%s\n {\"worker\": ", i ? "," : "");
            json_text(m->client);
            printf(", \"instance\": ");
            json_text(m->instance);
            printf(", \"host\": ");
            json_text(m->host);
            printf(", \"slots\": %u}", m->slots);
        } else {
            printf("  %-24s %4u slots", clean(m->client, name, sizeof(name)), m->slots);
            printf("  from %s", clean(m->host, name, sizeof(name)));
            printf(m->instance[0] ? ", static member %s\n" : "\n", clean(m->instance, name, sizeof(name)));
        }
    }
    printf("%s", c->json ? "\n], \"slots\": [" : "\n");
}

static void print_json(const struct lag *l, size_t i, const struct rates *r, bool first)
{
    const struct lag_slot *s = &l->slots[i];
    const struct look_slot *k = &s->facts.kafka;
    const struct look_member *owner = lag_owner(l, s);
    bool any = false;

    printf("%s\n {\"slot\": %zu, \"shard\": \"%s\", \"state\": \"%s\", \"owner\": ", first ? "" : ",", i, s->shard,
           s->state);
    if (owner) {
        json_text(owner->client);
    } else {
        printf("null");
    }
    printf(
        ", \"leader\": %d, \"replicas\": %u, \"in_sync\": %u, \"log_start\": %lld, \"log_end\": %lld, \"committed\": "
        "%lld, \"next_offset\": %lld, \"incarnation\": %u, \"lag\": %lld, \"lag_seconds\": %lld, \"kafka_seconds\": "
        "%lld, \"margin_seconds\": %lld, \"idle_seconds\": %lld",
        k->leader, k->replicas, k->in_sync, (long long)k->low, (long long)k->high, (long long)k->committed,
        s->facts.known ? (long long)s->facts.next_offset : -1, s->incarnation, (long long)s->result.lag,
        (long long)s->result.lag_seconds, (long long)s->result.kafka_seconds, (long long)s->result.margin_seconds,
        (long long)s->facts.idle_s);
    if (r->seconds > 0) {
        printf(", \"in_per_second\": %.2f, \"out_per_second\": %.2f", rate_in(r, l, i), rate_out(r, l, i));
    }
    printf(", \"cause\": \"%s\", \"cause_seconds\": %lld, \"told_seconds\": %lld, \"told_by\": ", s->facts.cause,
           (long long)s->facts.cause_s, (long long)s->facts.told_s);
    json_text(s->teller);
    printf(", \"problems\": [");
    for (unsigned b = 0; b < HEALTH_PROBLEMS; b++) {
        if (s->result.problems & (1U << b)) {
            printf("%s\"%s\"", any ? ", " : "", health_name(b));
            any = true;
        }
    }
    printf("]}");
}

/* Why it is not fetched: by its worker's word, while that is of now. */
static const char *pause_of(const struct lag_slot *s)
{
    return s->facts.told_s >= 0 && s->facts.told_s < HEALTH_TOLD_S ? s->facts.cause : "";
}

static void print_row(const struct lag *l, size_t i, const struct rates *r)
{
    const struct lag_slot *s = &l->slots[i];
    const struct look_slot *k = &s->facts.kafka;
    const struct look_member *owner = lag_owner(l, s);
    char name[256], old[24], left[24], in[24] = "-", out[24] = "-";

    if (r->seconds > 0) {
        snprintf(in, sizeof(in), "%.1f", rate_in(r, l, i));
        snprintf(out, sizeof(out), "%.1f", rate_out(r, l, i));
    }
    printf("%4zu  %-12s %-16s %2u/%-2u %10lld %10lld %10lld %8lld %8s %7s %7s %8s  %s\n", i,
           s->shard[0] ? s->shard : "-", owner ? clean(owner->client, name, sizeof(name)) : "-", k->in_sync,
           k->replicas, (long long)k->low, (long long)k->high, s->facts.known ? (long long)s->facts.next_offset : -1,
           (long long)s->result.lag, duration(s->result.lag_seconds, old), in, out,
           duration(s->result.margin_seconds, left), pause_of(s));
}

static bool read_seconds(const struct ctl *c, const char *given, uint32_t *out)
{
    *out = SECONDS_DEFAULT;
    if (given && parse_u32(slice_str(given), SECONDS_MAX, out) != 0) {
        ctl_usage(c, "--seconds takes a number, at most %d", SECONDS_MAX);
        return false;
    }
    return true;
}

/* The first look; then what happens until the second one is waited for. */
static int look_before(struct ctl *c, uint32_t seconds, struct rates *r, int64_t *out_us, struct pofr_err *err)
{
    const struct timespec pause = { (time_t)seconds, 0 };
    struct lag *l = NULL;
    int code = seconds ? lag_read(c, &l, err) : 0;

    for (size_t i = 0; i < TOPIC_PARTITIONS_MAX; i++) {
        r->high[i] = r->next[i] = -1;
    }
    if (code || !seconds) {
        return code;
    }
    *out_us = l->looked_us;
    for (size_t i = 0; i < l->count; i++) {
        r->high[i] = l->slots[i].facts.kafka.high;
        r->next[i] = l->slots[i].facts.known ? l->slots[i].facts.next_offset : -1;
    }
    lag_free(l);
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL); /* allowed: two looks need a time between them */
    return 0;
}

int topic_show_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "all", "seconds=", NULL };
    const char *v[3];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct rates *r = calloc(1, sizeof(*r));
    struct lag *l = NULL;
    int64_t before_us = 0;
    uint32_t seconds;
    size_t shown = 0;
    bool partial = false;
    int code;

    if (!r || !ctl_options(c, argc, argv, names, v, args, 0, &args_count) || !read_seconds(c, v[1], &seconds)) {
        free(r);
        return POFR_EXIT_USAGE;
    }
    code = look_before(c, seconds, r, &before_us, &err);
    if (!code) {
        code = lag_read(c, &l, &err);
    }
    if (!code) {
        r->seconds = seconds ? (double)(l->looked_us - before_us) / 1e6 : 0;
        print_topic(c, l);
        printf("%s",
               c->json ? ""
                       : "slot  shard        owner            isr    log_start    log_end       next      lag      old"
                         "    in/s   out/s     left  pause\n");
        for (size_t i = 0; i < l->count; i++) {
            if (c->json) {
                print_json(l, i, r, i == 0);
            } else if (v[0] || l->slots[i].facts.kafka.high != 0) {
                print_row(l, i, r);
                shown++;
            }
        }
        printf(c->json ? "\n]}\n" : "%zu of %zu slots (with --all also those that never had a message)\n", shown,
               l->count);
        partial = l->partial;
        if (partial) {
            ctl_warn("not complete: %s", l->missing);
        }
    }
    lag_free(l);
    free(r);
    return code ? ctl_fail(&err) : partial ? POFR_EXIT_RETRY : POFR_EXIT_DONE;
}

/* --- health ------------------------------------------------------------------------------------------------------- */

/* One finding a line; in JSON one object. */
struct findings {
    bool json;
    size_t count;
};

static void begin(struct findings *f, const char *problem)
{
    if (f->json) {
        printf("%s\n {\"problem\": \"%s\"", f->count ? "," : "", problem);
    } else {
        printf("%s: ", problem);
    }
    f->count++;
}

static void settings(struct ctl *c, const char *topic, struct findings *f)
{
    struct pofr_err err = { 0 };
    struct topic_facts facts;
    struct topic_admin *a = NULL;
    int code = topic_admin_open(c->conf->kafka_brokers, &c->conf->kafka, &a, &err);

    if (!code) {
        code = topic_check(a, topic, KAFKA_TIMEOUT_MS, &facts, &err);
    }
    if (code) {
        begin(f, "settings");
        if (f->json) {
            printf(", \"detail\": ");
            json_text(err.text);
            printf("}");
        } else {
            printf("%s\n", err.text);
        }
    }
    topic_admin_close(a);
}

static void group(const struct ctl *c, const struct lag *l, struct findings *f)
{
    bool none = l->topic.members_count == 0;

    if (l->topic.group_error[0]) {
        begin(f, "group_unknown");
        if (f->json) {
            printf(", \"detail\": ");
            json_text(l->topic.group_error);
            printf("}");
        } else {
            printf("group %s does not answer, so who has which slot is not known: %s\n", c->conf->kafka_group,
                   l->topic.group_error);
        }
        return;
    }
    if (!none && strcmp(l->topic.group_state, "Stable") == 0) {
        return;
    }
    begin(f, none ? "no_members" : "rebalancing");
    if (f->json) {
        printf(", \"detail\": \"group %s: %s\"}", c->conf->kafka_group, l->topic.group_state);
    } else {
        printf("group %s is %s%s\n", c->conf->kafka_group, l->topic.group_state,
               none ? ": no worker runs, or none can reach Kafka" : "");
    }
}

static void worst_of(const struct lag *l, unsigned bit, size_t *out_count, struct health_result *out_worst)
{
    *out_count = 0;
    *out_worst = (struct health_result){ .margin_seconds = INT64_MAX };
    for (size_t i = 0; i < l->count; i++) {
        const struct health_result *r = &l->slots[i].result;

        if (!(r->problems & bit)) {
            continue;
        }
        (*out_count)++;
        out_worst->lag += r->lag > 0 ? r->lag : 0;
        out_worst->lag_seconds = r->lag_seconds > out_worst->lag_seconds ? r->lag_seconds : out_worst->lag_seconds;
        if (r->margin_seconds >= 0 && r->margin_seconds < out_worst->margin_seconds) {
            out_worst->margin_seconds = r->margin_seconds;
        }
    }
}

/* "catalog, queue": what their workers say */
static void cause_list(const struct lag *l, unsigned bit, struct buf *out)
{
    for (size_t i = 0; i < l->count; i++) {
        const char *cause = pause_of(&l->slots[i]);

        if (l->slots[i].result.problems & bit && cause[0] && !(out->len && strstr(buf_cstr(out), cause))) {
            buf_printf(out, "%s%s", out->len ? ", " : "", cause);
        }
    }
}

#define TELLERS_MAX 3u

/* Workers whose words these are: they alone know the server's answer, and have it in their logs. */
static size_t tellers_of(const struct lag *l, unsigned bit, const char *out[TELLERS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < l->count && count < TELLERS_MAX; i++) {
        const struct lag_slot *s = &l->slots[i];
        bool is_new = (s->result.problems & bit) && pause_of(s)[0] && s->teller[0];

        for (size_t k = 0; k < count && is_new; k++) {
            is_new = strcmp(out[k], s->teller) != 0;
        }
        if (is_new) {
            out[count++] = s->teller;
        }
    }
    return count;
}

static void print_tellers(const struct lag *l, unsigned bit, bool json)
{
    const char *tellers[TELLERS_MAX];
    size_t count = tellers_of(l, bit, tellers);
    char name[256];

    printf("%s", json ? ", \"workers\": [" : count ? " (why stands in the log of " : "");
    for (size_t i = 0; i < count; i++) {
        printf("%s", i ? ", " : "");
        if (json) {
            json_text(tellers[i]);
        } else {
            printf("%s", clean(tellers[i], name, sizeof(name)));
        }
    }
    printf("%s", json ? "]" : count ? ")" : "");
}

/* "0-3, 7": the slots that have the problem */
static void list_of_slots(const struct lag *l, unsigned bit, struct buf *out)
{
    for (size_t i = 0; i < l->count; i++) {
        size_t last = i;

        if (!(l->slots[i].result.problems & bit)) {
            continue;
        }
        while (last + 1 < l->count && l->slots[last + 1].result.problems & bit) {
            last++;
        }
        buf_printf(out, last > i ? "%s%zu-%zu" : "%s%zu", out->len ? ", " : "", i, last);
        i = last;
    }
}

static void slots(const struct lag *l, unsigned b, struct findings *f)
{
    struct buf list = BUF_INIT(65536);
    struct buf causes = BUF_INIT(256);
    struct health_result worst;
    char old[24], left[24];
    size_t count;

    worst_of(l, 1U << b, &count, &worst);
    list_of_slots(l, 1U << b, &list);
    cause_list(l, 1U << b, &causes);
    if (count > 0) {
        begin(f, health_name(b));
        if (f->json) {
            printf(", \"slots\": %zu, \"list\": \"%s\", \"causes\": \"%s\"", count, buf_cstr(&list),
                   causes.len ? buf_cstr(&causes) : "");
            print_tellers(l, 1U << b, true);
            printf(", \"lag\": %lld, \"lag_seconds\": %lld, \"margin_seconds\": %lld}", (long long)worst.lag,
                   (long long)worst.lag_seconds,
                   worst.margin_seconds == INT64_MAX ? -1 : (long long)worst.margin_seconds);
        } else {
            printf("%s; %zu slot%s: %s", health_text(b), count, count == 1 ? "" : "s", buf_cstr(&list));
            printf(causes.len ? "; workers say: %s" : "%s", causes.len ? buf_cstr(&causes) : "");
            print_tellers(l, 1U << b, false);
            if (worst.lag > 0) {
                printf("; %lld messages wait, the oldest of %s ago", (long long)worst.lag,
                       duration(worst.lag_seconds, old));
                printf(worst.margin_seconds == INT64_MAX ? "\n" : "; %s left\n", duration(worst.margin_seconds, left));
            } else {
                printf("\n");
            }
        }
    }
    buf_free(&list);
    buf_free(&causes);
}

int topic_health_main(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { NULL };
    const char *v[1];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct findings f = { .json = c->json };
    struct lag *l = NULL;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 0, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    code = lag_read(c, &l, &err);
    if (code) {
        return ctl_fail(&err);
    }
    printf("%s", c->json ? "[" : "");
    settings(c, c->conf->kafka_topic, &f);
    settings(c, c->conf->kafka_deadletter, &f);
    group(c, l, &f);
    for (unsigned b = 0; b < HEALTH_PROBLEMS; b++) {
        slots(l, b, &f);
    }
    if (c->json) {
        printf("\n]\n");
    } else if (f.count == 0) {
        printf("%s: %zu slots, all written, read and stored\n", c->conf->kafka_topic, l->count);
    }
    lag_free(l);
    return f.count ? POFR_EXIT_NO : POFR_EXIT_DONE;
}
