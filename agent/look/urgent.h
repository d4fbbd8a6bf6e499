/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * urgent.h -- a thread that must run at once when it wakes.
 */
#pragma once

/*
 * For the calling thread: real time, else the highest of the normal with a short slice (kernel 6.12 on, ignored before). "fifo", "nice",
 * or "normal" where nothing is allowed. Static.
 */
const char *urgent_begin(void);
