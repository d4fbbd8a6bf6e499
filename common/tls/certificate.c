/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/tls/certificate.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"

/* OpenSSL's newest complaint of this thread, and none left behind for who comes next. */
static int fail(struct pofr_err *err, int code, const char *what)
{
    char why[160] = "";
    unsigned long number = ERR_peek_last_error();

    if (number) {
        ERR_error_string_n(number, why, sizeof(why));
    }
    ERR_clear_error();
    return pofr_err_set(err, code, "%s%s%s", what, why[0] ? ": " : "", why);
}

static int time_of(const ASN1_TIME *t, int64_t *out_us)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(t, &tm) != 1) {
        return POFR_EFORMAT;
    }
    *out_us = (int64_t)timegm(&tm) * CLOCK_US_PER_S;
    return 0;
}

static int text_of(const X509_NAME *name, char *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long len;
    int code = POFR_EFORMAT;

    if (!bio) {
        return POFR_ENOMEM;
    }
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        len = BIO_get_mem_data(bio, &text);
        if (len >= 0 && (size_t)len < size) {
            memcpy(out, text, (size_t)len);
            out[len] = 0;
            code = 0;
        }
    }
    BIO_free(bio);
    return code;
}

/* As names show it: nothing is cut, "::" is written out. */
static void add_address(struct buf *to, const unsigned char *a, size_t len)
{
    for (size_t i = 0; len == 4 && i < 4; i++) {
        buf_printf(to, "%s%u", i ? "." : "", a[i]);
    }
    for (size_t i = 0; len == 16 && i < 16; i += 2) {
        buf_printf(to, "%s%x", i ? ":" : "", (unsigned)(a[i] << 8 | a[i + 1]));
    }
}

/* One name, if it is of a kind that a peer is looked up by; others say nothing about where a server is. */
static void add_name(const GENERAL_NAME *name, struct buf *to)
{
    if (name->type == GEN_DNS || name->type == GEN_URI) {
        buf_printf(to, "%s%s:", to->len ? "," : "", name->type == GEN_DNS ? "DNS" : "URI");
        buf_bytes(to, ASN1_STRING_get0_data(name->d.ia5), (size_t)ASN1_STRING_length(name->d.ia5));
    } else if (name->type == GEN_IPADD) {
        buf_printf(to, "%sIP:", to->len ? "," : "");
        add_address(to, ASN1_STRING_get0_data(name->d.iPAddress), (size_t)ASN1_STRING_length(name->d.iPAddress));
    }
}

static int names_of(X509 *x, char *out, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    struct buf text = BUF_INIT(size);
    const char *cstr;
    int code = 0;

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) { /* -1 without any */
        add_name(sk_GENERAL_NAME_value(names, i), &text);
    }
    cstr = buf_cstr(&text);
    if (cstr) {
        snprintf(out, size, "%s", cstr);
    } else {
        code = text.err == POFR_ETOOBIG ? POFR_EFORMAT : POFR_ENOMEM;
    }
    buf_free(&text);
    GENERAL_NAMES_free(names);
    return code;
}

static int serial_of(X509 *x, char *out, size_t size)
{
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *text = n ? BN_bn2hex(n) : NULL;
    int code = text && strlen(text) < size ? 0 : POFR_EFORMAT;

    if (!code) {
        snprintf(out, size, "%s", text);
    }
    OPENSSL_free(text);
    BN_free(n);
    return code;
}

/* Every certificate of the text; the caller frees the stack with its members. */
static int read_all(struct slice pem, STACK_OF(X509) * *out, struct pofr_err *err)
{
    BIO *bio =
        pem.len <= CERTIFICATE_FILE_MAX ? BIO_new_mem_buf(pem.data ? (const void *)pem.data : "", (int)pem.len) : NULL;
    STACK_OF(X509) *all = sk_X509_new_null();
    unsigned long last;
    X509 *x;
    int code = 0;

    if (!bio || !all) {
        code = pofr_err_set(err, pem.len > CERTIFICATE_FILE_MAX ? POFR_ETOOBIG : POFR_ENOMEM, "certificates");
        goto out;
    }
    while (code == 0 && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_num(all) == CERTIFICATES_MAX || sk_X509_push(all, x) <= 0) {
            X509_free(x);
            code = pofr_err_set(err, POFR_ETOOBIG, "more than %u certificates", CERTIFICATES_MAX);
        }
    }
    last = ERR_peek_last_error();
    if (code == 0 && last && ERR_GET_REASON(last) != PEM_R_NO_START_LINE) {
        code = fail(err, POFR_EFORMAT, "a certificate can't be read");
    } else if (code == 0 && sk_X509_num(all) == 0) {
        code = pofr_err_set(err, POFR_EFORMAT, "no certificate is in it");
    }
    if (code == 0) {
        *out = all;
        all = NULL;
    }
out:
    ERR_clear_error();
    BIO_free(bio);
    sk_X509_pop_free(all, X509_free);
    return code;
}

static int take(X509 *x, struct certificate *out, struct pofr_err *err)
{
    struct certificate c = { .ca = X509_check_ca(x) == 1,
                             .server = X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0) == 1,
                             .client = X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 0) == 1 };
    int code = text_of(X509_get_subject_name(x), c.subject, sizeof(c.subject));

    code = code ? code : text_of(X509_get_issuer_name(x), c.issuer, sizeof(c.issuer));
    code = code ? code : serial_of(x, c.serial, sizeof(c.serial));
    code = code ? code : names_of(x, c.names, sizeof(c.names));
    code = code ? code : time_of(X509_get0_notBefore(x), &c.begins_us);
    code = code ? code : time_of(X509_get0_notAfter(x), &c.ends_us);
    if (code) {
        return fail(err, code, "a certificate's names or times can't be read");
    }
    ERR_clear_error();
    *out = c;
    return 0;
}

int certificate_parse(struct slice pem, struct certificate *out, struct pofr_err *err)
{
    STACK_OF(X509) *all = NULL;
    int code = read_all(pem, &all, err);

    if (!code) {
        code = take(sk_X509_value(all, 0), out, err);
    }
    sk_X509_pop_free(all, X509_free);
    return code;
}

const char *certificate_fault(int x509_error)
{
    return X509_verify_cert_error_string(x509_error);
}

bool certificate_has_names(const struct certificate *c, const char *names)
{
    struct slice rest = slice_str(names);
    struct slice had = slice_str(c->names);
    bool same = true;

    while (same && !slice_empty(rest) && !slice_empty(had)) { /* in the order in which they were asked for */
        struct slice one = slice_trim(slice_split(&rest, ','));
        struct slice other = slice_split(&had, ',');
        struct buf text = BUF_INIT(512);
        unsigned char address[16];
        char name[256];

        snprintf(name, sizeof(name), "%.*s", SLICE_FMT(one));
        if (inet_pton(AF_INET6, name, address) == 1) {
            buf_str(&text, "IP:");
            add_address(&text, address, 16);
        } else {
            buf_printf(&text, "%s:%s", inet_pton(AF_INET, name, address) == 1 ? "IP" : "DNS", name);
        }
        same = slice_eq(buf_slice(&text), other);
        buf_free(&text);
    }
    return same && slice_empty(rest) && slice_empty(had);
}

int certificate_end(struct slice pem, bool latest, int64_t *out_us, struct pofr_err *err)
{
    STACK_OF(X509) *all = NULL;
    int64_t end_us = latest ? INT64_MIN : INT64_MAX;
    int code = read_all(pem, &all, err);

    for (int i = 0; !code && i < sk_X509_num(all); i++) {
        int64_t one_us = 0;

        code = time_of(X509_get0_notAfter(sk_X509_value(all, i)), &one_us);
        if (code) {
            code = fail(err, code, "a certificate's times can't be read");
        } else if (latest ? one_us > end_us : one_us < end_us) {
            end_us = one_us;
        }
    }
    sk_X509_pop_free(all, X509_free);
    if (!code) {
        *out_us = end_us;
    }
    return code;
}

int certificate_der_end(struct slice der, int64_t *out_us)
{
    const unsigned char *at = der.data;
    X509 *x = der.len > 0 && der.len <= CERTIFICATE_FILE_MAX ? d2i_X509(NULL, &at, (long)der.len) : NULL;
    int code = x ? time_of(X509_get0_notAfter(x), out_us) : POFR_EFORMAT;

    ERR_clear_error();
    X509_free(x);
    return code;
}

int certificate_verify(struct slice pem, struct slice ca, int64_t at_us, struct pofr_err *err)
{
    STACK_OF(X509) *all = NULL;
    STACK_OF(X509) *trusted = NULL;
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int code = store && ctx ? 0 : pofr_err_set(err, POFR_ENOMEM, "certificates");

    code = code ? code : read_all(pem, &all, err);
    code = code ? code : read_all(ca, &trusted, err);
    if (!code && X509_STORE_CTX_init(ctx, store, sk_X509_value(all, 0), all) != 1) {
        code = fail(err, POFR_ENOMEM, "certificates");
    }
    if (!code) {
        X509_STORE_CTX_set0_trusted_stack(ctx, trusted);
        if (at_us) {
            X509_STORE_CTX_set_time(ctx, 0, (time_t)(at_us / CLOCK_US_PER_S));
        } else {
            X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME);
        }
        if (X509_verify_cert(ctx) != 1) {
            code = pofr_err_set(err, POFR_EREFUSED, "%s", X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
        }
    }
    ERR_clear_error();
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    sk_X509_pop_free(all, X509_free);
    sk_X509_pop_free(trusted, X509_free);
    return code;
}

static int read_file(const char *path, struct buf *out, struct pofr_err *err)
{
    char real[PATH_MAX];
    int code = fsio_secret_path(path, real, sizeof(real), err);

    return code ? code : fsio_read(real, out, err);
}

static void wipe(struct buf *text)
{
    if (text->data) {
        explicit_bzero(text->data, text->cap); /* the private key may be in it */
    }
    buf_free(text);
}

int certificate_file_end(const char *path, bool latest, int64_t *out_us, struct pofr_err *err)
{
    struct buf text = BUF_INIT(CERTIFICATE_FILE_MAX);
    int code = read_file(path, &text, err);

    if (!code) {
        code = certificate_end(buf_slice(&text), latest, out_us, err);
        code = code ? pofr_err_prefix(err, "%s", path) : 0;
    }
    wipe(&text);
    return code;
}

int certificate_file_verify(const char *path, const char *ca_path, struct pofr_err *err)
{
    struct buf text = BUF_INIT(CERTIFICATE_FILE_MAX);
    struct buf ca = BUF_INIT(CERTIFICATE_FILE_MAX);
    int code = read_file(path, &text, err);

    code = code ? code : read_file(ca_path, &ca, err);
    code = code ? code : certificate_verify(buf_slice(&text), buf_slice(&ca), 0, err);
    wipe(&text);
    wipe(&ca);
    return code;
}
