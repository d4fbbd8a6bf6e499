/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a round saw as OpenMetrics. Names that dashboards know are kafka_exporter's and kafka-lag-exporter's. */
#include <inttypes.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/os/stat.h"
#include "merger/watch_parts.h"

static const char *const place_names[] = { "spool", "kafka", "stored", "set_aside", "lost", "unaccounted" };
struct slot_family {
    const char *name, *help;
    const char *label; /* "partition" or "slot" */
    bool group, topic; /* the others' labels, as their names want them */
    const char *group_label;
    int64_t (*value)(const struct watch_slot *s);
};

static int64_t next_of(const struct watch_slot *s)
{
    return s->facts.known ? s->facts.next_offset : -1;
}

static int64_t lag_of(const struct watch_slot *s)
{
    return s->result.lag;
}

static int64_t lag_seconds_of(const struct watch_slot *s)
{
    return s->result.lag_seconds;
}

static int64_t high_of(const struct watch_slot *s)
{
    return s->facts.kafka.high;
}

static int64_t low_of(const struct watch_slot *s)
{
    return s->facts.kafka.low;
}

static int64_t leader_of(const struct watch_slot *s)
{
    return s->facts.kafka.leader;
}

static int64_t replicas_of(const struct watch_slot *s)
{
    return s->facts.kafka.replicas;
}

static int64_t in_sync_of(const struct watch_slot *s)
{
    return s->facts.kafka.in_sync;
}

static int64_t under_replicated_of(const struct watch_slot *s)
{
    return s->facts.kafka.in_sync < s->facts.kafka.replicas;
}

static int64_t margin_of(const struct watch_slot *s)
{
    return s->result.margin_seconds;
}

static int64_t kafka_seconds_of(const struct watch_slot *s)
{
    return s->result.kafka_seconds;
}

static const struct slot_family families[] = {
    { "kafka_consumergroup_current_offset", "Offset of the next message to store, by slot; -1: not known.", "partition",
      true, true, "consumergroup", next_of },
    { "kafka_consumergroup_lag", "Messages not stored yet, by slot; -1: not known.", "partition", true, true,
      "consumergroup", lag_of },
    { "kafka_consumergroup_group_lag_seconds",
      "Since the first message that is not stored was looked at on its host, by slot; 0: there is none; -1: not known.",
      "partition", true, true, "group", lag_seconds_of },
    { "kafka_topic_partition_current_offset", "Offset of the next message that Kafka will take; -1: not known.",
      "partition", false, true, "", high_of },
    { "kafka_topic_partition_oldest_offset", "Offset of the first message that Kafka has; -1: not known.", "partition",
      false, true, "", low_of },
    { "kafka_topic_partition_leader", "Broker that leads; -1: none.", "partition", false, true, "", leader_of },
    { "kafka_topic_partition_replicas", "Replicas that there are.", "partition", false, true, "", replicas_of },
    { "kafka_topic_partition_in_sync_replica", "Replicas in sync.", "partition", false, true, "", in_sync_of },
    { "kafka_topic_partition_under_replicated_partition", "1: a replica is not in sync.", "partition", false, true, "",
      under_replicated_of },
    { "pofr_slot_kafka_wait_seconds",
      "Since Kafka took the first message that is not stored; 0: there is none; -1: not known.", "slot", false, false,
      "", kafka_seconds_of },
    { "pofr_slot_retention_margin_seconds",
      "Until Kafka may delete what is not stored; the topic's retention where nothing waits; -1: never, or not known.",
      "slot", false, false, "", margin_of },
};

static void write_family(const struct watch_view *v, const struct slot_family *f, struct buf *out)
{
    stat_write_head(out, f->name, STAT_TYPE_GAUGE, "", f->help);
    for (unsigned n = 0; n < v->partitions; n++) {
        if (!v->slots[n].ours) {
            continue;
        }
        buf_printf(out, "%s{", f->name);
        if (f->group) {
            buf_printf(out, "%s=\"%s\",", f->group_label, v->group);
        }
        if (f->topic) {
            buf_printf(out, "topic=\"%s\",", v->topic);
        }
        buf_printf(out, "%s=\"%u\"} %" PRId64 "\n", f->label, n, f->value(&v->slots[n]));
    }
}

static void write_places(const struct watch_view *v, struct buf *out)
{
    stat_write_head(out, "pofr_conservation_bundles", STAT_TYPE_GAUGE, "",
                    "Bundles that hosts recorded, by slot and where they are; slots without hosts are left out.");
    for (unsigned n = 0; n < v->partitions; n++) {
        for (unsigned p = 0; p < PLACES && v->slots[n].ours && v->slots[n].hosts; p++) {
            buf_printf(out, "pofr_conservation_bundles{slot=\"%u\",state=\"%s\"} %" PRId64 "\n", n, place_names[p],
                       v->slots[n].places[p]);
        }
    }
}

static void write_problems(const struct watch_view *v, struct buf *out)
{
    uint64_t count[HEALTH_PROBLEMS] = { 0 };

    for (unsigned n = 0; n < v->partitions; n++) {
        for (unsigned b = 0; b < HEALTH_PROBLEMS && v->slots[n].ours; b++) {
            count[b] += (v->slots[n].result.problems >> b) & 1;
        }
    }
    stat_write_head(out, "pofr_slots_with", STAT_TYPE_GAUGE, "", "Slots of our shards that have this problem.");
    for (unsigned b = 0; b < HEALTH_PROBLEMS; b++) {
        buf_printf(out, "pofr_slots_with{problem=\"%s\"} %" PRIu64 "\n", health_name(b), count[b]);
    }
}

/* By their workers' word. A dead one says nothing: those slots have no owner. */
static void write_paused(const struct watch_view *v, struct buf *out)
{
    static const char *const causes[] = { "loading", "queue", "shard", "catalog", "unmapped" };

    stat_write_head(out, "pofr_slots_paused", STAT_TYPE_GAUGE, "",
                    "Slots that their worker does not fetch now, by shard and cause.");
    for (size_t i = 0; i < v->shards_count; i++) {
        for (size_t k = 0; k < pofr_countof(causes); k++) {
            unsigned count = 0;

            for (unsigned n = 0; n < v->partitions; n++) {
                const struct watch_slot *s = &v->slots[n];

                count += s->ours && s->shard == i && s->facts.told_s == 0 && strcmp(s->facts.cause, causes[k]) == 0;
            }
            buf_printf(out, "pofr_slots_paused{shard=\"%s\",cause=\"%s\"} %u\n", v->shards[i].at.name, causes[k],
                       count);
        }
    }
}

/* A client's name is whatever it says. */
void watch_write_label(struct buf *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        buf_u8(out, *c < ' ' || *c > '~' || *c == '"' || *c == '\\' ? '?' : (uint8_t)*c);
    }
}

static void write_owners(const struct watch_view *v, struct buf *out)
{
    stat_write_head(out, "pofr_slot_owner", STAT_TYPE_GAUGE, "", "1: this worker has the slot, by the consumer group.");
    for (unsigned n = 0; n < v->partitions; n++) {
        if (v->slots[n].ours && v->slots[n].owner[0]) {
            buf_printf(out, "pofr_slot_owner{slot=\"%u\",worker=\"", n);
            watch_write_label(out, v->slots[n].owner);
            buf_str(out, "\"} 1\n");
        }
    }
}

/* The problems that there are, by slot, with its worker's word on why it does not fetch. */
static void write_slot_problems(const struct watch_view *v, struct buf *out)
{
    stat_write_head(out, "pofr_slot_problem", STAT_TYPE_GAUGE, "", "1: the slot has this problem now.");
    for (unsigned n = 0; n < v->partitions; n++) {
        const struct watch_slot *s = &v->slots[n];

        for (unsigned b = 0; b < HEALTH_PROBLEMS && s->ours; b++) {
            bool says = (1U << b) & (HEALTH_STUCK | HEALTH_PAUSED) && s->facts.told_s == 0;

            if (s->result.problems & (1U << b)) {
                buf_printf(out, "pofr_slot_problem{slot=\"%u\",problem=\"%s\",cause=\"", n, health_name(b));
                watch_write_label(out, says ? s->facts.cause : "");
                buf_str(out, "\"} 1\n");
            }
        }
    }
}

static void write_reports(const struct watch_view *v, struct buf *out)
{
    stat_write_head(out, "pofr_conservation_report_age_seconds", STAT_TYPE_GAUGE, "seconds",
                    "Since the oldest word of the slot's active hosts on how much they recorded.");
    for (unsigned n = 0; n < v->partitions; n++) {
        if (v->slots[n].ours && v->slots[n].hosts && v->slots[n].report_s >= 0) {
            buf_printf(out, "pofr_conservation_report_age_seconds{slot=\"%u\"} %" PRId64 "\n", n, v->slots[n].report_s);
        }
    }
}

static void write_one(struct buf *out, const char *name, const char *help, int64_t value)
{
    stat_write_head(out, name, STAT_TYPE_GAUGE, "", help);
    buf_printf(out, "%s %" PRId64 "\n", name, value);
}

void watch_write(const struct watch_view *v, int64_t now_us, struct buf *out)
{
    write_one(out, "pofr_watch_kafka_up", "1: Kafka answered in the newest round.", v->kafka_up || v->topic_missing);
    write_one(out, "pofr_watch_topic_there", "0: Kafka answered and does not have the topic.", !v->topic_missing);
    write_one(out, "pofr_watch_catalog_up", "1: the catalog answered in the newest round.", v->catalog_up);
    write_one(out, "pofr_watch_age_seconds",
              "Since catalog, Kafka and all of our shards answered in one round; -1: never.",
              v->complete_us ? (now_us - v->complete_us) / 1000000 : -1);
    if (v->partitions > 0) { /* the same of every merger */
        write_one(out, "kafka_brokers", "Brokers in the cluster.", v->brokers);
        write_one(out, "pofr_topic_partitions", "Partitions of the topic.", v->partitions);
        write_one(out, "pofr_topic_partitions_without_shard", "Of these, that no shard was given.", v->without_shard);
    }
    if (v->partitions > 0 && v->members_known) {
        stat_write_head(out, "kafka_consumergroup_members", STAT_TYPE_GAUGE, "", "Workers in the consumer group.");
        buf_printf(out, "kafka_consumergroup_members{consumergroup=\"%s\"} %u\n", v->group, v->members);
    }
    for (size_t i = 0; i < pofr_countof(families); i++) {
        write_family(v, &families[i], out);
    }
    write_owners(v, out);
    write_places(v, out);
    write_reports(v, out);
    write_problems(v, out);
    write_slot_problems(v, out);
    write_paused(v, out);
    watch_write_shards(v, out);
    watch_write_certificates(v, out);
}
