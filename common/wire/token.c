/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/wire/token.h"

#include <string.h>

#include "common/base/base64.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/sha256.h"

#define TOKEN_PREFIX     "pofr1."
#define FINGERPRINT_TEXT 43U /* characters of 32 bytes */

static void base64url_encode(struct slice in, struct buf *out)
{
    size_t start = out->len;

    base64_encode(in, 0, out);
    while (out->len > start && out->data[out->len - 1] == '=') {
        buf_truncate(out, out->len - 1);
    }
    for (size_t i = start; i < out->len; i++) {
        if (out->data[i] == '+') {
            out->data[i] = '-';
        } else if (out->data[i] == '/') {
            out->data[i] = '_';
        }
    }
}

/* The bytes of text, at most room of them; text is at most TOKEN_SECRET_TEXT_MAX characters. */
static int base64url_decode(struct slice text, uint8_t *out, size_t room, size_t *out_len)
{
    uint8_t standard[TOKEN_SECRET_TEXT_MAX + 4];
    struct buf bytes = BUF_INIT(64);
    size_t len = text.len;
    int rc;

    if (len > TOKEN_SECRET_TEXT_MAX) {
        return POFR_ETOOBIG;
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text.data[i];

        if (c == '+' || c == '/' || c == '=') {
            return POFR_EFORMAT;
        }
        standard[i] = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    while (len % 4 != 0) {
        standard[len++] = '=';
    }
    rc = base64_decode(slice_of(standard, len), false, &bytes);
    if (rc == 0 && bytes.len > room) {
        rc = POFR_ETOOBIG;
    }
    if (rc == 0) {
        memcpy(out, bytes.data ? bytes.data : (const uint8_t *)"", bytes.len);
        *out_len = bytes.len;
    }
    if (bytes.data) {
        explicit_bzero(bytes.data, bytes.cap);
    }
    explicit_bzero(standard, sizeof(standard));
    buf_free(&bytes);
    return rc;
}

static bool is_host_name(const char *host)
{
    for (const char *c = host; *c; c++) {
        bool ok = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                  strchr("-._:%", *c) != NULL;

        if (!ok) {
            return false;
        }
    }
    return host[0] != '\0';
}

bool token_secret_ok(struct slice secret_text)
{
    uint8_t bytes[TOKEN_SECRET_MAX];
    size_t len = 0;
    int rc = base64url_decode(secret_text, bytes, sizeof(bytes), &len);

    explicit_bzero(bytes, sizeof(bytes));
    return rc == 0 && len >= TOKEN_SECRET_MIN;
}

static int parse_gateways(struct slice list, struct token *t, struct pofr_err *err)
{
    if (list.len == 0) {
        return pofr_err_set(err, POFR_EFORMAT, "the token names no gateway");
    }
    while (list.len > 0) {
        struct slice one = slice_split(&list, ',');

        if (t->gateways_len == TOKEN_GATEWAYS_MAX) {
            return pofr_err_set(err, POFR_ETOOBIG, "the token names more than %u gateways", TOKEN_GATEWAYS_MAX);
        }
        if (hostport_parse(one, -1, &t->gateways[t->gateways_len]) != 0 ||
            !is_host_name(t->gateways[t->gateways_len].host) || t->gateways[t->gateways_len].port == 0) {
            return pofr_err_set(err, POFR_EFORMAT, "gateway %u of the token is not host:port", t->gateways_len + 1);
        }
        t->gateways_len++;
    }
    return 0;
}

static int parse_parts(struct slice text, struct token *t, struct pofr_err *err)
{
    static const struct slice prefix = SLICE_LITERAL(TOKEN_PREFIX);
    struct slice rest = text, secret = SLICE_EMPTY, print = SLICE_EMPTY;
    size_t len = 0, at;
    int rc;

    if (!slice_starts_with(text, prefix)) {
        bool other = text.len > 5 && memcmp(text.data, "pofr", 4) == 0 && text.data[4] >= '0' && text.data[4] <= '9';

        return pofr_err_set(err, other ? POFR_EUNSUPPORTED : POFR_EFORMAT,
                            other ? "the token is of a version that this program does not know"
                                  : "this is not a token (it does not begin with \"" TOKEN_PREFIX "\")");
    }
    rest = slice_sub(rest, prefix.len, SIZE_MAX);
    /* Host names have dots: the two last parts are found from the end. */
    for (int part = 0; part < 2; part++) {
        for (at = rest.len; at > 0 && rest.data[at - 1] != '.'; at--) {
        }
        if (at == 0) {
            return pofr_err_set(err, POFR_EFORMAT, "the token is cut: it has too few parts");
        }
        *(part == 0 ? &secret : &print) = slice_sub(rest, at, SIZE_MAX);
        rest = slice_sub(rest, 0, at - 1);
    }
    if (print.len != FINGERPRINT_TEXT || base64url_decode(print, t->fingerprint, 32, &len) != 0 || len != 32) {
        return pofr_err_set(err, POFR_EFORMAT, "the token's fingerprint is not that of a key");
    }
    if (!token_secret_ok(secret)) {
        return pofr_err_set(err, POFR_EFORMAT, "the token's secret is cut or altered");
    }
    rc = parse_gateways(rest, t, err);
    if (rc != 0) {
        return rc;
    }
    memcpy(t->secret, secret.data, secret.len);
    return 0;
}

int token_parse(struct slice text, struct token *out_token, struct pofr_err *err)
{
    struct buf again = BUF_INIT(TOKEN_TEXT_MAX);
    struct token t;
    int rc;

    text = slice_trim(text);
    if (text.len > TOKEN_TEXT_MAX) {
        return pofr_err_set(err, POFR_ETOOBIG, "the token is longer than %u characters", TOKEN_TEXT_MAX);
    }
    memset(&t, 0, sizeof(t));
    rc = parse_parts(text, &t, err);
    if (rc == 0) {
        rc = token_format(&t, &again);
    }
    if (rc == 0 && !slice_eq(text, buf_slice(&again))) {
        rc = pofr_err_set(err, POFR_EFORMAT, "the token is not in its one form");
    }
    if (rc == 0) {
        *out_token = t;
    }
    if (again.data) {
        explicit_bzero(again.data, again.cap);
    }
    buf_free(&again);
    token_wipe(&t);
    return rc;
}

int token_format(const struct token *t, struct buf *out)
{
    if (t->gateways_len == 0 || t->gateways_len > TOKEN_GATEWAYS_MAX ||
        !token_secret_ok(slice_of(t->secret, strnlen(t->secret, sizeof(t->secret))))) {
        return POFR_EUSAGE;
    }
    buf_str(out, TOKEN_PREFIX);
    for (unsigned i = 0; i < t->gateways_len; i++) {
        const struct hostport *g = &t->gateways[i];
        bool v6 = strchr(g->host, ':') != NULL;

        if (!is_host_name(g->host) || g->port == 0) {
            return POFR_EUSAGE;
        }
        buf_printf(out, "%s%s%s%s:%u", i ? "," : "", v6 ? "[" : "", g->host, v6 ? "]" : "", (unsigned)g->port);
    }
    buf_u8(out, '.');
    base64url_encode(slice_of(t->fingerprint, sizeof(t->fingerprint)), out);
    buf_u8(out, '.');
    buf_str(out, t->secret);
    return out->err;
}

int token_set_secret(struct token *t, const uint8_t *random, size_t len)
{
    struct buf text = BUF_INIT(TOKEN_SECRET_TEXT_MAX + 4);
    int rc;

    if (len < TOKEN_SECRET_MIN || len > TOKEN_SECRET_MAX) {
        return POFR_EUSAGE;
    }
    base64url_encode(slice_of(random, len), &text);
    rc = text.err;
    if (rc == 0) {
        memset(t->secret, 0, sizeof(t->secret));
        memcpy(t->secret, text.data, text.len);
        explicit_bzero(text.data, text.cap);
    }
    buf_free(&text);
    return rc;
}

int token_hash(struct slice secret_text, uint8_t out_hash[32])
{
    if (!token_secret_ok(secret_text)) {
        return POFR_EFORMAT;
    }
    return sha256(secret_text, out_hash);
}

void token_wipe(struct token *t)
{
    explicit_bzero(t->secret, sizeof(t->secret));
}
