/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * program.h -- the process: a timer, signals, one pass after the other, and what the service manager hears of it.
 */
#pragma once

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/os/conf.h"

/* Until SIGTERM or SIGINT. Takes conf. */
POFR_MUST_USE int program_run(struct conf *conf, struct pofr_err *err);
