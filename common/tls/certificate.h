/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * certificate.h -- what a certificate says: whose it is, for which names, until when, and who vouches for it.
 *
 * Texts are PEM; blocks of another kind (a private key in the same file) are passed over. Pure but for
 * certificate_read().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

struct pofr_err;

#define CERTIFICATE_FILE_MAX (1024U * 1024U) /* a distribution's list of CAs has a quarter of that */
#define CERTIFICATES_MAX     1024U           /* in one file */

struct certificate {
    char subject[256]; /* as RFC 2253 writes it and Kafka's principals have it: "CN=pofr-gateway,O=example" */
    char issuer[256];
    char serial[65];   /* hexadecimal */
    char names[1024];  /* "DNS:kafka1.example.org,IP:10.0.0.1"; "" without any */
    int64_t begins_us; /* UTC since 1970 */
    int64_t ends_us;
    bool ca;     /* may sign others */
    bool server; /* may be shown by a server; so may one that does not say what it is for */
    bool client;
};

/* The first certificate of the text. POFR_EFORMAT: there is none, or it can't be read, or a field does not fit. */
POFR_MUST_USE int certificate_parse(struct slice pem, struct certificate *out, struct pofr_err *err);

/* OpenSSL's words for what is wrong with a peer's certificate: "hostname mismatch". Static. */
const char *certificate_fault(int x509_error);

/* Is it good for exactly these host names and addresses ("kafka1,10.0.0.5,fd00::1")? */
bool certificate_has_names(const struct certificate *c, const char *names);

/*
 * When all certificates of the text end: the first of them (a program's own and those that it sends along), or with
 * latest the last (those that a program trusts: an old one beside the new one may end).
 */
POFR_MUST_USE int certificate_end(struct slice pem, bool latest, int64_t *out_us, struct pofr_err *err);

/* When the one certificate ends that a peer has shown (DER). */
POFR_MUST_USE int certificate_der_end(struct slice der, int64_t *out_us);

/*
 * Do the certificates of ca vouch for the first of pem (others of pem may stand between) at that time?
 * POFR_EREFUSED with OpenSSL's reason where they don't. at_us 0: whatever the time.
 */
POFR_MUST_USE int certificate_verify(struct slice pem, struct slice ca, int64_t at_us, struct pofr_err *err);

/* certificate_end() of a file, which may be "credential:NAME" (see fsio.h). */
POFR_MUST_USE int certificate_file_end(const char *path, bool latest, int64_t *out_us, struct pofr_err *err);
/* certificate_verify() of files, at any time. */
POFR_MUST_USE int certificate_file_verify(const char *path, const char *ca_path, struct pofr_err *err);
