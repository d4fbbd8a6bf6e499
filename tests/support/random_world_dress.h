/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * random_world_dress.h -- what the things of a made-up host look like. For random_world.c.
 */
#pragma once

#include "tests/support/random_world.h"

/* New random attributes for a record of any entity; its ID fields stay. */
void random_world_dress(struct random_world *w, struct record *r);

/* ID fields of a fact or a coverage row: a few values only, so that a slot is used again. */
void random_world_name_fact(struct random_world *w, struct record *r);
