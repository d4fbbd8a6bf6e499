-- SPDX-License-Identifier: GPL-2.0-or-later
-- leaving: the slot's rows are being copied to another shard. Analysts go on reading them here (slot.state is owned as before),
-- and nobody changes them: its messages wait in Kafka.
ALTER TABLE ingest_offset MODIFY state ENUM('owned','arriving','gone','leaving') NOT NULL;
