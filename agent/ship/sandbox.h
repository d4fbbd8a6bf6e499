/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox.h -- what the shipper can still do once it runs: read files, speak over sockets, start threads. By seccomp
 * everything else fails: no other program, no process, no file written, made or removed, no trace of others,
 * no namespaces, mounts, modules, keys. What is not on the list fails as if the kernel did not know it (ENOSYS).
 */
#pragma once

#include "common/base/compiler.h"

struct pofr_err;

/* For this thread and those that it starts; there is no way back. After service_drop(). POFR_EUNSUPPORTED: this kernel has no seccomp. */
POFR_MUST_USE int sandbox_enter(struct pofr_err *err);
