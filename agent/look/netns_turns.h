/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netns_turns.h -- which network namespace is looked at next: the one whose last look is longest ago.
 *
 * Those that are there are given anew with each look. No more than `max` have a turn: the others, which came when there were so
 * many already, are counted. One owner.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/look/look_sock.h"

struct netns_turn {
    struct look_netns netns;
    int64_t since_us;  /* it has been there since */
    int64_t looked_us; /* when the look began that did so last; 0: never */
};

struct netns_turns {
    struct netns_turn *list; /* ascending by inode */
    size_t count, max;
    uint32_t over; /* without a turn */
};

void netns_turns_init(struct netns_turns *t, size_t max);
void netns_turns_fini(struct netns_turns *t);

/* These are there now, in any order; but for own, and 0. POFR_ENOMEM: as before. */
POFR_MUST_USE int netns_turns_update(struct netns_turns *t, const struct look_netns *now, size_t count, uint64_t own,
                                     int64_t now_us);

/* The next one that was not looked at since; NULL: none. The caller notes looked_us. */
struct netns_turn *netns_turns_next(struct netns_turns *t, int64_t since_us);

/* How many have been there since, and were never looked at. */
uint32_t netns_turns_waiting(const struct netns_turns *t, int64_t since_us);
