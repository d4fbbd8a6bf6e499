/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sockets.h -- the sockets on which a gateway listens: those that systemd passed (all lanes share them), or
 * one per address and lane (SO_REUSEPORT: the kernel spreads connections).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"
#include "common/os/conf.h"

struct pofr_err;

#define SOCKETS_MAX 64u /* addresses */

struct sockets { /* zeroed before sockets_open() */
    int *fds;    /* by lane, then by address */
    size_t addresses;
    unsigned lanes;
    bool shared;
};

/* POFR_ECONFIG: an address is none, or what was passed does not listen. POFR_ESYSTEM: it can't be bound. */
POFR_MUST_USE int sockets_open(const struct conf_list *listen, unsigned lanes, struct sockets *out,
                               struct pofr_err *err);
/* Of one lane; borrowed. */
const int *sockets_of(const struct sockets *s, unsigned lane, size_t *out_count);
/*
 * Who connects from now on is refused, and comes to another gateway. Not with sockets that systemd passed: there the
 * next instance takes those who wait.
 */
void sockets_refuse(const struct sockets *s);
void sockets_close(struct sockets *s);
