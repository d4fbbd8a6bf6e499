/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limits.h -- what peers may take: connections in all, per address, before they have shown a known key, and per second.
 *
 * Threads: one struct limits for all. The values are atomics that a reload changes; the counts are behind
 * one mutex.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/compiler.h"
#include "gateway/gateway_conf.h"
#include "gateway/gateway_stat.h"

struct pofr_err;
struct limits;

struct limit_values { /* read freely */
    _Atomic uint32_t sessions, sessions_per_address, unauthenticated, unauthenticated_per_address;
    _Atomic uint32_t window;
    _Atomic uint64_t bundle_max, session_memory;
    _Atomic int64_t auth_us, message_us;
};

POFR_MUST_USE int limits_new(const struct gateway_conf *conf, struct limits **out, struct pofr_err *err);
void limits_free(struct limits *l); /* NULL is allowed */

/* At the start and after a reload. files: the limit of open files; sessions never exceeds what it leaves. */
void limits_set(struct limits *l, const struct gateway_conf *conf, uint64_t files);
const struct limit_values *limits_values(const struct limits *l);

/* IPv4: the address; IPv6: its first 64 bits (one customer has all of a /64); IPv4 in IPv6: the IPv4 address.
 */
struct limit_address {
    uint8_t b[16];
};
void limit_address_of(const struct sockaddr *sa, struct limit_address *out);

/* A connection came: 0 and it counts as unauthenticated, or the REFUSAL_* + 1 that stands against it. */
POFR_MUST_USE int limits_enter(struct limits *l, const struct limit_address *from);
void limits_authenticated(struct limits *l, const struct limit_address *from);
void limits_leave(struct limits *l, const struct limit_address *from, bool was_authenticated);

/* False: who connects now had better wait a moment. */
bool limits_has_room_for_strangers(struct limits *l);
uint32_t limits_sessions(struct limits *l);
uint32_t limits_unauthenticated(struct limits *l);
