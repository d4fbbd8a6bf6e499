-- SPDX-License-Identifier: GPL-2.0-or-later
-- What can't be seen on a shard while nothing is stored: what hosts have in their spools, up to where gateways acked, and
-- what each slot's worker is doing with it. Figures for people: nothing is decided by them.

-- Newest word of a host, and of the gateways about it. told: newest time that a gateway had a session with it.
CREATE TABLE IF NOT EXISTS spool_report (
  host_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  gateway VARCHAR(190) NOT NULL,
  connected TINYINT UNSIGNED NOT NULL,         -- 0: the session had ended when the gateway told it
  hello DATETIME(6) NOT NULL,                  -- when the host told what follows
  oldest BIGINT UNSIGNED NOT NULL,             -- first sequence in its spool that no gateway acked; 0: none
  newest BIGINT UNSIGNED NOT NULL,             -- newest sequence that it sealed; 0: none, or not told
  acked BIGINT UNSIGNED NOT NULL,              -- newest sequence that a gateway acked; 0: none since gateways tell it
  acked_at DATETIME(6) NULL,
  told DATETIME(6) NOT NULL,
  KEY told (told)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- p_reports: a JSON array of [host_id, connected, hello, oldest, newest, acked, acked_at], times in microseconds since 1970.
-- No host's word is taken for more than 2^60. Two gateways may tell of one host: the newer session's HELLO counts, and the higher of two acks.
CREATE OR REPLACE PROCEDURE report_spools(IN p_gateway VARCHAR(190), IN p_reports LONGTEXT)
MODIFIES SQL DATA
BEGIN
  INSERT INTO spool_report (host_id, gateway, connected, hello, oldest, newest, acked, acked_at, told)
    SELECT h.host_id, p_gateway, j.connected, FROM_UNIXTIME(j.hello / 1000000), LEAST(j.oldest, 1152921504606846976),
      LEAST(j.newest, 1152921504606846976), LEAST(j.acked, 1152921504606846976),
      IF(j.acked_at > 0, FROM_UNIXTIME(j.acked_at / 1000000), NULL), UTC_TIMESTAMP(6)
    FROM JSON_TABLE(p_reports, '$[*]' COLUMNS (host_id BIGINT UNSIGNED PATH '$[0]', connected INT PATH '$[1]',
      hello BIGINT PATH '$[2]', oldest BIGINT UNSIGNED PATH '$[3]', newest BIGINT UNSIGNED PATH '$[4]',
      acked BIGINT UNSIGNED PATH '$[5]', acked_at BIGINT PATH '$[6]')) j
    JOIN host h ON h.host_id = j.host_id AND h.state <> 'erased'
  ON DUPLICATE KEY UPDATE
    gateway = IF(VALUES(hello) >= spool_report.hello, VALUES(gateway), spool_report.gateway),
    connected = IF(VALUES(hello) >= spool_report.hello, VALUES(connected), spool_report.connected),
    oldest = IF(VALUES(hello) >= spool_report.hello, VALUES(oldest), spool_report.oldest),
    newest = IF(VALUES(hello) >= spool_report.hello, VALUES(newest), spool_report.newest),
    hello = GREATEST(VALUES(hello), spool_report.hello),
    acked_at = IF(VALUES(acked) >= spool_report.acked, COALESCE(VALUES(acked_at), spool_report.acked_at), spool_report.acked_at),
    acked = GREATEST(VALUES(acked), spool_report.acked),
    told = VALUES(told);
END
-- end

-- What a worker said last of a slot of its own: why it is not fetched now. Who owns it the consumer group knows; a word of one
-- that owns it no more, or that died, is as old as told.
CREATE TABLE IF NOT EXISTS slot_worker (
  slot SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  worker VARCHAR(190) NOT NULL,
  cause VARCHAR(16) CHARACTER SET ascii NOT NULL, -- '': it is fetched; loading, queue, shard, catalog, unmapped
  since DATETIME(6) NOT NULL,
  told DATETIME(6) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- p_slots: a JSON array of [slot, cause]
CREATE OR REPLACE PROCEDURE report_slots(IN p_worker VARCHAR(190), IN p_slots LONGTEXT)
MODIFIES SQL DATA
BEGIN
  INSERT INTO slot_worker (slot, worker, cause, since, told)
    SELECT j.slot, p_worker, j.cause, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6)
    FROM JSON_TABLE(p_slots, '$[*]' COLUMNS (slot SMALLINT UNSIGNED PATH '$[0]', cause VARCHAR(16) PATH '$[1]')) j
    WHERE j.slot < 1024
  ON DUPLICATE KEY UPDATE
    since = IF(slot_worker.worker = VALUES(worker) AND slot_worker.cause = VALUES(cause), slot_worker.since, VALUES(since)),
    worker = VALUES(worker), cause = VALUES(cause), told = VALUES(told);
END
-- end
