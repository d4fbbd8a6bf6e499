/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clone.h -- is the key of a host at work on two machines at once? Pure.
 *
 * A branch alone may be a disk that was put back: the older history is over then. Here two histories, which have sequences
 * in common, take turns in what gateways receive.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "workers/host.h"

/*
 * To be called with each bundle that is stored, before the host and the boot take it up: its boot b (is_new: this bundle
 * begins it), its sequence, its receipt. True: it is the turn of b while *out_other goes on, too, and that was not said of b
 * within the hour.
 */
bool clone_at_work(struct host *h, struct host_boot *b, bool is_new, uint64_t sequence, int64_t received_us,
                   uint32_t *out_other);
