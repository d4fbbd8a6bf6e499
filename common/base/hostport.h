/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostport.h -- "host:port", "[v6]:port" -> its two parts.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

#define HOSTPORT_HOST_SIZE 256

struct hostport {
    char host[HOSTPORT_HOST_SIZE]; /* without brackets */
    uint16_t port;
};

/* default_port < 0: a port is needed. POFR_EFORMAT: no host, no port, a port above 65535, blanks or control bytes. */
POFR_MUST_USE int hostport_parse(struct slice text, int default_port, struct hostport *out);
