/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * metrics_http.h -- /metrics, /healthz and /readyz over HTTP, for a local port. Target pofr::metrics_http.
 *
 * One thread of its own answers; connections and their time are limited. GET and HEAD of those three
 * paths, nothing else. healthz and readyz: 200 "ok", or 503 and the reason.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"

struct metrics_http;
struct pofr_err;
struct stat_set;

/* true: all is well. false: reason (room for n bytes, NUL included) says why. Called on the server's thread: it must not block. */
typedef bool (*metrics_http_check_fn)(void *arg, char *reason, size_t n);

struct metrics_http_options {
    const char *address;           /* "127.0.0.1:9464", "[::1]:0"; a number, no name; port 0: the kernel picks one */
    struct stat_set *stats;        /* outlives the server */
    metrics_http_check_fn healthy; /* NULL: always */
    metrics_http_check_fn ready;   /* NULL: always */
    void *arg;
};

/* POFR_ECONFIG: the address is no address. POFR_ESYSTEM: it can't be bound. */
POFR_MUST_USE int metrics_http_start(const struct metrics_http_options *o, struct metrics_http **out,
                                     struct pofr_err *err);

/* The port it listens on. */
uint16_t metrics_http_port(const struct metrics_http *m);

/* Waits for answers under way (bounded by their time limit). NULL is allowed. */
void metrics_http_stop(struct metrics_http *m);
