/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pki_make.h -- keys and certificates, in memory: ECDSA on P-256, SHA-256, PEM.
 *
 * A certificate begins an hour before now, so that a machine whose clock is behind takes it. Keys are PKCS #8 without
 * a pass phrase; the caller wipes them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/slice.h"

struct pofr_err;

#define PKI_PEM_MAX  65536U
#define PKI_NAME_MAX 64U /* bytes of a common name, by X.520 */
#define PKI_DAYS_MAX 36500U

struct pki_wanted {
    const char *name;  /* its common name */
    const char *names; /* host names and addresses it is good for, with commas between; "" for none */
    bool server;       /* shown by a server, and by it as a client to its peers; else by a client alone */
    uint32_t days;     /* at most as long as the CA */
    int64_t now_us;    /* wall */
};

/* Letters, digits, dots, underscores and hyphens, a letter or digit first, at most PKI_NAME_MAX. */
bool pki_is_name(const char *name);

/* A new CA. */
POFR_MUST_USE int pki_make_ca(const char *name, uint32_t days, int64_t now_us, struct buf *out_key,
                              struct buf *out_certificate, struct pofr_err *err);

/* A CA's certificate anew, with the key it has: what it signed before stays good. */
POFR_MUST_USE int pki_renew_ca(struct slice key, struct slice certificate, uint32_t days, int64_t now_us,
                               struct buf *out_certificate, struct pofr_err *err);

/*
 * A new key and its certificate, signed by the CA. POFR_EUSAGE: a name is none. POFR_ECONFLICT: key and certificate
 * of the CA do not belong together. POFR_EREFUSED: the CA has ended.
 */
POFR_MUST_USE int pki_make(const struct pki_wanted *wanted, struct slice ca_key, struct slice ca_certificate,
                           struct buf *out_key, struct buf *out_certificate, struct pofr_err *err);
