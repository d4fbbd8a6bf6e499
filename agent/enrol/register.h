/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * register.h -- ENROL at one gateway, and its answer. Waits, within limits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/enrol/enrolment.h"
#include "agent/enrol/facts.h"
#include "agent/ship/pins.h"
#include "common/base/compiler.h"
#include "common/base/hostport.h"
#include "common/evidence/sshsig.h"

struct pofr_err;

#define REGISTER_ANSWER_US INT64_C(30000000) /* the catalog may be slow */

struct register_request {
    struct hostport gateway;
    struct pins pins;
    const struct sshkey *key;
    const char *secret; /* of the token */
    const struct facts *facts;
    int64_t connect_us;
};

/*
 * 0: *out and *out_approved are the gateway's answer. POFR_EREFUSED: it says no to this token or key.
 * POFR_ECONFLICT: its host key is not the token's. Else it could not be done now, and another gateway or another
 * time may do.
 */
POFR_MUST_USE int register_host(const struct register_request *request, struct enrolment *out, bool *out_approved,
                                struct pofr_err *err);
