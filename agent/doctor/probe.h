/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe.h -- would a gateway take this host now? With the host's key as the shipper does it: name, TCP, SSH, the
 * gateway's key, login, HELLO and its answer; a gateway that knows a key lets it log in, and says only then that the host
 * was retired. Such a session ends an older one of the same host: it is for a host that has none. Without the
 * key it goes as far as a login goes without a signature. Waits, within limits.
 */
#pragma once

#include <stdint.h>

#include "agent/ship/pins.h"
#include "common/base/compiler.h"
#include "common/base/hostport.h"
#include "common/base/uuid.h"
#include "common/evidence/sshsig.h"
#include "common/wire/message.h"

struct pofr_err;

struct probe {
    struct hostport gateway;
    struct uuid host;
    const struct sshkey *key; /* NULL: nothing is signed, and public_key is the host's */
    uint8_t public_key[32];
    struct pins pins;
    int64_t connect_us;
};

struct probe_answer {
    char peer[72]; /* the gateway's address; empty: there was no connection */
    bool refused;  /* it said no after the login, with this code; err has its words */
    uint64_t code; /* enum message_refuse */
};

/*
 * 0: it is there, has the pinned key, and takes this host (without a key: would let it log in). POFR_EREFUSED: it does
 * not; POFR_EBUSY: not now; POFR_ECONFLICT: it has another key; else it could not be reached. out is always set.
 */
POFR_MUST_USE int probe_gateway(const struct probe *probe, struct probe_answer *out, struct pofr_err *err);

/* Is it for good: retired, erased, its key at its end? Then it comes back as a new host alone. */
bool probe_is_ended(const struct probe_answer *answer);
