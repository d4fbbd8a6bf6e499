/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/watch/health.h"

#include "common/base/compiler.h"

static const struct {
    const char *name;
    const char *text;
} problems[] = {
    { "offline", "no broker leads it: it can be neither written nor read" },
    { "under_replicated", "a replica is not in sync" },
    { "below_min_isr", "fewer replicas are in sync than min.insync.replicas: gateways can't publish" },
    { "no_shard", "no shard has it: what comes waits in Kafka" },
    { "shard_down", "its shard does not answer" },
    { "no_owner", "no worker has it" },
    { "stuck", "messages wait and nothing is stored" },
    { "paused", "its worker does not fetch it" },
    { "lost", "Kafka has deleted messages that were not stored" },
    { "retention", "messages that are not stored are soon deleted by Kafka" },
};

const char *health_name(unsigned index)
{
    return index < pofr_countof(problems) ? problems[index].name : "";
}

const char *health_text(unsigned index)
{
    return index < pofr_countof(problems) ? problems[index].text : "";
}

static int64_t since(int64_t now_us, int64_t then_us)
{
    return now_us > then_us ? (now_us - then_us) / 1000000 : 0;
}

static void measure(const struct health_slot *s, int64_t retention_ms, int64_t now_us, struct health_result *r)
{
    int64_t from;

    r->lag = r->lag_seconds = r->kafka_seconds = r->margin_seconds = -1;
    if (!s->known || s->kafka.high < 0) {
        return;
    }
    from =
        s->kafka.low > s->next_offset ? s->kafka.low : s->next_offset; /* what was deleted is lost, and waits no more */
    r->lag = s->kafka.high > from ? s->kafka.high - from : 0;
    if (r->lag == 0) {
        r->lag_seconds = r->kafka_seconds = 0;
        r->margin_seconds = retention_ms < 0 ? -1 : retention_ms / 1000;
    } else if (s->unread.found) {
        r->lag_seconds = since(now_us, s->unread.captured_us);
        r->kafka_seconds = since(now_us, s->unread.appended_ms * 1000);
        if (retention_ms >= 0) {
            r->margin_seconds = retention_ms / 1000 - r->kafka_seconds;
            r->margin_seconds = r->margin_seconds > 0 ? r->margin_seconds : 0;
        }
    }
}

static unsigned of_kafka(const struct look_slot *k, uint32_t min_insync)
{
    unsigned p = k->owner == LOOK_NO_OWNER ? HEALTH_NO_OWNER : 0;

    if (k->leader < 0) {
        return p | HEALTH_OFFLINE;
    }
    p |= k->in_sync < k->replicas ? HEALTH_UNDER_REPLICATED : 0;
    return p | (k->in_sync < min_insync ? HEALTH_BELOW_MIN_ISR : 0);
}

struct health_result health_of(const struct health_slot *s, int64_t retention_ms, uint32_t min_insync, int64_t now_us)
{
    struct health_result r = { .problems = of_kafka(&s->kafka, min_insync) };

    measure(s, retention_ms, now_us, &r);
    if (!s->mapped) {
        r.problems |= HEALTH_NO_SHARD;
    } else if (!s->known) {
        r.problems |= HEALTH_SHARD_DOWN;
    }
    if (s->known && s->kafka.low > s->next_offset) {
        r.problems |= HEALTH_LOST;
    }
    if (r.lag > 0 && r.kafka_seconds >= HEALTH_STUCK_S && s->idle_s >= HEALTH_STUCK_S) {
        r.problems |= HEALTH_STUCK;
    }
    if (s->cause[0] && s->told_s >= 0 && s->told_s < HEALTH_TOLD_S && s->cause_s >= HEALTH_STUCK_S &&
        (!s->known || s->idle_s >= HEALTH_STUCK_S)) { /* a full queue that something is stored from is no reason */
        r.problems |= HEALTH_PAUSED;
    }
    if (r.lag > 0 && r.margin_seconds >= 0 && r.margin_seconds < HEALTH_MARGIN_S) {
        r.problems |= HEALTH_RETENTION;
    }
    return r;
}
