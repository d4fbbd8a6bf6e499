/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate.h -- what need not be read again: the CPU clock of each process, and who must be read although it stands.
 *
 * A process whose CPU clock did not move did nothing: no open, no exec, no setuid (research: 0 differences in 21,000
 * pairs). What others can do to it is covered so:
 *   - processes that share a table of files (CLONE_FILES) are a group: one moved, all are read
 *   - a session leader that ended takes the terminal from its session: all of the session are read
 *   - renamed, deleted files; a cgroup changed from outside: only the reconciliation finds these
 * (A parent's end changes nothing that is recorded: ppid is the creator.)
 * The clock is read before the content, and kept with (pid, start).
 *
 * One owner. Memory: 64 bytes a process, 32 a descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/compiler.h"

struct gate;
struct gate_entry;

/* CPU time of a whole process in ns, all its threads together. POFR_ENOTFOUND: no such process. POFR_ESYSTEM: no such clock. */
POFR_MUST_USE int gate_clock(uint32_t pid, uint64_t *out_ns);
