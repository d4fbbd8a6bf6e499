/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/status_parts.h"

#include <stddef.h>

#include "common/base/compiler.h"

#define HOSTS_BEHIND                                                                                                   \
    "SELECT host, recorded, in_spool, in_kafka, stored, set_aside, lost, unaccounted, TIMESTAMPDIFF(SECOND, "          \
    "reported, "                                                                                                       \
    "UTC_TIMESTAMP(6)) AS reported_s, IF(connected = 1, gateway, NULL) AS gateway FROM conservation@ "

/* Each runs on the head; none reads more than the small tables. @ stands where the partitions that are asked are named. */
const struct status_part status_parts[] = {
    { "hosts", "hosts",
      "SELECT COUNT(*) AS hosts, COALESCE(SUM(state = 'active' AND last_tick >= UTC_TIMESTAMP(6) - INTERVAL ? SECOND), "
      "0) AS reporting, "
      "COALESCE(SUM(state = 'active' AND last_tick < UTC_TIMESTAMP(6) - INTERVAL ? SECOND), 0) AS silent, "
      "COALESCE(SUM(state = 'active' AND last_tick IS NULL), 0) AS never, COALESCE(SUM(state = 'pending'), 0) AS "
      "pending, "
      "COALESCE(SUM(state = 'retired'), 0) AS retired FROM host@",
      NULL, 2 },
    { "freshness_seconds", "freshness of reporting hosts, seconds",
      "SELECT ROUND(MIN(age), 1) AS best, ROUND(AVG(age), 1) AS mean, ROUND(MAX(age), 1) AS worst FROM (SELECT "
      "GREATEST(TIMESTAMPDIFF(MICROSECOND, last_tick, UTC_TIMESTAMP(6)), 0) / 1000000 AS age FROM host@ WHERE state = "
      "'active' AND "
      "last_tick >= "
      "UTC_TIMESTAMP(6) - INTERVAL ? SECOND AND last_tick >= UTC_TIMESTAMP(6) - INTERVAL ? SECOND) x",
      NULL, 2 },
    { "bundles", "bundles that hosts recorded, and where each of them is",
      "SELECT COALESCE(SUM(recorded), 0) AS recorded, COALESCE(SUM(in_spool), 0) AS in_spools, COALESCE(SUM(in_kafka), "
      "0) AS in_kafka, COALESCE(SUM(stored), 0) AS stored, COALESCE(SUM(set_aside), 0) AS set_aside, "
      "COALESCE(SUM(lost), 0) AS lost, COALESCE(SUM(unaccounted), 0) AS unaccounted, "
      "TIMESTAMPDIFF(SECOND, MIN(looked), UTC_TIMESTAMP(6)) AS kafka_looked_s FROM conservation_slot@",
      NULL, 0 },
    { "reports", "what active hosts reported of their spools: how long ago, seconds",
      "SELECT COUNT(*) AS hosts, COALESCE(SUM(reported IS NULL), 0) AS never, COALESCE(SUM(connected = 1 AND told >= "
      "UTC_TIMESTAMP(6) - INTERVAL ? SECOND), 0) AS connected, TIMESTAMPDIFF(SECOND, MAX(reported), UTC_TIMESTAMP(6)) "
      "AS "
      "newest, TIMESTAMPDIFF(SECOND, MIN(reported), UTC_TIMESTAMP(6)) AS oldest FROM conservation@ WHERE state = "
      "'active'",
      NULL, 1 },
    { "hosts_behind", "hosts of which not everything is stored (all hosts: --hosts)",
      HOSTS_BEHIND "WHERE unaccounted <> 0 OR lost > 0 OR set_aside > 0 OR in_spool > 5 OR in_kafka > 5 ORDER BY "
                   "unaccounted <> 0 DESC, in_spool + in_kafka DESC, lost DESC, host LIMIT 10",
      HOSTS_BEHIND "ORDER BY host", 0 },
    { "slots_unaccounted", "slots of which bundles are nowhere",
      "SELECT slot, unaccounted, in_kafka, next_offset, log_start, log_end, looked FROM conservation_slot@ WHERE "
      "unaccounted <> 0 ORDER BY slot LIMIT 10",
      NULL, 0 },
    { "records", "records",
      "SELECT COALESCE(SUM(records_total), 0) AS recorded, COALESCE(SUM(records), 0) AS stored, (SELECT "
      "COALESCE(SUM(records), 0) FROM "
      "set_aside@ WHERE replayed IS NULL) AS set_aside, (SELECT COALESCE(SUM(lost), 0) FROM gap@ WHERE explained = 0 "
      "AND "
      "kind IN "
      "('sequence', 'refused', 'retention')) AS in_gaps, COALESCE(SUM(lost_total), 0) AS lost_on_hosts FROM host@",
      NULL, 0 },
    { "gaps_24h", "gaps not explained, last 24 h",
      "SELECT host, kind, COUNT(*) AS gaps, SUM(lost) AS lost, MAX(to_time) AS newest FROM gap@ WHERE explained = 0 "
      "AND "
      "to_time >= "
      "UTC_TIMESTAMP(6) - INTERVAL 1 DAY GROUP BY host, kind ORDER BY newest DESC LIMIT 10",
      NULL, 0 },
    { "slot_gaps_8d", "slots whose log was cut or replaced before it was stored, last 8 days",
      "SELECT slot, incarnation, kind, from_offset, to_offset, noted FROM slot_gap@ WHERE noted >= UTC_TIMESTAMP(6) - "
      "INTERVAL 8 DAY ORDER BY noted DESC LIMIT 10",
      NULL, 0 },
    { "findings_24h", "findings, last 24 h",
      "SELECT host, kind, COUNT(*) AS findings, MAX(at_time) AS newest FROM finding@ WHERE at_time >= UTC_TIMESTAMP(6) "
      "- INTERVAL 1 DAY "
      "GROUP BY host, kind ORDER BY newest DESC LIMIT 10",
      NULL, 0 },
    { "set_aside", "set aside",
      "SELECT reason, COUNT(*) AS messages, MAX(noted) AS newest FROM set_aside@ WHERE replayed IS NULL GROUP BY "
      "reason",
      NULL, 0 },
    { "silent_hosts", "silent hosts",
      "SELECT host, last_tick, IF(connected = 1 AND told >= UTC_TIMESTAMP(6) - INTERVAL ? SECOND, 'yes', 'no') AS "
      "connected, told, in_spool, in_kafka FROM conservation@ WHERE state = 'active' AND last_tick < UTC_TIMESTAMP(6) "
      "- "
      "INTERVAL ? SECOND ORDER BY last_tick LIMIT 10",
      NULL, 2 },
    { "spools_nearly_full", "hosts whose spool is nearly full, by what they recorded last",
      "SELECT host, ROUND(100 * spool_bytes / spool_limit) AS percent, spool_bytes, spool_limit, last_tick FROM "
      "conservation@ WHERE state = 'active' AND spool_limit > 0 AND spool_bytes >= 0.8 * spool_limit ORDER BY percent "
      "DESC LIMIT 10",
      NULL, 0 },
    { "clocks", "hosts whose clock is off by more than 2 s, seconds",
      "SELECT host, ROUND(clock_off_us / 1000000, 1) AS clock_off, ROUND(drift_us / 1000000, 1) AS drift, last_tick "
      "FROM "
      "conservation@ WHERE state = 'active' AND (ABS(clock_off_us) > 2000000 OR ABS(drift_us) > 2000000) ORDER BY "
      "GREATEST(ABS(clock_off_us), ABS(drift_us)) DESC LIMIT 10",
      NULL, 0 },
};

const size_t status_parts_count = pofr_countof(status_parts);
