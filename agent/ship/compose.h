/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compose.h -- what session_next() asks for, as messages on the link.
 */
#pragma once

#include "agent/ship/collector.h"
#include "agent/ship/link.h"
#include "agent/ship/session.h"
#include "common/base/compiler.h"

struct pofr_err;
struct spool_read;

#define COMPOSE_AGENT_VERSION "pofr-agent/" POFR_VERSION

/* The clocks are read here, so it is to be called when the message can go at once. */
POFR_MUST_USE int compose_hello(struct link *link, const struct collector_state *c);
POFR_MUST_USE int compose_ping(struct link *link, enum message_type type, uint64_t token);

/*
 * The first bundle of the turn: sent, or noted as unfit, or that there is none; s knows afterwards. Errors:
 * the disk's.
 */
POFR_MUST_USE int compose_bundle(struct link *link, struct session *s, struct spool_read *spool,
                                 const struct session_turn *turn, struct pofr_err *err);
