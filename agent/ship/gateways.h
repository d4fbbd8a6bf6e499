/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gateways.h -- where the gateways are. From agent.conf ([ship] gateway), else from the file
 * that `pofr-agent enrol` wrote into the state folder:
 *
 *   gateway.list   host:port, one per line   0644
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/hostport.h"
#include "common/base/slice.h"

struct pofr_err;

#define GATEWAYS_FILE "gateway.list"
#define GATEWAYS_MAX  16u

struct gateways {
    unsigned len;
    struct hostport list[GATEWAYS_MAX];
};

/* Separated by commas, blanks or newlines. POFR_EFORMAT: one is not host:port, or there is none; POFR_ETOOBIG: too many. */
POFR_MUST_USE int gateways_parse(struct slice text, struct gateways *out, struct pofr_err *err);

/* configured: what agent.conf says; empty: the file. POFR_ENOTFOUND: neither names one. */
POFR_MUST_USE int gateways_load(const char *configured, const char *state_dir, struct gateways *out,
                                struct pofr_err *err);
POFR_MUST_USE int gateways_store(const char *state_dir, const struct gateways *g, struct pofr_err *err);

/* Another order, by chance: hosts shall not all begin with the same one. */
void gateways_shuffle(struct gateways *g, uint64_t seed);

/* Its place in the list; len: it is not there. */
unsigned gateways_find(const struct gateways *g, const struct hostport *one);
