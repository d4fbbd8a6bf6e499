-- SPDX-License-Identifier: GPL-2.0-or-later
-- Machines that call themselves the same: a clone that was made before it was enrolled has the machine id of another host.
-- A new host that does marks the oldest such host as changed, too: whoever copies hosts looks at both then.

ALTER TABLE host ADD KEY IF NOT EXISTS machine_id (machine_id);

-- Redeem a token: one transaction; same token and same key: same answer. p_slot comes from the caller
-- (Kafka's hash of the uuid's text over the partitions of the day), and so does the new uuid.
-- Two locks come first, the token's and then change_seq's: enrolments are one after the other, and all that is read then
-- is as the one before left it (two machines of one name at once; and later MariaDBs refuse to lock what has changed since
-- the transaction's first look).
CREATE OR REPLACE PROCEDURE enrol_host(
  IN p_token_hash BINARY(32), IN p_key_id BINARY(32), IN p_public_key BINARY(32),
  IN p_uuid BINARY(16), IN p_slot SMALLINT UNSIGNED,
  IN p_hostname VARCHAR(255), IN p_machine_id VARCHAR(64), IN p_os VARCHAR(255),
  IN p_kernel VARCHAR(255), IN p_agent_version VARCHAR(64), IN p_peer VARCHAR(64))
MODIFIES SQL DATA
BEGIN
  DECLARE v_token INT UNSIGNED DEFAULT NULL;
  DECLARE v_uses INT UNSIGNED DEFAULT 0;
  DECLARE v_expires DATETIME(6) DEFAULT NULL;
  DECLARE v_revoked TINYINT UNSIGNED DEFAULT 0;
  DECLARE v_host VARCHAR(190) DEFAULT '';
  DECLARE v_pattern VARCHAR(190) DEFAULT '';
  DECLARE v_group VARCHAR(190) DEFAULT '';
  DECLARE v_approve TINYINT UNSIGNED DEFAULT 0;
  DECLARE v_number BIGINT UNSIGNED DEFAULT NULL;
  DECLARE v_host_id BIGINT UNSIGNED DEFAULT NULL;
  DECLARE v_name VARCHAR(190) DEFAULT '';
  DECLARE v_try INT UNSIGNED DEFAULT 1;
  DECLARE v_change BIGINT UNSIGNED DEFAULT 0;
  DECLARE CONTINUE HANDLER FOR NOT FOUND BEGIN END;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
  START TRANSACTION;
  SELECT token_id, uses_left, expires, revoked, host, host_pattern, host_group, approve
    INTO v_token, v_uses, v_expires, v_revoked, v_host, v_pattern, v_group, v_approve
    FROM token WHERE token_hash = p_token_hash FOR UPDATE;
  IF v_token IS NULL THEN
    ROLLBACK;
    SELECT 'token' AS result, NULL AS host_uuid, NULL AS host_id, NULL AS host, NULL AS state;
  ELSE
    SELECT value + 1 INTO v_change FROM change_seq WHERE one = 1 FOR UPDATE;
    SELECT host_id INTO v_host_id FROM token_use WHERE token_id = v_token AND key_id = p_key_id;
    IF v_host_id IS NOT NULL THEN
      COMMIT;
      SELECT 'again' AS result, host_uuid, host_id, host, state FROM host WHERE host_id = v_host_id;
    ELSEIF v_revoked OR v_uses = 0 OR v_expires < UTC_TIMESTAMP(6)
        OR (v_pattern <> '' AND NOT p_hostname LIKE v_pattern) THEN
      ROLLBACK;
      SELECT 'token' AS result, NULL AS host_uuid, NULL AS host_id, NULL AS host, NULL AS state;
    ELSEIF EXISTS (SELECT 1 FROM host_key WHERE key_id = p_key_id) THEN
      ROLLBACK;
      SELECT 'key' AS result, NULL AS host_uuid, NULL AS host_id, NULL AS host, NULL AS state;
    ELSE
      UPDATE change_seq SET value = v_change WHERE one = 1;
      SET v_name = REGEXP_REPLACE(IF(v_host <> '', v_host, p_hostname), '[^A-Za-z0-9._-]', '_');
      SET v_name = LEFT(REGEXP_REPLACE(v_name, '^[^A-Za-z0-9]+', ''), 180);
      SET v_name = IF(v_name <> '', v_name, 'host');
      SET v_host = v_name;
      WHILE EXISTS (SELECT 1 FROM host WHERE host = v_name) DO
        SET v_try = v_try + 1;
        SET v_name = CONCAT(v_host, '-', v_try);
      END WHILE;
      INSERT INTO host (host_id, host_uuid, host, host_group, state, slot, enrolled, state_since,
          hostname, machine_id, os, kernel, agent_version, peer, changed)
        VALUES (0, p_uuid, v_name, v_group, IF(v_approve, 'pending', 'active'), p_slot, UTC_TIMESTAMP(6),
          UTC_TIMESTAMP(6), p_hostname, p_machine_id, p_os, p_kernel, p_agent_version, p_peer, v_change);
      SET v_number = LAST_INSERT_ID();
      SET v_host_id = v_number * 1024 + p_slot;
      UPDATE host SET host_id = v_host_id WHERE number = v_number;
      IF p_machine_id <> '' THEN
        UPDATE host SET changed = v_change
          WHERE machine_id = p_machine_id AND host_id <> v_host_id AND state IN ('pending', 'active')
          ORDER BY number LIMIT 1;
      END IF;
      INSERT INTO host_key (key_id, host_id, public_key, valid_from, changed)
        VALUES (p_key_id, v_host_id, p_public_key, UTC_TIMESTAMP(6), v_change);
      INSERT INTO token_use VALUES (v_token, p_key_id, v_host_id, UTC_TIMESTAMP(6));
      UPDATE token SET uses_left = uses_left - 1 WHERE token_id = v_token;
      COMMIT;
      SELECT 'new' AS result, host_uuid, host_id, host, state FROM host WHERE host_id = v_host_id;
    END IF;
  END IF;
END
-- end
