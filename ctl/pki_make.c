/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/pki_make.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/base/err.h"
#include "common/os/clock.h"

#define BEGINS_BEFORE_S 3600
#define SERIAL_BITS     127 /* positive in 16 bytes */
#define SAN_MAX         1000U
#define LETTERS_DIGITS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

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

bool pki_is_name(const char *name)
{
    return name[0] && strlen(name) <= PKI_NAME_MAX && strspn(name, LETTERS_DIGITS) > 0 &&
           strspn(name, LETTERS_DIGITS "._-") == strlen(name);
}

static bool is_host_name(const char *name)
{
    const char *rest = strncmp(name, "*.", 2) == 0 ? name + 2 : name;

    return rest[0] && strlen(name) <= 253 && strspn(rest, LETTERS_DIGITS) > 0 &&
           strspn(rest, LETTERS_DIGITS ".-_") == strlen(rest);
}

/* "a.example,10.0.0.1" -> "DNS:a.example,IP:10.0.0.1", as OpenSSL's configuration has it. */
static int san_of(const char *names, struct buf *out, struct pofr_err *err)
{
    struct slice rest = slice_str(names);

    while (!slice_empty(rest)) {
        struct slice one = slice_trim(slice_split(&rest, ','));
        unsigned char address[16];
        char name[256];
        bool ip;

        snprintf(name, sizeof(name), "%.*s", SLICE_FMT(one));
        ip = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
        if (one.len >= sizeof(name) || (!ip && !is_host_name(name))) {
            return pofr_err_set(err, POFR_EUSAGE, "\"%.*s\" is no host name and no address", SLICE_FMT(one));
        }
        buf_printf(out, "%s%s:%s", out->len ? "," : "", ip ? "IP" : "DNS", name);
    }
    return buf_cstr(out) ? 0 : pofr_err_set(err, POFR_EUSAGE, "names of more than %u bytes", SAN_MAX);
}

static int write_key(EVP_PKEY *key, struct buf *out, struct pofr_err *err)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    char *text;
    long len;
    int code;

    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        code = fail(err, POFR_ENOMEM, "a key can't be written");
    } else {
        len = BIO_get_mem_data(bio, &text);
        buf_bytes(out, text, (size_t)len);
        code = out->err;
    }
    BIO_free(bio);
    return code;
}

static int write_certificate(X509 *x, struct buf *out, struct pofr_err *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long len;
    int code;

    if (!bio || PEM_write_bio_X509(bio, x) != 1) {
        code = fail(err, POFR_ENOMEM, "a certificate can't be written");
    } else {
        len = BIO_get_mem_data(bio, &text);
        buf_bytes(out, text, (size_t)len);
        code = out->err;
    }
    BIO_free(bio);
    return code;
}

static int set_serial(X509 *x)
{
    BIGNUM *n = BN_new();
    int good = n && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
               BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;

    BN_free(n);
    return good;
}

static int set_name(X509 *x, const char *name)
{
    return X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                                      -1, 0);
}

static int add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    int good;

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    good = extension && X509_add_ext(x, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

/* Version, serial, times, key; the names come from the caller. ends: not later than that, where it is not NULL. */
static X509 *begin(EVP_PKEY *key, uint32_t days, int64_t now_us, const ASN1_TIME *ends)
{
    time_t now = (time_t)(now_us / CLOCK_US_PER_S);
    time_t end = now + (time_t)days * 86400;
    X509 *x = X509_new();

    if (x && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) && X509_set_pubkey(x, key) == 1 &&
        ASN1_TIME_set(X509_getm_notBefore(x), now - BEGINS_BEFORE_S) && ASN1_TIME_set(X509_getm_notAfter(x), end) &&
        (!ends || ASN1_TIME_compare(X509_get0_notAfter(x), ends) <= 0 || X509_set1_notAfter(x, ends) == 1)) {
        return x;
    }
    X509_free(x);
    return NULL;
}

static int sign_ca(X509 *x, EVP_PKEY *key, struct pofr_err *err)
{
    if (X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
        add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
        add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
        add_extension(x, x, NID_subject_key_identifier, "hash") && X509_sign(x, key, EVP_sha256()) > 0) {
        return 0;
    }
    return fail(err, POFR_ENOMEM, "a CA can't be made");
}

int pki_make_ca(const char *name, uint32_t days, int64_t now_us, struct buf *out_key, struct buf *out_certificate,
                struct pofr_err *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = key ? begin(key, days, now_us, NULL) : NULL;
    int code = x && set_name(x, name) ? sign_ca(x, key, err) : fail(err, POFR_ENOMEM, "a CA can't be made");

    code = code ? code : write_key(key, out_key, err);
    code = code ? code : write_certificate(x, out_certificate, err);
    X509_free(x);
    EVP_PKEY_free(key);
    return code;
}

/* A key that asks for a pass phrase gets none: nobody is at a terminal. */
static int no_pass_phrase(POFR_UNUSED char *to, POFR_UNUSED int size, POFR_UNUSED int writes, POFR_UNUSED void *arg)
{
    return -1;
}

/* The CA's two halves, which must belong together. */
static int read_ca(struct slice key_pem, struct slice pem, EVP_PKEY **out_key, X509 **out_x, struct pofr_err *err)
{
    BIO *key_bio = BIO_new_mem_buf(key_pem.data, (int)key_pem.len);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    EVP_PKEY *key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, no_pass_phrase, NULL) : NULL;
    X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    int code = 0;

    if (!key || !x) {
        code = fail(err, POFR_EFORMAT, key ? "the CA's certificate can't be read" : "the CA's key can't be read");
    } else if (X509_check_private_key(x, key) != 1 || X509_check_ca(x) != 1) {
        code = fail(err, POFR_ECONFLICT, "the CA's key does not belong to its certificate");
    }
    BIO_free(key_bio);
    BIO_free(bio);
    if (code) {
        EVP_PKEY_free(key);
        X509_free(x);
        return code;
    }
    *out_key = key;
    *out_x = x;
    return 0;
}

int pki_renew_ca(struct slice ca_key, struct slice certificate, uint32_t days, int64_t now_us,
                 struct buf *out_certificate, struct pofr_err *err)
{
    EVP_PKEY *key = NULL;
    X509 *old = NULL;
    X509 *x = NULL;
    int code = read_ca(ca_key, certificate, &key, &old, err);

    if (!code) {
        x = begin(key, days, now_us, NULL);
        code = x && X509_set_subject_name(x, X509_get_subject_name(old)) == 1
                   ? sign_ca(x, key, err)
                   : fail(err, POFR_ENOMEM, "a CA can't be made");
    }
    code = code ? code : write_certificate(x, out_certificate, err);
    X509_free(old);
    X509_free(x);
    EVP_PKEY_free(key);
    return code;
}

static int sign(X509 *x, X509 *ca, EVP_PKEY *ca_key, const struct pki_wanted *wanted, const char *san,
                struct pofr_err *err)
{
    /* brokers are each other's clients */
    const char *use = wanted->server ? "serverAuth,clientAuth" : "clientAuth";

    if (set_name(x, wanted->name) && X509_set_issuer_name(x, X509_get_subject_name(ca)) == 1 &&
        add_extension(x, ca, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(x, ca, NID_key_usage, "critical,digitalSignature") &&
        add_extension(x, ca, NID_ext_key_usage, use) && add_extension(x, ca, NID_subject_key_identifier, "hash") &&
        add_extension(x, ca, NID_authority_key_identifier, "keyid") &&
        (!san[0] || add_extension(x, ca, NID_subject_alt_name, san)) && X509_sign(x, ca_key, EVP_sha256()) > 0) {
        return 0;
    }
    return fail(err, POFR_ENOMEM, "a certificate can't be made");
}

int pki_make(const struct pki_wanted *wanted, struct slice ca_key_pem, struct slice ca_certificate, struct buf *out_key,
             struct buf *out_certificate, struct pofr_err *err)
{
    struct buf san = BUF_INIT(SAN_MAX);
    time_t now = (time_t)(wanted->now_us / CLOCK_US_PER_S);
    EVP_PKEY *ca_key = NULL;
    EVP_PKEY *key = NULL;
    X509 *ca = NULL;
    X509 *x = NULL;
    int code = pki_is_name(wanted->name) ? san_of(wanted->names, &san, err)
                                         : pofr_err_set(err, POFR_EUSAGE, "\"%s\" is no name", wanted->name);

    code = code ? code : read_ca(ca_key_pem, ca_certificate, &ca_key, &ca, err);
    if (!code && X509_cmp_time(X509_get0_notAfter(ca), &now) < 0) {
        code = pofr_err_set(err, POFR_EREFUSED, "the CA has ended: pofrctl pki renew ca");
    }
    if (!code) {
        key = EVP_EC_gen("P-256");
        x = key ? begin(key, wanted->days, wanted->now_us, X509_get0_notAfter(ca)) : NULL;
        code = x ? sign(x, ca, ca_key, wanted, buf_cstr(&san), err) : fail(err, POFR_ENOMEM, "a key can't be made");
    }
    code = code ? code : write_key(key, out_key, err);
    code = code ? code : write_certificate(x, out_certificate, err);
    buf_free(&san);
    X509_free(ca);
    X509_free(x);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    return code;
}
