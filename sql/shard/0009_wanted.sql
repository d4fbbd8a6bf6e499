-- SPDX-License-Identifier: GPL-2.0-or-later
-- Missing bundles are asked of their hosts again (catalog: wanted). asked: since when it is known that the host has them no more.
ALTER TABLE gap ADD COLUMN IF NOT EXISTS asked DATETIME(6) NULL, ADD KEY IF NOT EXISTS gap_asked (kind, explained, asked);
