/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * OpenSSL 3 looks an algorithm up by name each time unless one holds a fetched EVP_MD: that costs more than
 * the digest of a short text. It is fetched once and never given back (it lives as long as the process).
 */
#include "common/base/sha256.h"

#include <pthread.h>

#include <openssl/evp.h>

#include "common/base/err.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *algorithm; /* written under once, then read only */

static void fetch(void)
{
    algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static const EVP_MD *fetched(void)
{
    (void)pthread_once(&once, fetch); /* fails for a bad once only */
    return algorithm;
}

int sha256(struct slice data, uint8_t out[SHA256_SIZE])
{
    static const uint8_t nothing;
    const EVP_MD *md = fetched();
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (!md || EVP_Digest(data.len ? data.data : &nothing, data.len, digest, NULL, md, NULL) != 1) {
        return POFR_ENOMEM;
    }
    memcpy(out, digest, SHA256_SIZE);
    return 0;
}

int sha256_init(struct sha256 *h)
{
    const EVP_MD *md = fetched();

    if (!h->ctx) {
        h->ctx = EVP_MD_CTX_new();
    }
    if (!md || !h->ctx || EVP_DigestInit_ex2(h->ctx, md, NULL) != 1) {
        return POFR_ENOMEM;
    }
    return 0;
}

int sha256_update(struct sha256 *h, struct slice data)
{
    if (data.len == 0) {
        return 0;
    }
    return EVP_DigestUpdate(h->ctx, data.data, data.len) == 1 ? 0 : POFR_ENOMEM;
}

int sha256_final(struct sha256 *h, uint8_t out[SHA256_SIZE])
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (EVP_DigestFinal_ex(h->ctx, digest, NULL) != 1) {
        return POFR_ENOMEM;
    }
    memcpy(out, digest, SHA256_SIZE);
    return 0;
}

void sha256_fini(struct sha256 *h)
{
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}
