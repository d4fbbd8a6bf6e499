/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * random_record.h -- records full of random values that the format allows: for tests of the codec, not of
 * what the records mean (see random_world.h for that).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/record/record.h"
#include "tests/support/random.h"

/* Every kind that record.def knows, one after another from 0; returns 0 after the last. */
uint32_t random_record_kind(unsigned i);

/*
 * Fill *out with a record of kind that may stand in a tick at boot_us. percent: how many of its fields are not left
 * at their default. part: the keyframe part that it must lie in, for SIGHT. Texts are static bytes.
 */
void random_record(struct random *random, uint32_t kind, uint64_t boot_us, unsigned percent,
                   const struct rec_keyframe *part, struct record *out);

/* As the decoder shows it: moments not later than the tick, what the verb does not carry 0. Slices must be equal in bytes. */
bool random_record_equal(const struct record *a, const struct record *b);
