/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * intake.h -- may this bundle be published? Size, readable statement, payload digest, host, key, signature.
 * Records are never decoded here, and the chain never refuses: a worker decides about that.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/base/uuid.h"
#include "common/wire/message.h"

struct keys;

struct intake {
    enum message_refuse refuse; /* 0: publish it */
    const char *reason;         /* static; for people */
    bool readable;              /* statement could be read: sequence, previous, boot are filled */
    uint64_t sequence;
    uint8_t digest[32]; /* the statement's; of the block where that can't be read */
    uint8_t previous[32];
    struct uuid boot;
};

/*
 * sequence is the one that the message names, host that of the session. 0, or POFR_ENOMEM (nothing is known
 * of the bundle then).
 */
POFR_MUST_USE int intake_check(struct slice block, uint64_t sequence, const struct uuid *host, uint64_t bundle_max,
                               const struct keys *keys, struct intake *out);
