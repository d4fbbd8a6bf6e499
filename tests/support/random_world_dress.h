/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * random_world_dress.h -- what the things of a made-up host look like. For random_world.c.
 */
#pragma once

#include "tests/support/random_world.h"

/* New random attributes for a record of any entity; its ID fields stay. */
void random_world_dress(struct random_world *w, struct record *r);

/*
 * What a collector whose spool is nearly full makes of r: now and then, of an END with arguments, *out without them. False:
 * r as it is.
 */
bool random_world_strips(struct random *random, const struct record *r, struct record *out);

/* ID fields of a fact or a coverage row: a few values only, so that a slot is used again. */
void random_world_name_fact(struct random_world *w, struct record *r);
