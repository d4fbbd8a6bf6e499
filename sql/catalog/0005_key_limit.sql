-- SPDX-License-Identifier: GPL-2.0-or-later
-- A host has at most 1,000 keys: every gateway and every worker holds all keys of all hosts in memory, and a host could
-- tell a new one with each bundle.

-- A host's next key, from a record in its chain. Repeatable.
CREATE OR REPLACE PROCEDURE enter_key(IN p_host_id BIGINT UNSIGNED, IN p_key_id BINARY(32), IN p_public_key BINARY(32))
MODIFIES SQL DATA
BEGIN
  DECLARE v_change BIGINT UNSIGNED DEFAULT 0;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
  START TRANSACTION;
  SELECT value + 1 INTO v_change FROM change_seq WHERE one = 1 FOR UPDATE;
  IF NOT EXISTS (SELECT 1 FROM host_key WHERE key_id = p_key_id)
      AND EXISTS (SELECT 1 FROM host WHERE host_id = p_host_id AND state IN ('pending', 'active'))
      AND (SELECT COUNT(*) FROM host_key WHERE host_id = p_host_id) < 1000 THEN
    UPDATE change_seq SET value = v_change WHERE one = 1;
    INSERT INTO host_key (key_id, host_id, public_key, valid_from, changed)
      VALUES (p_key_id, p_host_id, p_public_key, UTC_TIMESTAMP(6), v_change);
  END IF;
  COMMIT;
END
-- end
