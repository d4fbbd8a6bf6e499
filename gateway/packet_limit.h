/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packet_limit.h -- how many SSH packets a thread may send in one call of libssh.
 *
 * ssh_channel_write() cuts what it writes into packets as small as the peer said that it wants them. At a size of 10
 * (libssh 0.10), or 0 in a confirmation that nobody asked for (0.11), a packet holds nothing, and the loop never ends:
 * whoever has any key at all could stop a lane so. libssh does not tell the size that the peer wants, and has no
 * callback in that loop. But each packet asks OpenSSL for its padding: where that is refused, the call ends with an error.
 *
 * Threads: the limit is the calling thread's own.
 */
#pragma once

#include <stdbool.h>

#include "common/base/compiler.h"

/* Once, before any thread is started. */
POFR_MUST_USE int packet_limit_open(void);
/* From now on, in this thread, so many packets. */
void packet_limit_set(unsigned packets);
/* As many as it likes. True: the limit had been reached. */
bool packet_limit_clear(void);
