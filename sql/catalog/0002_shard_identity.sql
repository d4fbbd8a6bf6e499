-- SPDX-License-Identifier: GPL-2.0-or-later
-- What pofr_store.identity of the shard says; NULL until pofrctl has asked it.
ALTER TABLE shard ADD COLUMN IF NOT EXISTS identity BINARY(16) NULL;
