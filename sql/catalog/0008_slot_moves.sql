-- SPDX-License-Identifier: GPL-2.0-or-later
-- Slots that are on their way to another shard (pofrctl slot move). The row is there from before the slot is frozen until its
-- new shard has it and the head shows it; what else there is to know of a move is in the slot's rows of both shards.

CREATE TABLE IF NOT EXISTS slot_move (
  slot SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  from_shard SMALLINT UNSIGNED NOT NULL,
  to_shard SMALLINT UNSIGNED NOT NULL,
  since DATETIME(6) NOT NULL,
  FOREIGN KEY (from_shard) REFERENCES shard (shard_id),
  FOREIGN KEY (to_shard) REFERENCES shard (shard_id)
) ENGINE=InnoDB;
