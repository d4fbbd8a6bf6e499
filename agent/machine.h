/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * machine.h -- the machine that is recorded, where the agent is in a container of it ([agent] container).
 *
 * Process 1 is taken for the machine: the container has the machine's process namespace. Its files are seen as process 1
 * sees them, which needs CAP_SYS_PTRACE; nothing has to be mounted, and nothing of the machine is held by the container.
 */
#pragma once

#include <stdbool.h>

#include "common/base/compiler.h"

struct pofr_err;

/* In front of every path of the machine. */
const char *machine_root(bool container);

/*
 * From here on this thread, and those that it starts, know the machine's name and its control groups' names as process 1
 * does. Needs CAP_SYS_ADMIN. What this kernel does not have is no error; of two that fail err tells the last.
 */
POFR_MUST_USE int machine_join(struct pofr_err *err);
