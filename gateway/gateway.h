/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gateway.h -- the whole gateway: made in order, run until SIGTERM, taken down in the reverse order.
 */
#pragma once

#include "common/base/compiler.h"

struct conf;
struct gateway;
struct pofr_err;

/*
 * Open everything and start to accept. conf is taken over on success. POFR_ECONFLICT: the topic's settings
 * would break a guarantee; POFR_ETIMEOUT: Kafka did not answer; else what is wrong.
 */
POFR_MUST_USE int gateway_start(struct conf *conf, struct gateway **out, struct pofr_err *err);
/* Until SIGTERM or SIGINT has drained it. */
POFR_MUST_USE int gateway_run(struct gateway *g, struct pofr_err *err);
void gateway_free(struct gateway *g); /* NULL is allowed */
