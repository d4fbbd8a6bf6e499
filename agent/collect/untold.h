/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * untold.h -- what was refused for want of room, until a signed gap has told it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect/draft.h"

struct untold { /* all zero: nothing */
    uint64_t records;
    uint64_t from_boot_us, to_boot_us, from_wall_us, to_wall_us;
    struct draft identity; /* run, boot, key of the newest; losses that its statement would have told */
    bool any;
};

void untold_add(struct untold *u, const struct draft *d);

/* A bundle that says what was lost: one tick, one gap. NULL: no memory. */
struct draft *untold_draft(const struct untold *u);
