/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ship.h -- what `pofr-agent ship` takes from agent.conf and the state folder. ship_main() is in agent/commands.h.
 */
#pragma once

#include "agent/agent_conf.h"
#include "agent/ship/push.h"
#include "common/base/compiler.h"

struct pofr_err;

/* POFR_ECONFIG, POFR_EFORMAT: the gateways are not to be understood; POFR_ENOTFOUND: none is named, and the host is not enrolled. */
POFR_MUST_USE int ship_settings(const struct agent_conf *conf, struct push_settings *out, struct pofr_err *err);
