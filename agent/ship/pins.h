/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pins.h -- which host keys the gateways may have: one, and two or more while they go over to another. In the state folder,
 * written by `pofr-agent enrol`, and by whoever changes the gateways' key:
 *
 *   gateway.pin   SHA256:<43 characters>, as ssh-keygen -l shows it, one per line; # comments   0644
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct pofr_err;

#define PINS_FILE "gateway.pin"
#define PINS_MAX  8u

struct pins {
    unsigned len;
    uint8_t list[PINS_MAX][32]; /* SHA-256 of a host key's blob */
};

/* POFR_EFORMAT: a line is none, or there is none at all; POFR_ETOOBIG: more than PINS_MAX, or too much text. */
POFR_MUST_USE int pins_parse(struct slice text, struct pins *out, struct pofr_err *err);

/* POFR_ENOTFOUND: there is no such file. */
POFR_MUST_USE int pins_load(const char *state_dir, struct pins *out, struct pofr_err *err);
POFR_MUST_USE int pins_store(const char *state_dir, const struct pins *p, struct pofr_err *err);

struct pins pins_of(const uint8_t fingerprint[32]);
/* The fingerprint of a host key's blob. POFR_ECONFLICT: it is none of them. */
POFR_MUST_USE int pins_check(const struct pins *p, struct slice blob, uint8_t out_fingerprint[32],
                             struct pofr_err *err);
bool pins_hold(const struct pins *p, const uint8_t fingerprint[32]);

#define PINS_TEXT_SIZE 64
char *pins_format(const uint8_t fingerprint[32], char out[PINS_TEXT_SIZE]);
