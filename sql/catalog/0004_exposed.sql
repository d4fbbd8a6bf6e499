-- SPDX-License-Identifier: GPL-2.0-or-later
-- Databases on the head that hold one host alone, with POFR's tables (pofrctl host expose): which there are to be.
-- `pofrctl migrate` makes them again; the head's own mark, whose a database is, is its comment.
CREATE TABLE IF NOT EXISTS exposed (
  host_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  database_name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE,
  since DATETIME(6) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
