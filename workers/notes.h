/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * notes.h -- the recorder's own figures as one line of JSON, for host_state.recorder. Pure.
 */
#pragma once

#include <stddef.h>

#include "common/record/record.h"

/* Always NUL-terminated valid JSON; fields in record.def's order. */
void notes_recorder(const struct rec_recorder *r, char *out, size_t size);
