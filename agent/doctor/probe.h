/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe.h -- would a gateway take this host now? As far as a login goes without a signature: name, TCP, SSH, its
 * host key, and whether it knows ours. Waits, within limits.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/hostport.h"
#include "common/base/uuid.h"

struct pofr_err;

struct probe {
    struct hostport gateway;
    struct uuid host;
    uint8_t public_key[32];
    uint8_t fingerprint[32];
    int64_t connect_us;
};

/*
 * 0: it is there, has the pinned key, and knows ours. POFR_EREFUSED: it does not know our key; POFR_ECONFLICT: it has
 * another key; else it could not be reached. peer: its address, room for 72; empty where there was no connection.
 */
POFR_MUST_USE int probe_gateway(const struct probe *probe, char peer[72], struct pofr_err *err);
