/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deprecated in OpenSSL 3, in favour of providers: but a provider can't refuse one caller and serve another.
 * RAND_OpenSSL() is what is used anyhow.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "gateway/packet_limit.h"

#include <openssl/rand.h>

#include "common/base/err.h"

static _Thread_local bool limited, reached;
static _Thread_local unsigned left;

static int random_bytes(unsigned char *out, int n)
{
    if (limited && left == 0) {
        reached = true;
        return 0;
    }
    left -= limited ? 1 : 0;
    return RAND_OpenSSL()->bytes(out, n);
}

int packet_limit_open(void)
{
    static RAND_METHOD method;

    method = *RAND_OpenSSL();
    method.bytes = random_bytes;
    return RAND_set_rand_method(&method) == 1 ? 0 : POFR_ESYSTEM;
}

void packet_limit_set(unsigned packets)
{
    limited = true;
    reached = false;
    left = packets;
}

bool packet_limit_clear(void)
{
    limited = false;
    return reached;
}
