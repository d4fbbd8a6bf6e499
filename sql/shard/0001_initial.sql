-- SPDX-License-Identifier: GPL-2.0-or-later
-- A shard: what workers write. Database pofr_store. What analysts see are views over these tables in
-- database pofr (views.sql); docs/SCHEMA.md says how each column is filled.

CREATE TABLE slot (
  slot SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  generation INT UNSIGNED NOT NULL,
  state ENUM('owned','arriving','gone') NOT NULL
) ENGINE=InnoDB;

-- The only truth about how far a slot has been stored. Rows are made by slot assignment alone.
CREATE TABLE ingest_offset (
  slot SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  incarnation INT UNSIGNED NOT NULL DEFAULT 1,
  generation INT UNSIGNED NOT NULL,
  state ENUM('owned','arriving','gone') NOT NULL,
  next_offset BIGINT NOT NULL DEFAULT 0,
  before_digest BINARY(32) NOT NULL DEFAULT '', -- SHA-256 of the value of the message before next_offset; zero at 0
  revision INT UNSIGNED NOT NULL DEFAULT 0,  -- raised by whoever else changes rows of this slot's hosts (retire, erase): workers then read them anew
  worker VARBINARY(190) NOT NULL DEFAULT '',
  updated DATETIME(6) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=binary;

-- The catalog's hosts of this shard's slots, as far as bundles came or pofrctl said; kept in step by worker and pofrctl.
CREATE TABLE host (
  host_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  host_uuid BINARY(16) NOT NULL UNIQUE,
  host VARCHAR(190) CHARACTER SET utf8mb4 NOT NULL,
  host_group VARCHAR(190) CHARACTER SET utf8mb4 NOT NULL DEFAULT '',
  state ENUM('pending','active','retired','erased') NOT NULL DEFAULT 'active',
  slot SMALLINT UNSIGNED NOT NULL,
  enrolled DATETIME(6) NOT NULL,
  zone VARBINARY(64) NOT NULL DEFAULT 'UTC',    -- its time zone, from hostinfo; for pofr_compat
  KEY host_name (host)
) ENGINE=InnoDB DEFAULT CHARSET=binary;

-- Per host: where its chain stands. Changed in the transaction that stores a bundle.
CREATE TABLE host_state (
  host_id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  newest_sequence BIGINT UNSIGNED NOT NULL,
  newest_digest BINARY(32) NOT NULL,
  newest_run BINARY(16) NOT NULL,
  newest_boot INT UNSIGNED NOT NULL,
  boots INT UNSIGNED NOT NULL,               -- highest number given
  last_tick DATETIME(6) NOT NULL,
  last_bundle DATETIME(6) NOT NULL,          -- received by a gateway
  complete_to DATETIME(6) NOT NULL,
  records BIGINT UNSIGNED NOT NULL,          -- stored, all bundles
  records_total BIGINT UNSIGNED NOT NULL,    -- recorded by the agent: the newest statement's total
  lost_total BIGINT UNSIGNED NOT NULL,
  bundles BIGINT UNSIGNED NOT NULL,
  recorder VARBINARY(2048) NOT NULL DEFAULT '' -- newest RECORDER record as JSON
) ENGINE=InnoDB DEFAULT CHARSET=binary;

-- One row per (boot_id, branch): boot in SQL is our own number.
CREATE TABLE boot (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  boot_id BINARY(16) NOT NULL,
  branch INT UNSIGNED NOT NULL DEFAULT 0,
  anchor_us BIGINT NOT NULL,                 -- epoch microseconds at boot clock 0; never changes
  anchor_source ENUM('gateway','host') NOT NULL,
  anchor_uncertainty_us BIGINT UNSIGNED NOT NULL,
  host_anchor_us BIGINT NOT NULL,            -- what the host's own clock said
  first_sequence BIGINT UNSIGNED NOT NULL,
  first_digest BINARY(32) NOT NULL,
  tip_sequence BIGINT UNSIGNED NOT NULL,     -- newest statement of this boot's branch
  tip_digest BINARY(32) NOT NULL,
  tip_run BINARY(16) NOT NULL,
  has_key TINYINT UNSIGNED NOT NULL DEFAULT 0,
  hash_key BINARY(16) NOT NULL DEFAULT '',
  last_tick_us BIGINT UNSIGNED NOT NULL,     -- boot clock of the newest tick stored
  last_tick DATETIME(6) NOT NULL,
  drift_us BIGINT NOT NULL DEFAULT 0,
  closed ENUM('no','reboot','retired') NOT NULL DEFAULT 'no', -- a later boot began, or the host was retired: open rows were closed
  resumed_us BIGINT UNSIGNED NOT NULL DEFAULT 0, -- first look of the newest run that had lost its state, 0: none; such a run names anew what it finds
  PRIMARY KEY (host_id, boot),
  KEY boot_id (host_id, boot_id)
) ENGINE=InnoDB DEFAULT CHARSET=binary;

-- Every start of a collector, as far as its bundles are stored.
CREATE TABLE run (
  host_id BIGINT UNSIGNED NOT NULL,
  run BINARY(16) NOT NULL,
  boot INT UNSIGNED NOT NULL,
  first_sequence BIGINT UNSIGNED NOT NULL,   -- of what is stored
  first_us BIGINT UNSIGNED NOT NULL,         -- its first tick, boot clock
  before_us BIGINT UNSIGNED NOT NULL,        -- newest tick of the boot before it, 0: none
  PRIMARY KEY (host_id, run, boot)
) ENGINE=InnoDB DEFAULT CHARSET=binary;

-- Count and keyed sum of what is open: groups 1 processes, 2 files, 3 sockets, 4 facts, 5 coverage (clean only).
CREATE TABLE open_state (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  group_id TINYINT UNSIGNED NOT NULL,
  open_count BIGINT UNSIGNED NOT NULL,
  digest BIGINT UNSIGNED NOT NULL,
  keyframe_us BIGINT UNSIGNED NOT NULL DEFAULT 0,  -- boot clock of the newest keyframe compared
  parts_us BIGINT UNSIGNED NOT NULL DEFAULT 0,     -- tick of a keyframe whose first parts are stored, and where the next begins
  parts_low BIGINT UNSIGNED NOT NULL DEFAULT 0,
  parts_low_cookie BIGINT UNSIGNED NOT NULL DEFAULT 0,
  clean TINYINT UNSIGNED NOT NULL DEFAULT 0,       -- 1: open rows are what the host had open at its newest tick; 0: something may be missing, the next keyframe is compared in full
  compared DATE NULL,                              -- last compare in full
  PRIMARY KEY (host_id, boot, group_id)
) ENGINE=InnoDB;

-- The ledger. Every field of every statement, so that each can be rebuilt byte for byte.
CREATE TABLE bundle (
  host_id BIGINT UNSIGNED NOT NULL,
  sequence BIGINT UNSIGNED NOT NULL,
  statement_digest BINARY(32) NOT NULL,
  previous_digest BINARY(32) NOT NULL,
  payload_digest BINARY(32) NOT NULL,
  key_id BINARY(32) NOT NULL,
  signature BINARY(64) NOT NULL,
  run BINARY(16) NOT NULL,
  boot INT UNSIGNED NOT NULL,
  boot_id BINARY(16) NOT NULL,
  origin ENUM('first','continues','restart','recovered','lost') NOT NULL,
  from_boot_us BIGINT UNSIGNED NOT NULL,
  to_boot_us BIGINT UNSIGNED NOT NULL,
  from_wall_us BIGINT UNSIGNED NOT NULL,
  to_wall_us BIGINT UNSIGNED NOT NULL,
  ticks BIGINT UNSIGNED NOT NULL,
  ticks_total BIGINT UNSIGNED NOT NULL,
  keyframe ENUM('no','part','last') NOT NULL,
  counts VARBINARY(4096) NOT NULL,           -- records and lost, packed (statement_pack_counts)
  records BIGINT UNSIGNED NOT NULL,
  records_total BIGINT UNSIGNED NOT NULL,
  lost_total BIGINT UNSIGNED NOT NULL,
  payload_size BIGINT UNSIGNED NOT NULL,
  payload_bytes BIGINT UNSIGNED NOT NULL,
  recorder VARBINARY(64) NOT NULL,
  captured_from DATETIME(6) NOT NULL,
  captured_to DATETIME(6) NOT NULL,
  clock_offset BIGINT NULL,                  -- gateway's wall clock minus the host's boot clock, microseconds
  clock_uncertainty BIGINT UNSIGNED NULL,
  received DATETIME(6) NOT NULL,
  stored DATETIME(6) NOT NULL,
  slot SMALLINT UNSIGNED NOT NULL,
  incarnation INT UNSIGNED NOT NULL,
  kafka_offset BIGINT NOT NULL,
  bytes BIGINT UNSIGNED NOT NULL,
  unknown_records BIGINT UNSIGNED NOT NULL DEFAULT 0,
  marks VARBINARY(4096) NOT NULL DEFAULT '', -- its keyframe parts: what a late bundle before it must know
  replayed TINYINT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (host_id, sequence, statement_digest, stored)
) ENGINE=InnoDB DEFAULT CHARSET=binary
PARTITION BY RANGE COLUMNS (stored) (
  PARTITION future VALUES LESS THAN (MAXVALUE)
);

-- Paths and names once per shard. Two different texts never share an id.
CREATE TABLE string (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  digest BINARY(32) NOT NULL UNIQUE,         -- SHA-256 of text
  text VARBINARY(4096) NOT NULL,
  last_used DATE NOT NULL,
  KEY text_prefix (text(96))
) ENGINE=InnoDB DEFAULT CHARSET=binary;

CREATE TABLE psinfo (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  pid INT UNSIGNED NOT NULL,
  started DATETIME(6) NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,             -- of a closed row; an open one is as fresh as boot.last_tick
  ended DATETIME(6) NOT NULL DEFAULT '9999-12-31 23:59:59.999999',
  end_source ENUM('open','exit','gone','exec','change','close','unknown','reboot','retired') NOT NULL DEFAULT 'open',
  end_inferred TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: inferred by the server, may be replaced by what was seen
  start_unseen TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: it was there at the collector's first look
  time_source TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: times were moved to the receipt (own_* hold the host's)
  own_first_seen DATETIME(6) NULL,
  own_ended DATETIME(6) NULL,
  end_before DATETIME(6) NULL,                -- of an inferred end: the first look that no longer showed it, NULL: none did (reboot, retired)
  renamed DATETIME(6) NULL,                   -- newest first_seen by which a run that had lost its state named it, where it did
  hash BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- of identity and attributes, to find the same thing again; 0 where that can't be asked any more
  exit_status INT UNSIGNED NULL,
  cpu_us BIGINT UNSIGNED NULL,
  ppid INT UNSIGNED NOT NULL,
  parent_started DATETIME(6) NULL,
  ruid INT UNSIGNED NOT NULL,
  euid INT UNSIGNED NOT NULL,
  suid INT UNSIGNED NOT NULL,
  fsuid INT UNSIGNED NOT NULL,
  rgid INT UNSIGNED NOT NULL,
  egid INT UNSIGNED NOT NULL,
  sgid INT UNSIGNED NOT NULL,
  fsgid INT UNSIGNED NOT NULL,
  login_uid INT UNSIGNED NULL,
  session INT UNSIGNED NOT NULL,
  tty INT UNSIGNED NOT NULL,
  command_id BIGINT UNSIGNED NOT NULL,
  exe_id BIGINT UNSIGNED NULL,
  exe_device BIGINT UNSIGNED NULL,
  exe_inode BIGINT UNSIGNED NULL,
  exe_deleted TINYINT UNSIGNED NOT NULL,
  arguments MEDIUMBLOB NULL,
  arguments_cut TINYINT UNSIGNED NOT NULL,
  cwd_id BIGINT UNSIGNED NULL,
  cgroup_id BIGINT UNSIGNED NULL,
  container_id BIGINT UNSIGNED NULL,
  ns_mnt BIGINT UNSIGNED NOT NULL,
  ns_pid BIGINT UNSIGNED NOT NULL,
  ns_net BIGINT UNSIGNED NOT NULL,
  ns_user BIGINT UNSIGNED NOT NULL,
  ns_uts BIGINT UNSIGNED NOT NULL,
  ns_ipc BIGINT UNSIGNED NOT NULL,
  ns_cgroup BIGINT UNSIGNED NOT NULL,
  kernel_thread TINYINT UNSIGNED NOT NULL,
  recorder TINYINT UNSIGNED NOT NULL,
  unreadable TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (host_id, boot, pid, started, first_seen, ended)
) ENGINE=InnoDB DEFAULT CHARSET=binary
PARTITION BY RANGE COLUMNS (ended) (
  PARTITION future VALUES LESS THAN ('9999-12-31 00:00:00'),
  PARTITION open VALUES LESS THAN (MAXVALUE)
);

CREATE TABLE fileinfo (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  pid INT UNSIGNED NOT NULL,
  started DATETIME(6) NOT NULL,
  thread INT UNSIGNED NOT NULL,
  fd INT UNSIGNED NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,             -- of a closed row; an open one is as fresh as boot.last_tick
  ended DATETIME(6) NOT NULL DEFAULT '9999-12-31 23:59:59.999999',
  end_source ENUM('open','exit','gone','exec','change','close','unknown','reboot','retired') NOT NULL DEFAULT 'open',
  end_inferred TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: inferred by the server, may be replaced by what was seen
  start_unseen TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: it was there at the collector's first look
  time_source TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: times were moved to the receipt (own_* hold the host's)
  own_first_seen DATETIME(6) NULL,
  own_ended DATETIME(6) NULL,
  end_before DATETIME(6) NULL,                -- of an inferred end: the first look that no longer showed it, NULL: none did (reboot, retired)
  renamed DATETIME(6) NULL,                   -- newest first_seen by which a run that had lost its state named it, where it did
  hash BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- of identity and attributes, to find the same thing again; 0 where that can't be asked any more
  command_id BIGINT UNSIGNED NOT NULL,
  path_id BIGINT UNSIGNED NOT NULL,
  path_cut TINYINT UNSIGNED NOT NULL,
  kind ENUM('unknown','regular','directory','character','block','fifo','socket','symlink','anonymous') NOT NULL,
  access_mode ENUM('','r','w','rw','path') NOT NULL,
  device BIGINT UNSIGNED NOT NULL,
  inode BIGINT UNSIGNED NOT NULL,
  deleted TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (host_id, boot, pid, started, thread, fd, first_seen, ended),
  KEY path (path_id, first_seen)
) ENGINE=InnoDB DEFAULT CHARSET=binary
PARTITION BY RANGE COLUMNS (ended) (
  PARTITION future VALUES LESS THAN ('9999-12-31 00:00:00'),
  PARTITION open VALUES LESS THAN (MAXVALUE)
);

CREATE TABLE netinfo (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  pid INT UNSIGNED NOT NULL,                 -- 0: no owner known
  started DATETIME(6) NOT NULL,              -- 1970-01-01 where pid is 0
  netns BIGINT UNSIGNED NOT NULL,
  cookie BIGINT UNSIGNED NOT NULL,
  cookie_kind TINYINT UNSIGNED NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,             -- of a closed row; an open one is as fresh as boot.last_tick
  ended DATETIME(6) NOT NULL DEFAULT '9999-12-31 23:59:59.999999',
  end_source ENUM('open','exit','gone','exec','change','close','unknown','reboot','retired') NOT NULL DEFAULT 'open',
  end_inferred TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: inferred by the server, may be replaced by what was seen
  start_unseen TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: it was there at the collector's first look
  time_source TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: times were moved to the receipt (own_* hold the host's)
  own_first_seen DATETIME(6) NULL,
  own_ended DATETIME(6) NULL,
  end_before DATETIME(6) NULL,                -- of an inferred end: the first look that no longer showed it, NULL: none did (reboot, retired)
  renamed DATETIME(6) NULL,                   -- newest first_seen by which a run that had lost its state named it, where it did
  hash BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- of identity and attributes, to find the same thing again; 0 where that can't be asked any more
  command_id BIGINT UNSIGNED NOT NULL,
  family SMALLINT UNSIGNED NOT NULL,
  protocol INT UNSIGNED NOT NULL,
  type SMALLINT UNSIGNED NOT NULL,
  local_address VARBINARY(128) NOT NULL,     -- text; a unix path raw
  local_port INT UNSIGNED NOT NULL,
  remote_address VARBINARY(128) NOT NULL,
  remote_port INT UNSIGNED NOT NULL,
  uid INT UNSIGNED NOT NULL,
  inode BIGINT UNSIGNED NOT NULL,
  interface INT UNSIGNED NOT NULL,
  peer_inode BIGINT UNSIGNED NOT NULL,
  state TINYINT UNSIGNED NOT NULL,
  bytes_sent BIGINT UNSIGNED NULL,
  bytes_received BIGINT UNSIGNED NULL,
  PRIMARY KEY (host_id, boot, pid, started, netns, cookie, cookie_kind, first_seen, ended)
) ENGINE=InnoDB DEFAULT CHARSET=binary
PARTITION BY RANGE COLUMNS (ended) (
  PARTITION future VALUES LESS THAN ('9999-12-31 00:00:00'),
  PARTITION open VALUES LESS THAN (MAXVALUE)
);

CREATE TABLE userinfo (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  name VARBINARY(255) NOT NULL,
  uid INT UNSIGNED NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,             -- of a closed row; an open one is as fresh as boot.last_tick
  ended DATETIME(6) NOT NULL DEFAULT '9999-12-31 23:59:59.999999',
  end_source ENUM('open','exit','gone','exec','change','close','unknown','reboot','retired') NOT NULL DEFAULT 'open',
  end_inferred TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: inferred by the server, may be replaced by what was seen
  start_unseen TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: it was there at the collector's first look
  time_source TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: times were moved to the receipt (own_* hold the host's)
  own_first_seen DATETIME(6) NULL,
  own_ended DATETIME(6) NULL,
  end_before DATETIME(6) NULL,                -- of an inferred end: the first look that no longer showed it, NULL: none did (reboot, retired)
  renamed DATETIME(6) NULL,                   -- newest first_seen by which a run that had lost its state named it, where it did
  hash BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- of identity and attributes, to find the same thing again; 0 where that can't be asked any more
  gid INT UNSIGNED NOT NULL,
  comment VARBINARY(4096) NOT NULL,
  home VARBINARY(4096) NOT NULL,
  shell VARBINARY(4096) NOT NULL,
  origin VARBINARY(16) NOT NULL,
  PRIMARY KEY (host_id, boot, name, uid, first_seen, ended)
) ENGINE=InnoDB DEFAULT CHARSET=binary
PARTITION BY RANGE COLUMNS (ended) (
  PARTITION future VALUES LESS THAN ('9999-12-31 00:00:00'),
  PARTITION open VALUES LESS THAN (MAXVALUE)
);

CREATE TABLE groupinfo (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  name VARBINARY(255) NOT NULL,
  gid INT UNSIGNED NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,             -- of a closed row; an open one is as fresh as boot.last_tick
  ended DATETIME(6) NOT NULL DEFAULT '9999-12-31 23:59:59.999999',
  end_source ENUM('open','exit','gone','exec','change','close','unknown','reboot','retired') NOT NULL DEFAULT 'open',
  end_inferred TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: inferred by the server, may be replaced by what was seen
  start_unseen TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: it was there at the collector's first look
  time_source TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: times were moved to the receipt (own_* hold the host's)
  own_first_seen DATETIME(6) NULL,
  own_ended DATETIME(6) NULL,
  end_before DATETIME(6) NULL,                -- of an inferred end: the first look that no longer showed it, NULL: none did (reboot, retired)
  renamed DATETIME(6) NULL,                   -- newest first_seen by which a run that had lost its state named it, where it did
  hash BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- of identity and attributes, to find the same thing again; 0 where that can't be asked any more
  members MEDIUMBLOB NOT NULL,
  origin VARBINARY(16) NOT NULL,
  PRIMARY KEY (host_id, boot, name, gid, first_seen, ended)
) ENGINE=InnoDB DEFAULT CHARSET=binary
PARTITION BY RANGE COLUMNS (ended) (
  PARTITION future VALUES LESS THAN ('9999-12-31 00:00:00'),
  PARTITION open VALUES LESS THAN (MAXVALUE)
);

CREATE TABLE netint (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  netns BIGINT UNSIGNED NOT NULL,
  interface INT UNSIGNED NOT NULL,
  family SMALLINT UNSIGNED NOT NULL,
  address VARBINARY(64) NOT NULL,     -- text
  prefix SMALLINT UNSIGNED NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,             -- of a closed row; an open one is as fresh as boot.last_tick
  ended DATETIME(6) NOT NULL DEFAULT '9999-12-31 23:59:59.999999',
  end_source ENUM('open','exit','gone','exec','change','close','unknown','reboot','retired') NOT NULL DEFAULT 'open',
  end_inferred TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: inferred by the server, may be replaced by what was seen
  start_unseen TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: it was there at the collector's first look
  time_source TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: times were moved to the receipt (own_* hold the host's)
  own_first_seen DATETIME(6) NULL,
  own_ended DATETIME(6) NULL,
  end_before DATETIME(6) NULL,                -- of an inferred end: the first look that no longer showed it, NULL: none did (reboot, retired)
  renamed DATETIME(6) NULL,                   -- newest first_seen by which a run that had lost its state named it, where it did
  hash BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- of identity and attributes, to find the same thing again; 0 where that can't be asked any more
  name VARBINARY(64) NOT NULL,
  hardware_address VARBINARY(128) NOT NULL, -- text
  mtu INT UNSIGNED NOT NULL,
  flags INT UNSIGNED NOT NULL,
  broadcast VARBINARY(64) NOT NULL,
  PRIMARY KEY (host_id, boot, netns, interface, family, address, prefix, first_seen, ended)
) ENGINE=InnoDB DEFAULT CHARSET=binary
PARTITION BY RANGE COLUMNS (ended) (
  PARTITION future VALUES LESS THAN ('9999-12-31 00:00:00'),
  PARTITION open VALUES LESS THAN (MAXVALUE)
);

CREATE TABLE netroute (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  netns BIGINT UNSIGNED NOT NULL,
  family SMALLINT UNSIGNED NOT NULL,
  route_table INT UNSIGNED NOT NULL,
  destination VARBINARY(64) NOT NULL,  -- text
  prefix SMALLINT UNSIGNED NOT NULL,
  gateway VARBINARY(64) NOT NULL,
  interface INT UNSIGNED NOT NULL,
  metric INT UNSIGNED NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,             -- of a closed row; an open one is as fresh as boot.last_tick
  ended DATETIME(6) NOT NULL DEFAULT '9999-12-31 23:59:59.999999',
  end_source ENUM('open','exit','gone','exec','change','close','unknown','reboot','retired') NOT NULL DEFAULT 'open',
  end_inferred TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: inferred by the server, may be replaced by what was seen
  start_unseen TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: it was there at the collector's first look
  time_source TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: times were moved to the receipt (own_* hold the host's)
  own_first_seen DATETIME(6) NULL,
  own_ended DATETIME(6) NULL,
  end_before DATETIME(6) NULL,                -- of an inferred end: the first look that no longer showed it, NULL: none did (reboot, retired)
  renamed DATETIME(6) NULL,                   -- newest first_seen by which a run that had lost its state named it, where it did
  hash BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- of identity and attributes, to find the same thing again; 0 where that can't be asked any more
  interface_name VARBINARY(64) NOT NULL,
  type SMALLINT UNSIGNED NOT NULL,
  scope SMALLINT UNSIGNED NOT NULL,
  protocol SMALLINT UNSIGNED NOT NULL,
  source VARBINARY(64) NOT NULL,
  PRIMARY KEY (host_id, boot, netns, family, route_table, destination, prefix, gateway, interface, metric, first_seen, ended)
) ENGINE=InnoDB DEFAULT CHARSET=binary
PARTITION BY RANGE COLUMNS (ended) (
  PARTITION future VALUES LESS THAN ('9999-12-31 00:00:00'),
  PARTITION open VALUES LESS THAN (MAXVALUE)
);

CREATE TABLE hostinfo (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  name VARBINARY(255) NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,             -- of a closed row; an open one is as fresh as boot.last_tick
  ended DATETIME(6) NOT NULL DEFAULT '9999-12-31 23:59:59.999999',
  end_source ENUM('open','exit','gone','exec','change','close','unknown','reboot','retired') NOT NULL DEFAULT 'open',
  end_inferred TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: inferred by the server, may be replaced by what was seen
  start_unseen TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: it was there at the collector's first look
  time_source TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: times were moved to the receipt (own_* hold the host's)
  own_first_seen DATETIME(6) NULL,
  own_ended DATETIME(6) NULL,
  end_before DATETIME(6) NULL,                -- of an inferred end: the first look that no longer showed it, NULL: none did (reboot, retired)
  renamed DATETIME(6) NULL,                   -- newest first_seen by which a run that had lost its state named it, where it did
  hash BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- of identity and attributes, to find the same thing again; 0 where that can't be asked any more
  value VARBINARY(4096) NOT NULL,
  PRIMARY KEY (host_id, boot, name, first_seen, ended)
) ENGINE=InnoDB DEFAULT CHARSET=binary
PARTITION BY RANGE COLUMNS (ended) (
  PARTITION future VALUES LESS THAN ('9999-12-31 00:00:00'),
  PARTITION open VALUES LESS THAN (MAXVALUE)
);

CREATE TABLE hwinfo (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  class VARBINARY(64) NOT NULL,
  name VARBINARY(255) NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,             -- of a closed row; an open one is as fresh as boot.last_tick
  ended DATETIME(6) NOT NULL DEFAULT '9999-12-31 23:59:59.999999',
  end_source ENUM('open','exit','gone','exec','change','close','unknown','reboot','retired') NOT NULL DEFAULT 'open',
  end_inferred TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: inferred by the server, may be replaced by what was seen
  start_unseen TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: it was there at the collector's first look
  time_source TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: times were moved to the receipt (own_* hold the host's)
  own_first_seen DATETIME(6) NULL,
  own_ended DATETIME(6) NULL,
  end_before DATETIME(6) NULL,                -- of an inferred end: the first look that no longer showed it, NULL: none did (reboot, retired)
  renamed DATETIME(6) NULL,                   -- newest first_seen by which a run that had lost its state named it, where it did
  hash BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- of identity and attributes, to find the same thing again; 0 where that can't be asked any more
  value VARBINARY(4096) NOT NULL,
  PRIMARY KEY (host_id, boot, class, name, first_seen, ended)
) ENGINE=InnoDB DEFAULT CHARSET=binary
PARTITION BY RANGE COLUMNS (ended) (
  PARTITION future VALUES LESS THAN ('9999-12-31 00:00:00'),
  PARTITION open VALUES LESS THAN (MAXVALUE)
);

CREATE TABLE login (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  session VARBINARY(255) NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,             -- of a closed row; an open one is as fresh as boot.last_tick
  ended DATETIME(6) NOT NULL DEFAULT '9999-12-31 23:59:59.999999',
  end_source ENUM('open','exit','gone','exec','change','close','unknown','reboot','retired') NOT NULL DEFAULT 'open',
  end_inferred TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: inferred by the server, may be replaced by what was seen
  start_unseen TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: it was there at the collector's first look
  time_source TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: times were moved to the receipt (own_* hold the host's)
  own_first_seen DATETIME(6) NULL,
  own_ended DATETIME(6) NULL,
  end_before DATETIME(6) NULL,                -- of an inferred end: the first look that no longer showed it, NULL: none did (reboot, retired)
  renamed DATETIME(6) NULL,                   -- newest first_seen by which a run that had lost its state named it, where it did
  hash BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- of identity and attributes, to find the same thing again; 0 where that can't be asked any more
  user VARBINARY(255) NOT NULL,
  uid INT UNSIGNED NOT NULL,
  tty VARBINARY(255) NOT NULL,
  remote_host VARBINARY(255) NOT NULL,
  service VARBINARY(255) NOT NULL,
  leader INT UNSIGNED NOT NULL,
  since DATETIME(6) NULL,
  origin VARBINARY(16) NOT NULL,
  PRIMARY KEY (host_id, boot, session, first_seen, ended)
) ENGINE=InnoDB DEFAULT CHARSET=binary
PARTITION BY RANGE COLUMNS (ended) (
  PARTITION future VALUES LESS THAN ('9999-12-31 00:00:00'),
  PARTITION open VALUES LESS THAN (MAXVALUE)
);

CREATE TABLE coverage (
  host_id BIGINT UNSIGNED NOT NULL,
  boot INT UNSIGNED NOT NULL,
  source VARBINARY(64) NOT NULL,
  first_seen DATETIME(6) NOT NULL,
  last_seen DATETIME(6) NOT NULL,             -- of a closed row; an open one is as fresh as boot.last_tick
  ended DATETIME(6) NOT NULL DEFAULT '9999-12-31 23:59:59.999999',
  end_source ENUM('open','exit','gone','exec','change','close','unknown','reboot','retired') NOT NULL DEFAULT 'open',
  end_inferred TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: inferred by the server, may be replaced by what was seen
  start_unseen TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: it was there at the collector's first look
  time_source TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: times were moved to the receipt (own_* hold the host's)
  own_first_seen DATETIME(6) NULL,
  own_ended DATETIME(6) NULL,
  end_before DATETIME(6) NULL,                -- of an inferred end: the first look that no longer showed it, NULL: none did (reboot, retired)
  renamed DATETIME(6) NULL,                   -- newest first_seen by which a run that had lost its state named it, where it did
  hash BIGINT UNSIGNED NOT NULL DEFAULT 0,    -- of identity and attributes, to find the same thing again; 0 where that can't be asked any more
  mode VARBINARY(255) NOT NULL,
  reason VARBINARY(1024) NOT NULL,
  seen BIGINT UNSIGNED NOT NULL,
  lost BIGINT UNSIGNED NOT NULL,
  lost_at_least TINYINT UNSIGNED NOT NULL,
  PRIMARY KEY (host_id, boot, source, first_seen, ended)
) ENGINE=InnoDB DEFAULT CHARSET=binary
PARTITION BY RANGE COLUMNS (ended) (
  PARTITION future VALUES LESS THAN ('9999-12-31 00:00:00'),
  PARTITION open VALUES LESS THAN (MAXVALUE)
);

-- A time or a count that is known to be missing. explained: what was missing came after all.
CREATE TABLE gap (
  host_id BIGINT UNSIGNED NOT NULL,
  gap_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  boot INT UNSIGNED NOT NULL,
  kind ENUM('stopped','crash','spool','refused','writer','ticks','state','sequence','retention','erased') NOT NULL,
  from_time DATETIME(6) NOT NULL,
  to_time DATETIME(6) NOT NULL,
  lost BIGINT UNSIGNED NULL,                 -- records, where known
  explained TINYINT UNSIGNED NOT NULL DEFAULT 0,
  first_sequence BIGINT UNSIGNED NULL,       -- bundles missing (kind sequence, refused)
  last_sequence BIGINT UNSIGNED NULL,
  digest BINARY(32) NULL,
  detail VARBINARY(1024) NOT NULL DEFAULT '',
  noted DATETIME(6) NOT NULL,
  PRIMARY KEY (host_id, gap_id),
  KEY gap_id (gap_id),
  KEY gap_sequence (host_id, first_sequence)
) ENGINE=InnoDB DEFAULT CHARSET=binary;

-- Lost messages of a whole slot (retention passed, restored shard): no host is known.
CREATE TABLE slot_gap (
  slot SMALLINT UNSIGNED NOT NULL,
  incarnation INT UNSIGNED NOT NULL,
  from_offset BIGINT NOT NULL,
  to_offset BIGINT NOT NULL,
  kind ENUM('retention','incarnation') NOT NULL,
  noted DATETIME(6) NOT NULL,
  PRIMARY KEY (slot, incarnation, from_offset)
) ENGINE=InnoDB;

CREATE TABLE finding (
  host_id BIGINT UNSIGNED NOT NULL,
  finding_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  boot INT UNSIGNED NOT NULL,
  at_time DATETIME(6) NOT NULL,
  kind VARBINARY(64) NOT NULL,
  detail VARBINARY(4096) NOT NULL,
  PRIMARY KEY (host_id, finding_id),
  KEY finding_id (finding_id)
) ENGINE=InnoDB DEFAULT CHARSET=binary;

-- What could not be decoded or was refused: the whole message, in the transaction that moves the offset.
CREATE TABLE set_aside (
  slot SMALLINT UNSIGNED NOT NULL,
  incarnation INT UNSIGNED NOT NULL,
  kafka_offset BIGINT NOT NULL,
  host_id BIGINT UNSIGNED NULL,
  received DATETIME(6) NULL,
  noted DATETIME(6) NOT NULL,
  reason VARBINARY(32) NOT NULL,             -- form, signature, unknown_key, revoked, slot, conflict, unknown_kind, ...
  detail VARBINARY(1024) NOT NULL,
  sequence BIGINT UNSIGNED NULL,             -- of its statement, where the signature is the host's
  records BIGINT UNSIGNED NULL,              -- that its statement counts, as above
  message_key VARBINARY(255) NOT NULL,
  headers BLOB NOT NULL,
  message LONGBLOB NOT NULL,
  relayed TINYINT UNSIGNED NOT NULL DEFAULT 0, -- 1: copied to pofr.deadletter
  requested DATETIME(6) NULL,                -- pofrctl set-aside replay: the slot's worker takes it up
  replayed DATETIME(6) NULL,                 -- it was stored after all
  PRIMARY KEY (slot, incarnation, kafka_offset),
  KEY to_relay (relayed),
  KEY of_host (host_id, sequence),
  KEY to_replay (requested)
) ENGINE=InnoDB DEFAULT CHARSET=binary;

-- Erased hosts of this shard's slots.
CREATE TABLE tombstone (
  host_uuid BINARY(16) NOT NULL PRIMARY KEY,
  host_id BIGINT UNSIGNED NOT NULL,
  erased DATETIME(6) NOT NULL,
  dropped BIGINT UNSIGNED NOT NULL DEFAULT 0  -- bundles that came later
) ENGINE=InnoDB;

-- The merger's own notes: what it did, what it is at. One row per step kind.
CREATE TABLE merger_step (
  step VARBINARY(64) NOT NULL PRIMARY KEY,
  started DATETIME(6) NULL,
  finished DATETIME(6) NULL,
  detail VARBINARY(4096) NOT NULL DEFAULT ''
) ENGINE=InnoDB DEFAULT CHARSET=binary;
