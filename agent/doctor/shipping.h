/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shipping.h -- what the running agent says of its way to the gateway, taken out of its status. Pure.
 */
#pragma once

#include <stdbool.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct shipping {
    bool connected;
    char gateway[256];    /* empty: no shipper has told anything yet */
    char last_error[512]; /* as it was escaped for the log; empty: none since it was last connected */
};

/* json: the answer to IPC_STATUS_JSON. POFR_EFORMAT: a member is not there, or longer than its room. */
POFR_MUST_USE int shipping_parse(struct slice json, struct shipping *out);
