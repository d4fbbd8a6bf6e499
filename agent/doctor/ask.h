/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ask.h -- one question to the running collector (agent/collect/ipc.h), and its answer. Waits, within a limit.
 */
#pragma once

#include "agent/collect/ipc.h"
#include "agent/doctor/shipping.h"
#include "common/base/buf.h"
#include "common/base/compiler.h"

struct pofr_err;

#define ASK_US INT64_C(5000000)

/*
 * packet: what the answer's slices point into. POFR_ENOTFOUND, POFR_EPEER: no collector is running;
 * POFR_EPERMISSION: it does not talk to us; POFR_ETIMEOUT; POFR_EREFUSED: it answers with an error; POFR_EFORMAT.
 */
POFR_MUST_USE int ask_collector(const char *runtime_dir, const struct ipc_message *question, enum ipc_type answer,
                                struct buf *packet, struct ipc_message *out_answer, struct pofr_err *err);

/* How it is with the running agent's way to the gateway. The same errors. */
POFR_MUST_USE int ask_shipping(const char *runtime_dir, struct shipping *out, struct pofr_err *err);
