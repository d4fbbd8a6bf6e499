-- SPDX-License-Identifier: GPL-2.0-or-later
-- Rights on the head; run at each migration, repeatable. The accounts are made before.
GRANT SELECT ON pofr.* TO 'pofr_analyst'@'%';
GRANT SELECT ON pofr_compat.* TO 'pofr_analyst'@'%';
