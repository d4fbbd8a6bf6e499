/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker.h -- the process: start-up in order, signals, reload, the same list backwards.
 */
#pragma once

#include "common/base/compiler.h"
#include "common/base/err.h"

struct conf;
struct worker;

/* Waits for Kafka as long as the configuration says. Takes conf. POFR_ECONFLICT: the topic is not as it must be. */
POFR_MUST_USE int worker_start(struct conf *conf, struct worker **out, struct pofr_err *err);
/* Until SIGTERM or SIGINT. */
POFR_MUST_USE int worker_run(struct worker *w, struct pofr_err *err);
void worker_free(struct worker *w);
