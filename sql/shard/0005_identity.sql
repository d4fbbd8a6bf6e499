-- SPDX-License-Identifier: GPL-2.0-or-later
-- Who this shard is: drawn once, it stays whatever name or address the server has. The catalog keeps a copy, so
-- that the same server is not taken for two shards.

CREATE TABLE IF NOT EXISTS identity (
  one TINYINT UNSIGNED NOT NULL PRIMARY KEY CHECK (one = 1),
  identity BINARY(16) NOT NULL
) ENGINE=InnoDB;
INSERT IGNORE INTO identity VALUES (1, RANDOM_BYTES(16));
