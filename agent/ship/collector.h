/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * collector.h -- the shipper's end of the socket to the collector (agent/collect/ipc.h). Never blocks; connects
 * again by itself, with back-off, for as long as it lives.
 *
 * Callbacks come from the loop, never from within the functions here. What is asked while there is no connection is lost:
 * lost() says so, and ready() starts anew.
 *
 * Not thread-safe: one owner.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect/ipc.h"
#include "common/base/compiler.h"

struct collector;
struct loop;
struct pofr_err;

struct collector_state {
    struct uuid host;
    struct uuid boot;
    uint8_t run[16];
    uint64_t oldest, newest, acked;
    uint8_t public_key[32]; /* logs in */
};

struct collector_handlers {
    void (*ready)(void *arg); /* after collector_refresh(), and after each connection: the state is new */
    void (*news)(void *arg);  /* newest or acked have moved */
    void (*login)(void *arg, const uint8_t signature[64]); /* answer to collector_sign(); NULL: it will not sign that */
    void (*refused)(void *arg, bool recorded); /* answer to collector_refuse(); false: it does not know that bundle */
    void (*lost)(void *arg);                   /* the connection; ready() follows some day */
    void *arg;
};

/* path: of the socket. The first connection is made from the loop. */
POFR_MUST_USE int collector_new(struct loop *loop, const char *path, const struct collector_handlers *handlers,
                                struct collector **out, struct pofr_err *err);
void collector_free(struct collector *c);

bool collector_is_connected(const struct collector *c);
const struct collector_state *collector_state(const struct collector *c);

void collector_refresh(struct collector *c);
/* One at a time. The collector signs at most once a second; that wait is kept here. */
void collector_sign(struct collector *c, struct slice blob);
void collector_refuse(struct collector *c, uint64_t sequence, const uint8_t digest[32], uint64_t code,
                      const char *reason);
void collector_acked(struct collector *c, uint64_t sequence, const uint8_t digest[32]);
void collector_wanted(struct collector *c, const struct ipc_range *ranges, unsigned len);
void collector_entered(struct collector *c, const uint8_t public_key[32]);

/* The shipper's own figures, as they are now. */
void collector_figures(struct collector *c, const struct ipc_message *shipper);
