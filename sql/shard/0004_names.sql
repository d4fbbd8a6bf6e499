-- SPDX-License-Identifier: GPL-2.0-or-later
-- All names that runs which had lost their state gave an interval, not the newest alone: an END of an older one that comes
-- late divides the row there. Text: first_seen of each in microseconds of the boot clock, ascending, a space between.
-- (Of rows that were renamed before this, made by no release, the names are forgotten.)

ALTER TABLE psinfo ADD COLUMN IF NOT EXISTS names VARBINARY(512) NULL AFTER end_before, DROP COLUMN IF EXISTS renamed;
ALTER TABLE fileinfo ADD COLUMN IF NOT EXISTS names VARBINARY(512) NULL AFTER end_before, DROP COLUMN IF EXISTS renamed;
ALTER TABLE netinfo ADD COLUMN IF NOT EXISTS names VARBINARY(512) NULL AFTER end_before, DROP COLUMN IF EXISTS renamed;
ALTER TABLE userinfo ADD COLUMN IF NOT EXISTS names VARBINARY(512) NULL AFTER end_before, DROP COLUMN IF EXISTS renamed;
ALTER TABLE groupinfo ADD COLUMN IF NOT EXISTS names VARBINARY(512) NULL AFTER end_before, DROP COLUMN IF EXISTS renamed;
ALTER TABLE netint ADD COLUMN IF NOT EXISTS names VARBINARY(512) NULL AFTER end_before, DROP COLUMN IF EXISTS renamed;
ALTER TABLE netroute ADD COLUMN IF NOT EXISTS names VARBINARY(512) NULL AFTER end_before, DROP COLUMN IF EXISTS renamed;
ALTER TABLE hostinfo ADD COLUMN IF NOT EXISTS names VARBINARY(512) NULL AFTER end_before, DROP COLUMN IF EXISTS renamed;
ALTER TABLE hwinfo ADD COLUMN IF NOT EXISTS names VARBINARY(512) NULL AFTER end_before, DROP COLUMN IF EXISTS renamed;
ALTER TABLE login ADD COLUMN IF NOT EXISTS names VARBINARY(512) NULL AFTER end_before, DROP COLUMN IF EXISTS renamed;
ALTER TABLE coverage ADD COLUMN IF NOT EXISTS names VARBINARY(512) NULL AFTER end_before, DROP COLUMN IF EXISTS renamed;
