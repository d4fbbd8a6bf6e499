/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox.h -- rights that the collector gives up: users and capabilities first, system calls when all is open.
 */
#pragma once

#include "agent/agent_conf.h"
#include "common/base/compiler.h"
#include "common/base/err.h"

/*
 * Become [agent] collector_user where one is named, keeping only CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH (all of procfs),
 * CAP_NET_ADMIN (events, large buffers), CAP_SYS_ADMIN (other network namespaces), CAP_SYS_NICE (the exec reader), CAP_PERFMON, as far
 * as we have them; the state and runtime folders are given to that user before. No new rights from then on. Before any thread.
 */
POFR_MUST_USE int sandbox_user(const struct agent_conf *conf, struct pofr_err *err);

/*
 * From here on the collector can't make network sockets (netlink, unix and packet-less ones stay), run programs, mount, load modules,
 * write to other processes, change the clock, or raise a new identity. A list of what is denied: what a look needs
 * differs between kernels and libraries, and an allowed list that is too short would end recording. All threads.
 */
POFR_MUST_USE int sandbox_calls(struct pofr_err *err);
