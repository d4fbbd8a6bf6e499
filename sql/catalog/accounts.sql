-- SPDX-License-Identifier: GPL-2.0-or-later
-- Rights in the catalog; run at each migration, repeatable. The accounts are made before.
GRANT SELECT ON pofr_catalog.setting TO 'pofr_gateway'@'%';
GRANT SELECT ON pofr_catalog.host TO 'pofr_gateway'@'%';
GRANT SELECT ON pofr_catalog.host_key TO 'pofr_gateway'@'%';
GRANT SELECT ON pofr_catalog.change_seq TO 'pofr_gateway'@'%';
GRANT SELECT ON pofr_catalog.slot TO 'pofr_gateway'@'%';
GRANT SELECT ON pofr_catalog.tombstone TO 'pofr_gateway'@'%';
GRANT SELECT ON pofr_catalog.wanted TO 'pofr_gateway'@'%';
GRANT EXECUTE ON PROCEDURE pofr_catalog.enrol_host TO 'pofr_gateway'@'%';
GRANT EXECUTE ON PROCEDURE pofr_catalog.report_spools TO 'pofr_gateway'@'%';
GRANT SELECT ON pofr_catalog.setting TO 'pofr_worker'@'%';
GRANT SELECT ON pofr_catalog.host TO 'pofr_worker'@'%';
GRANT SELECT ON pofr_catalog.host_key TO 'pofr_worker'@'%';
GRANT SELECT ON pofr_catalog.change_seq TO 'pofr_worker'@'%';
GRANT SELECT ON pofr_catalog.shard TO 'pofr_worker'@'%';
GRANT SELECT ON pofr_catalog.slot TO 'pofr_worker'@'%';
GRANT SELECT ON pofr_catalog.tombstone TO 'pofr_worker'@'%';
GRANT EXECUTE ON PROCEDURE pofr_catalog.enter_key TO 'pofr_worker'@'%';
GRANT EXECUTE ON PROCEDURE pofr_catalog.report_slots TO 'pofr_worker'@'%';
GRANT SELECT ON pofr_catalog.host TO 'pofr_merger'@'%';
GRANT SELECT ON pofr_catalog.shard TO 'pofr_merger'@'%';
GRANT SELECT ON pofr_catalog.slot TO 'pofr_merger'@'%';
GRANT SELECT ON pofr_catalog.slot_move TO 'pofr_merger'@'%';
GRANT SELECT ON pofr_catalog.spool_report TO 'pofr_merger'@'%';
GRANT SELECT, INSERT, DELETE ON pofr_catalog.wanted TO 'pofr_merger'@'%';
GRANT SELECT ON pofr_catalog.slot_worker TO 'pofr_merger'@'%';
