/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a round saw of whole shards: hosts by state, what is set aside, the engine, records by kind. */
#include <inttypes.h>

#include "common/base/buf.h"
#include "common/os/stat.h"
#include "merger/watch_parts.h"

static const char *const host_names[] = { "reporting", "silent",       "never", "pending",
                                          "retired",   "disconnected", "gaps",  "spool_nearly_full",
                                          "clock_off", "unaccounted" };

static void write_hosts(const struct watch_view *v, const char *family, const char *label, const char *help,
                        unsigned from, unsigned to, struct buf *out)
{
    stat_write_head(out, family, STAT_TYPE_GAUGE, "", help);
    for (size_t i = 0; i < v->shards_count; i++) {
        for (unsigned k = from; k < to && v->shards[i].counted; k++) {
            buf_printf(out, "%s{shard=\"%s\",%s=\"%s\"} %" PRIu64 "\n", family, v->shards[i].at.name, label,
                       host_names[k], v->shards[i].hosts[k]);
        }
    }
}

static void write_engines(const struct watch_view *v, struct buf *out)
{
    stat_write_head(out, "pofr_shard_redo_ratio", STAT_TYPE_GAUGE, "",
                    "Redo log whose pages are not written yet, of the most that there may be.");
    for (size_t i = 0; i < v->shards_count; i++) {
        const struct watch_shard_view *s = &v->shards[i];

        if (s->counted && s->redo_limit > 0) {
            buf_printf(out, "pofr_shard_redo_ratio{shard=\"%s\"} %.3f\n", s->at.name,
                       (double)s->redo_age / (double)s->redo_limit);
        }
    }
    stat_write_head(out, "pofr_shard_history_transactions", STAT_TYPE_GAUGE, "",
                    "Transactions whose undo can't be purged yet.");
    for (size_t i = 0; i < v->shards_count; i++) {
        const struct watch_shard_view *s = &v->shards[i];

        if (s->counted) {
            buf_printf(out, "pofr_shard_history_transactions{shard=\"%s\"} %" PRIu64 "\n", s->at.name, s->history);
        }
    }
}

static void write_totals(const struct watch_view *v, struct buf *out)
{
    stat_write_head(out, "pofr_conservation_records", STAT_TYPE_GAUGE, "",
                    "Records since each host's first, by kind, by the totals of hosts' newest statements.");
    for (size_t i = 0; i < v->shards_count; i++) {
        for (unsigned k = 0; k < TOTALS_KINDS && v->shards[i].counted; k++) {
            if (v->shards[i].totals.recorded[k] > 0) {
                buf_printf(out, "pofr_conservation_records{shard=\"%s\",kind=\"%s\"} %" PRIu64 "\n",
                           v->shards[i].at.name, totals_kind_name(k), v->shards[i].totals.recorded[k]);
            }
        }
    }
    stat_write_head(out, "pofr_conservation_lost", STAT_TYPE_GAUGE, "",
                    "Of the same hosts, what was counted as lost on the host, by source.");
    for (size_t i = 0; i < v->shards_count; i++) {
        for (unsigned k = 0; k < TOTALS_SOURCES && v->shards[i].counted; k++) {
            if (v->shards[i].totals.lost[k] > 0) {
                buf_printf(out, "pofr_conservation_lost{shard=\"%s\",source=\"%s\"} %" PRIu64 "\n",
                           v->shards[i].at.name, totals_source_name(k), v->shards[i].totals.lost[k]);
            }
        }
    }
}

void watch_write_shards(const struct watch_view *v, struct buf *out)
{
    write_hosts(v, "pofr_hosts", "state", "Hosts by state; silent: nothing of the last minute is stored.", 0,
                HOSTS_STATES, out);
    write_hosts(v, "pofr_hosts_with", "what", "Active hosts to look at: what for.", HOSTS_STATES, HOSTS_KINDS, out);
    stat_write_head(out, "pofr_set_aside_messages", STAT_TYPE_GAUGE, "", "Messages that are set aside now, by reason.");
    for (size_t i = 0; i < v->shards_count; i++) {
        for (unsigned k = 0; k < v->shards[i].reasons_count; k++) {
            buf_printf(out, "pofr_set_aside_messages{shard=\"%s\",reason=\"%s\"} %" PRIu64 "\n", v->shards[i].at.name,
                       v->shards[i].reasons[k], v->shards[i].reasons_messages[k]);
        }
    }
    stat_write_head(out, "pofr_shard_days_ahead", STAT_TYPE_GAUGE, "",
                    "Days whose partitions are made already, of the table that has fewest.");
    for (size_t i = 0; i < v->shards_count; i++) {
        buf_printf(out, "pofr_shard_days_ahead{shard=\"%s\"} %" PRId32 "\n", v->shards[i].at.name,
                   v->shards[i].at.days_ahead);
    }
    stat_write_head(out, "pofr_watch_shard_up", STAT_TYPE_GAUGE, "", "1: the shard answered in the newest round.");
    for (size_t i = 0; i < v->shards_count; i++) {
        buf_printf(out, "pofr_watch_shard_up{shard=\"%s\"} %d\n", v->shards[i].at.name, v->shards[i].up);
    }
    write_engines(v, out);
    write_totals(v, out);
}
