-- SPDX-License-Identifier: GPL-2.0-or-later
-- Rights on a shard; run at each migration, repeatable. The accounts are made before.
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE TEMPORARY TABLES ON pofr_store.* TO 'pofr_worker'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE, ALTER, DROP ON pofr_store.* TO 'pofr_merger'@'%';
GRANT SELECT ON pofr.conservation TO 'pofr_merger'@'%';
GRANT SELECT ON pofr.conservation_slot TO 'pofr_merger'@'%';
GRANT SELECT ON pofr.* TO 'pofr_spider'@'%';
GRANT SELECT ON pofr_compat.* TO 'pofr_spider'@'%';
GRANT SELECT ON pofr.* TO 'pofr_analyst'@'%';
GRANT SELECT ON pofr_compat.* TO 'pofr_analyst'@'%';
