/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * health.h -- ask the running program next door whether it is well: what metrics_http.h answers, from the side of who asks.
 */
#pragma once

#include "common/base/compiler.h"

struct buf;
struct pofr_err;

/*
 * GET /healthz of what listens on address, as it stands in [metrics] listen ("0.0.0.0:9464": any address, so loopback is
 * asked). Waits at most timeout_ms. The answer's text without its newline is appended to out_text.
 * 0: well. POFR_EREFUSED: it says that it is not. POFR_EPEER: nobody answers there, or not as one of ours would;
 * POFR_ETIMEOUT. POFR_ECONFIG: the address is no number and port.
 */
POFR_MUST_USE int health_ask(const char *address, int timeout_ms, struct buf *out_text, struct pofr_err *err);
