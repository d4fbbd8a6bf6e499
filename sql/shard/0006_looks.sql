-- SPDX-License-Identifier: GPL-2.0-or-later
-- The tick before the last one of a bundle (boot clock; 0: it holds one). A tick may go on in the bundle behind, and what a
-- keyframe there shows to be over was last looked at in this one. (Of bundles stored before this: not known, as with one.)

ALTER TABLE bundle ADD COLUMN IF NOT EXISTS before_boot_us BIGINT UNSIGNED NOT NULL DEFAULT 0;
