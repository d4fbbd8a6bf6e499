/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * enrol.h -- ENROL -> what the catalog's procedure is called with; its row -> the answer. Pure.
 *
 * What a stranger says of itself becomes printable ASCII here and is cut to the columns' sizes: it is read by
 * people, in lists.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/uuid.h"
#include "common/wire/message.h"
#include "gateway/gateway_stat.h"

struct enrol_facts {
    uint8_t token_hash[32], key_id[32], public_key[32];
    char hostname[256], machine_id[65], os[256], kernel[256], agent_version[65], peer[65];
};

struct enrol_result {
    enum enrolment what;
    struct uuid host; /* with NEW and AGAIN: */
    char name[768];
    bool pending;
    bool ended; /* the host was retired or erased since */
};

/* POFR_EFORMAT: what stands there can't be a token, the catalog need not be asked. POFR_ENOMEM. */
POFR_MUST_USE int enrol_facts_of(const struct message *m, const char *peer, struct enrol_facts *out);
/* The answer borrows from r. */
void enrol_answer(const struct enrol_result *r, struct message *out);
