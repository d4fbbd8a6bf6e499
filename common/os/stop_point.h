/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stop_point.h -- named places where crash tests stop a process to kill it there.
 *
 *   STOP_POINT("store_before_commit");
 *
 * Only in builds with POFR_STOP_POINTS (dev, tsan). When POFR_STOP_AT is "name" or "name:n", the n-th passage
 * (first: 1) through that point appends "name\n" to the file POFR_STOP_FILE and raises SIGSTOP; the test
 * waits for the line, then kills, or wakes with SIGCONT. In other builds this is no code at all.
 */
#pragma once

#if defined(POFR_STOP_POINTS)
/* Any thread; the whole process stops. */
void stop_point_reached(const char *name);
#define STOP_POINT(name) stop_point_reached(name)
#else
#define STOP_POINT(name) ((void)sizeof("" name))
#endif
