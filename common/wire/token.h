/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * token.h -- the text that lets a host enrol: where the gateways are, the fingerprint of their host key, and a
 * secret.
 *
 *   pofr1.<host:port>[,<host:port>...].<fingerprint>.<secret>
 *
 * fingerprint is the SHA-256 of the gateway's host key blob (the SSH wire form), secret is 24 to 48 random
 * bytes; both in base64url without '='. `pofrctl token create` writes the text, `pofr-agent enrol` reads it.
 * ENROL.token carries the secret's text alone, and the catalog keeps only token_hash() of that.
 *
 * Pure. No error text holds any part of the secret.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/hostport.h"
#include "common/base/slice.h"

struct buf;
struct pofr_err;

#define TOKEN_TEXT_MAX        4096U /* of the whole text */
#define TOKEN_GATEWAYS_MAX    16U
#define TOKEN_SECRET_MIN      24U /* bytes */
#define TOKEN_SECRET_MAX      48U
#define TOKEN_SECRET_TEXT_MAX 64U /* characters of TOKEN_SECRET_MAX bytes */

struct token {
    unsigned gateways_len;
    struct hostport gateways[TOKEN_GATEWAYS_MAX];
    uint8_t fingerprint[32];
    char secret[TOKEN_SECRET_TEXT_MAX + 1]; /* its text */
};

/*
 * text: the whole token; blanks and newlines around it are allowed. POFR_EUNSUPPORTED: of another version;
 * POFR_EFORMAT, POFR_ETOOBIG. One struct has one text: what token_format() would write, and nothing else, is taken.
 */
POFR_MUST_USE int token_parse(struct slice text, struct token *out_token, struct pofr_err *err);

/* Append the text, without newline. POFR_EUSAGE: no gateway, a host name that can't stand in a token, or no secret; else out's error. */
POFR_MUST_USE int token_format(const struct token *t, struct buf *out);

/* The text of len random bytes becomes the secret. POFR_EUSAGE: len is outside TOKEN_SECRET_MIN..MAX. */
POFR_MUST_USE int token_set_secret(struct token *t, const uint8_t *random, size_t len);

/* Is this the text of a secret? The gateway asks before it hashes what a stranger sent. */
bool token_secret_ok(struct slice secret_text);

/* What the catalog keeps (token_hash): the SHA-256 of the secret's text. POFR_EFORMAT: not a secret. */
POFR_MUST_USE int token_hash(struct slice secret_text, uint8_t out_hash[32]);

/* Overwrite the secret. */
void token_wipe(struct token *t);
