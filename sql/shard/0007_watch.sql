-- SPDX-License-Identifier: GPL-2.0-or-later
-- Conservation: every sequence up to the newest that a host reported is in exactly one place. What can't be known from what
-- is stored comes from two small tables that the merger fills, both in one transaction, the look at Kafka after the reading
-- of the reports: what a gateway acked before that is in the log that was looked at.

-- The catalog's spool_report, of this shard's hosts.
CREATE TABLE IF NOT EXISTS spool_report (
  host_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  gateway VARCHAR(190) CHARACTER SET utf8mb4 NOT NULL,
  connected TINYINT UNSIGNED NOT NULL,
  hello DATETIME(6) NOT NULL,
  oldest BIGINT UNSIGNED NOT NULL,
  newest BIGINT UNSIGNED NOT NULL,
  acked BIGINT UNSIGNED NOT NULL,
  acked_at DATETIME(6) NULL,
  told DATETIME(6) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=binary;

-- What the log of each slot held when the merger looked.
CREATE TABLE IF NOT EXISTS slot_watch (
  slot SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  log_start BIGINT NOT NULL,                 -- -1: not known
  log_end BIGINT NOT NULL,
  looked DATETIME(6) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=binary;

-- Set aside and not stored: behind all that was dealt with, or in a gap that nothing explains (what is neither was stored by
-- another copy of the message). What the host says that it still has waits there.
CREATE OR REPLACE SQL SECURITY DEFINER VIEW conservation_aside AS
SELECT x.host_id, COUNT(DISTINCT x.in_gap) AS in_gaps, COUNT(DISTINCT x.behind) AS behind, MAX(x.behind) AS newest
FROM (
  SELECT a.host_id,
    IF(EXISTS (SELECT 1 FROM gap g WHERE g.host_id = a.host_id AND g.first_sequence <= a.sequence AND g.last_sequence >= a.sequence
      AND g.explained = 0 AND (g.kind <> 'sequence' OR COALESCE(r.oldest, 0) = 0 OR a.sequence < GREATEST(r.oldest, r.acked + 1))), a.sequence, NULL) AS in_gap,
    IF(a.sequence > COALESCE((SELECT MAX(b.tip_sequence) FROM boot b WHERE b.host_id = a.host_id), 0), a.sequence, NULL) AS behind
  FROM set_aside a
    LEFT JOIN spool_report r ON r.host_id = a.host_id
  WHERE a.host_id IS NOT NULL AND a.sequence IS NOT NULL AND a.replayed IS NULL AND a.reason <> 'unknown_kind') x
GROUP BY x.host_id;

-- Per host, what the rest is made of. tip: the newest sequence that is stored. acked: by the gateways' word or the host's.
-- A branch counts each sequence once, so its ledger is asked. Nothing is taken for more than 2^60, so that no host's word makes
-- a sum that can't be made.
CREATE OR REPLACE ALGORITHM = TEMPTABLE SQL SECURITY DEFINER VIEW conservation_facts AS
SELECT h.host_id,
  CAST(LEAST(COALESCE((SELECT MAX(b.tip_sequence) FROM boot b WHERE b.host_id = h.host_id), 0), 1152921504606846976) AS SIGNED) AS tip,
  CAST(IF(EXISTS (SELECT 1 FROM finding f WHERE f.host_id = h.host_id AND f.kind = 'branch'),
    (SELECT COUNT(DISTINCT l.sequence) FROM bundle l WHERE l.host_id = h.host_id), COALESCE(t.bundles, 0)) AS SIGNED) AS stored,
  CAST(COALESCE(GREATEST(r.acked, IF(r.oldest > 0, r.oldest - 1, r.newest)), 0) AS SIGNED) AS acked,
  CAST(COALESCE(GREATEST(r.acked, r.newest), 0) AS SIGNED) AS newest,
  CAST(LEAST(COALESCE(a.newest, 0), 1152921504606846976) AS SIGNED) AS aside_newest,
  CAST(COALESCE(a.behind, 0) AS SIGNED) AS aside_behind,
  CAST(COALESCE(a.in_gaps, 0) AS SIGNED) AS aside_in_gaps,
  CAST(LEAST(COALESCE((SELECT SUM(g.last_sequence - g.first_sequence + 1) FROM gap g WHERE g.host_id = h.host_id AND g.first_sequence > 0
    AND g.explained = 0), 0), 1152921504606846976) AS SIGNED) AS in_gaps,
  -- of these, what its host said that it still has: it comes
  CAST(LEAST(COALESCE((SELECT SUM(g.last_sequence - GREATEST(g.first_sequence, r.oldest, r.acked + 1) + 1) FROM gap g
    WHERE r.oldest > 0 AND g.host_id = h.host_id AND g.first_sequence > 0 AND g.kind = 'sequence' AND g.explained = 0
    AND g.last_sequence >= GREATEST(r.oldest, r.acked + 1)), 0), 1152921504606846976) AS SIGNED) AS gaps_waiting,
  (SELECT MAX(g.noted) FROM gap g WHERE g.host_id = h.host_id AND g.first_sequence > 0 AND g.explained = 0) AS gap_noted
FROM host h
  LEFT JOIN host_state t ON t.host_id = h.host_id
  LEFT JOIN spool_report r ON r.host_id = h.host_id
  LEFT JOIN conservation_aside a ON a.host_id = h.host_id;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.conservation AS
SELECT h.host, f.host_id, h.state, h.slot,
  GREATEST(f.newest, f.acked, f.tip, f.aside_newest) AS recorded,
  GREATEST(f.newest - GREATEST(f.acked, f.tip, f.aside_newest), 0) + f.gaps_waiting AS in_spool,
  GREATEST(f.acked, f.tip, f.aside_newest) - f.tip - f.aside_behind AS in_kafka,
  f.stored,
  f.aside_behind + f.aside_in_gaps AS set_aside,
  f.in_gaps - f.gaps_waiting - f.aside_in_gaps AS lost,
  f.tip - f.stored - f.in_gaps AS unaccounted,
  IF(r.acked >= r.newest, GREATEST(r.hello, COALESCE(r.acked_at, r.hello)), r.hello) AS reported,
  r.told, r.connected, r.gateway,
  t.last_tick,
  f.gap_noted,
  CAST(JSON_VALUE(t.recorder, '$.spool_bytes') AS UNSIGNED) AS spool_bytes,
  CAST(JSON_VALUE(t.recorder, '$.spool_limit') AS UNSIGNED) AS spool_limit,
  b.host_anchor_us - b.anchor_us AS clock_off_us,
  b.drift_us
FROM pofr_store.conservation_facts f
  JOIN pofr_store.host h ON h.host_id = f.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.spool_report r ON r.host_id = f.host_id
  LEFT JOIN pofr_store.host_state t ON t.host_id = f.host_id
  LEFT JOIN pofr_store.boot b ON b.host_id = t.host_id AND b.boot = t.newest_boot;

-- Per slot. Kafka is asked here whether it has what must be there: where fewer messages are unread than bundles are in_kafka
-- (a host's bundles are as many messages or more), the difference is nowhere.
CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.conservation_slot AS
SELECT o.slot, COALESCE(c.hosts, 0) AS hosts,
  COALESCE(c.recorded, 0) AS recorded,
  COALESCE(c.in_spool, 0) AS in_spool,
  COALESCE(c.in_kafka, 0) - IF(w.log_end >= 0, GREATEST(COALESCE(c.in_kafka, 0) - GREATEST(w.log_end - GREATEST(o.next_offset, w.log_start), 0), 0), 0) AS in_kafka,
  COALESCE(c.stored, 0) AS stored,
  COALESCE(c.set_aside, 0) AS set_aside,
  COALESCE(c.lost, 0) AS lost,
  COALESCE(c.unaccounted, 0) + IF(w.log_end >= 0, GREATEST(COALESCE(c.in_kafka, 0) - GREATEST(w.log_end - GREATEST(o.next_offset, w.log_start), 0), 0), 0) AS unaccounted,
  c.reported, o.next_offset, w.log_start, w.log_end, w.looked
FROM pofr_store.ingest_offset o
  JOIN pofr_store.slot s ON s.slot = o.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.slot_watch w ON w.slot = o.slot
  LEFT JOIN (
    SELECT x.slot, COUNT(*) AS hosts, SUM(x.recorded) AS recorded, SUM(x.in_spool) AS in_spool, SUM(x.in_kafka) AS in_kafka,
      SUM(x.stored) AS stored, SUM(x.set_aside) AS set_aside, SUM(x.lost) AS lost, SUM(x.unaccounted) AS unaccounted,
      MIN(IF(x.state = 'active', x.reported, NULL)) AS reported
    FROM pofr.conservation x GROUP BY x.slot) c ON c.slot = o.slot;
