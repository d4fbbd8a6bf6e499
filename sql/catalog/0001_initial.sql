-- SPDX-License-Identifier: GPL-2.0-or-later
-- The catalog: who the hosts are, their keys, tokens, slots, shards. Database pofr_catalog.
-- A statement ends with ";" at the end of a line; a procedure (from CREATE PROCEDURE) with the line "-- end".

CREATE TABLE setting (
  name VARCHAR(64) NOT NULL PRIMARY KEY,
  value VARCHAR(1024) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE shard (
  shard_id SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(64) NOT NULL UNIQUE,
  address VARCHAR(255) NOT NULL,              -- host name or address
  port SMALLINT UNSIGNED NOT NULL,
  added DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Where each slot lives. generation rises at each move; workers' compare-and-set tests it.
CREATE TABLE slot (
  slot SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  shard_id SMALLINT UNSIGNED NOT NULL,
  generation INT UNSIGNED NOT NULL DEFAULT 1,
  FOREIGN KEY (shard_id) REFERENCES shard (shard_id)
) ENGINE=InnoDB;

CREATE TABLE host (
  number BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  host_id BIGINT UNSIGNED NOT NULL UNIQUE,     -- number * 1024 + slot
  host_uuid BINARY(16) NOT NULL UNIQUE,
  host VARCHAR(190) NOT NULL UNIQUE,           -- the catalog's name for it; changed only by pofrctl
  host_group VARCHAR(190) NOT NULL DEFAULT '',
  state ENUM('pending','active','retired','erased') NOT NULL DEFAULT 'active',
  slot SMALLINT UNSIGNED NOT NULL,
  enrolled DATETIME(6) NOT NULL,
  state_since DATETIME(6) NOT NULL,
  hostname VARCHAR(255) NOT NULL DEFAULT '',   -- what it called itself when it enrolled
  machine_id VARCHAR(64) NOT NULL DEFAULT '',
  os VARCHAR(255) NOT NULL DEFAULT '',
  kernel VARCHAR(255) NOT NULL DEFAULT '',
  agent_version VARCHAR(64) NOT NULL DEFAULT '',
  peer VARCHAR(64) NOT NULL DEFAULT '',
  changed BIGINT UNSIGNED NOT NULL DEFAULT 0,  -- value of change_seq at the last change: copies ask for what is newer
  KEY changed (changed),
  KEY host_slot (slot)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Every key that a host ever had. A key gets an end, it never vanishes.
CREATE TABLE host_key (
  key_id BINARY(32) NOT NULL PRIMARY KEY,      -- SHA-256 of public_key
  host_id BIGINT UNSIGNED NOT NULL,
  public_key BINARY(32) NOT NULL,
  valid_from DATETIME(6) NOT NULL,
  valid_to DATETIME(6) NOT NULL DEFAULT '9999-12-31 23:59:59.999999',
  changed BIGINT UNSIGNED NOT NULL DEFAULT 0,
  KEY changed (changed),
  KEY host_keys (host_id, valid_from)
) ENGINE=InnoDB;

-- One row: raised in the transaction of every change of host or host_key.
CREATE TABLE change_seq (
  one TINYINT UNSIGNED NOT NULL PRIMARY KEY CHECK (one = 1),
  value BIGINT UNSIGNED NOT NULL
) ENGINE=InnoDB;
INSERT INTO change_seq VALUES (1, 1);

CREATE TABLE token (
  token_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  token_hash BINARY(32) NOT NULL UNIQUE,       -- SHA-256 of the secret; the secret itself is nowhere
  note VARCHAR(255) NOT NULL DEFAULT '',
  created DATETIME(6) NOT NULL,
  expires DATETIME(6) NOT NULL,
  uses_left INT UNSIGNED NOT NULL DEFAULT 1,
  host VARCHAR(190) NOT NULL DEFAULT '',       -- the name to give ('' = what the host calls itself)
  host_pattern VARCHAR(190) NOT NULL DEFAULT '', -- LIKE pattern on the host's own name ('' = any)
  host_group VARCHAR(190) NOT NULL DEFAULT '',
  approve TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: hosts wait for `pofrctl host approve`
  revoked TINYINT UNSIGNED NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE token_use (
  token_id INT UNSIGNED NOT NULL,
  key_id BINARY(32) NOT NULL,
  host_id BIGINT UNSIGNED NOT NULL,
  used DATETIME(6) NOT NULL,
  PRIMARY KEY (token_id, key_id)
) ENGINE=InnoDB;

-- Bundles that are wanted again; the answer to HELLO names them.
CREATE TABLE wanted (
  host_id BIGINT UNSIGNED NOT NULL,
  first_sequence BIGINT UNSIGNED NOT NULL,
  last_sequence BIGINT UNSIGNED NOT NULL,
  since DATETIME(6) NOT NULL,
  PRIMARY KEY (host_id, first_sequence)
) ENGINE=InnoDB;

-- Erased hosts: workers drop and count what still comes.
CREATE TABLE tombstone (
  host_uuid BINARY(16) NOT NULL PRIMARY KEY,
  host_id BIGINT UNSIGNED NOT NULL,
  erased DATETIME(6) NOT NULL
) ENGINE=InnoDB;

-- Redeem a token: one transaction; same token and same key: same answer. p_slot comes from the caller
-- (Kafka's hash of the uuid's text over the partitions of the day), and so does the new uuid.
CREATE PROCEDURE enrol_host(
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
      SELECT value + 1 INTO v_change FROM change_seq WHERE one = 1 FOR UPDATE;
      UPDATE change_seq SET value = v_change WHERE one = 1;
      SET v_name = IF(v_host <> '', v_host, IF(p_hostname <> '', LEFT(p_hostname, 180), 'host'));
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

-- A host's next key, from a record in its chain. Repeatable.
CREATE PROCEDURE enter_key(IN p_host_id BIGINT UNSIGNED, IN p_key_id BINARY(32), IN p_public_key BINARY(32))
MODIFIES SQL DATA
BEGIN
  DECLARE v_change BIGINT UNSIGNED DEFAULT 0;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
  START TRANSACTION;
  SELECT value + 1 INTO v_change FROM change_seq WHERE one = 1 FOR UPDATE;
  IF NOT EXISTS (SELECT 1 FROM host_key WHERE key_id = p_key_id)
      AND EXISTS (SELECT 1 FROM host WHERE host_id = p_host_id AND state IN ('pending', 'active')) THEN
    UPDATE change_seq SET value = v_change WHERE one = 1;
    INSERT INTO host_key (key_id, host_id, public_key, valid_from, changed)
      VALUES (p_key_id, p_host_id, p_public_key, UTC_TIMESTAMP(6), v_change);
  END IF;
  COMMIT;
END
-- end
