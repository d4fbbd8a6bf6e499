/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * checks.h -- the checks of `pofr-agent doctor`, each of which says what it found.
 */
#pragma once

#include "agent/agent_conf.h"

enum check_level {
    CHECK_OK,
    CHECK_NOTE, /* worth knowing; nothing is lost */
    CHECK_WARN, /* something is recorded less well, or will be */
    CHECK_BAD,  /* something does not work */
};

/* name and detail live until the return. */
typedef void (*check_fn)(void *arg, const char *name, enum check_level level, const char *detail);

const char *check_level_name(enum check_level level);

void checks_run(const struct agent_conf *conf, check_fn say, void *arg);
