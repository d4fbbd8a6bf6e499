/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * signer.h -- the one thing that the host's key signs for the shipper: its own SSH login (ipc.h). Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/base/uuid.h"

/* Is blob exactly the userauth request of this host with this key, and nothing more? */
bool signer_accepts(struct slice blob, const struct uuid *host, const uint8_t public_key[32]);

struct signer_pace {
    int64_t last_us;
    bool any;
};
/* At most once a second. 0: now; else how long to wait, in ms. */
uint64_t signer_wait_ms(struct signer_pace *p, int64_t now_us);
