/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rights.h -- which sources and rights there are here, tried out one by one: for `pofr-agent doctor`.
 */
#pragma once

#include <stdbool.h>

#include "common/base/compiler.h"

struct rights_row {
    const char *name; /* "capability SYS_PTRACE", "proc connector", "sock_diag", ...; static */
    bool available;
    const char *detail;  /* what was seen, and what is lost where it is not there */
    bool needed_for_all; /* without it something is not recorded (and not merely dearer) */
};

typedef void (*rights_fn)(void *ctx, const struct rights_row *row);

/* Takes up to a second (the proc connector's probe). */
void rights_each(rights_fn fn, void *ctx);
