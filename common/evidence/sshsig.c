/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/evidence/sshsig.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "common/base/base64.h"
#include "common/base/cursor.h"
#include "common/base/sha256.h"

#define ALGORITHM    "ssh-ed25519"
#define HASH         "sha512"
#define WRAP         70 /* as ssh-keygen writes it */
#define ARMORED_MAX  4096
#define FILE_MAX_LEN 16384

static const char sig_begin[] = "-----BEGIN SSH SIGNATURE-----\n";
static const char sig_end[] = "-----END SSH SIGNATURE-----\n";
static const char key_begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
static const char key_end[] = "-----END OPENSSH PRIVATE KEY-----";
static const char key_magic[] = "openssh-key-v1"; /* with its NUL, PROTOCOL.key */

struct sshkey {
    EVP_PKEY *pkey;
    uint8_t public_key[32];
};

static int key_of(EVP_PKEY *pkey, struct sshkey **out_key)
{
    struct sshkey *k = pkey ? calloc(1, sizeof(*k)) : NULL;
    size_t len = sizeof(k->public_key);

    if (!k || EVP_PKEY_get_raw_public_key(pkey, k->public_key, &len) != 1 || len != sizeof(k->public_key)) {
        free(k);
        EVP_PKEY_free(pkey);
        return POFR_ENOMEM;
    }
    k->pkey = pkey;
    *out_key = k;
    return 0;
}

int sshkey_generate(struct sshkey **out_key)
{
    return key_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), out_key);
}

void sshkey_free(struct sshkey *k)
{
    if (k) {
        EVP_PKEY_free(k->pkey); /* clears the private half */
        explicit_bzero(k, sizeof(*k));
        free(k);
    }
}

const uint8_t *sshkey_public(const struct sshkey *k)
{
    return k->public_key;
}

int sshkey_sign_raw(const struct sshkey *k, struct slice data, uint8_t out_signature[64])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = 64;
    int ok = ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
             EVP_DigestSign(ctx, out_signature, &len, data.data, data.len) == 1 && len == 64;

    EVP_MD_CTX_free(ctx);
    return ok ? 0 : POFR_ENOMEM;
}

void sshkey_public_blob(const uint8_t key[32], uint8_t out_blob[51])
{
    static const uint8_t head[19] = { 0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5', '1', '9', 0, 0, 0, 32 };

    memcpy(out_blob, head, sizeof(head));
    memcpy(out_blob + sizeof(head), key, 32);
}

/* The blob and nothing behind it. */
static int blob_parse(struct slice blob, uint8_t out_key[32])
{
    uint8_t head[51] = { 0 };
    uint8_t zero[32] = { 0 };

    sshkey_public_blob(zero, head);
    if (blob.len != sizeof(head) || memcmp(blob.data, head, 19) != 0) {
        return POFR_EFORMAT;
    }
    memcpy(out_key, blob.data + 19, 32);
    return 0;
}

int sshkey_public_format(const uint8_t key[32], const char *comment, struct buf *out)
{
    uint8_t blob[51];

    sshkey_public_blob(key, blob);
    buf_str(out, ALGORITHM " ");
    base64_encode(slice_of(blob, sizeof(blob)), 0, out);
    if (comment && comment[0]) {
        buf_printf(out, " %s", comment);
    }
    buf_u8(out, '\n');
    return out->err;
}

int sshkey_public_parse(struct slice line, uint8_t out_key[32])
{
    struct slice rest = slice_trim(line);
    struct slice algorithm = slice_split(&rest, ' ');
    struct slice text = slice_split(&rest, ' ');
    struct buf blob = BUF_INIT(64);
    int code = slice_eq_str(algorithm, ALGORITHM) && text.len <= 80 ? base64_decode(text, false, &blob) : POFR_EFORMAT;

    if (!code) {
        code = blob_parse(buf_slice(&blob), out_key);
    }
    buf_free(&blob);
    return code ? POFR_EFORMAT : 0;
}

void sshkey_fingerprint(const uint8_t key[32], char *out, size_t size)
{
    uint8_t blob[51];
    uint8_t digest[32];
    struct buf text = BUF_INIT(64);

    sshkey_public_blob(key, blob);
    out[0] = 0;
    if (sha256(slice_of(blob, sizeof(blob)), digest) == 0) {
        buf_str(&text, "SHA256:");
        base64_encode(slice_of(digest, sizeof(digest)), 0, &text);
        while (text.len && text.data[text.len - 1] == '=') {
            buf_truncate(&text, text.len - 1);
        }
        if (!text.err && text.len < size) {
            memcpy(out, text.data, text.len);
            out[text.len] = 0;
        }
    }
    buf_free(&text);
}

/* --- private key file: OpenSSH's PROTOCOL.key, without a passphrase --------------------------------- */

int sshkey_write_private(const struct sshkey *k, const char *comment, struct buf *out)
{
    struct buf file = BUF_INIT(FILE_MAX_LEN);
    struct buf secret = BUF_INIT(FILE_MAX_LEN);
    uint8_t blob[51];
    uint8_t seed[32];
    uint8_t both[64];
    uint8_t check[32];
    size_t len = sizeof(seed);
    int code;

    if (EVP_PKEY_get_raw_private_key(k->pkey, seed, &len) != 1 || len != sizeof(seed)) {
        return POFR_ENOMEM;
    }
    /* All room at once: a buffer that grows would leave copies of the secret behind. */
    (void)buf_reserve(&secret, 512);
    (void)buf_reserve(&file, 1024);
    (void)buf_reserve(out, 1024); /* its error is looked at below */
    memcpy(both, seed, 32);
    memcpy(both + 32, k->public_key, 32);
    /* Two equal numbers, any: they tell whether a passphrase was right. Here there is none. */
    code = sha256(slice_of(k->public_key, 32), check);
    sshkey_public_blob(k->public_key, blob);
    buf_bytes(&secret, check, 4);
    buf_bytes(&secret, check, 4);
    buf_str32be(&secret, slice_str(ALGORITHM));
    buf_str32be(&secret, slice_of(k->public_key, 32));
    buf_str32be(&secret, slice_of(both, sizeof(both)));
    buf_str32be(&secret, slice_str(comment ? comment : ""));
    for (uint8_t pad = 1; secret.len % 8; pad++) {
        buf_u8(&secret, pad);
    }
    buf_bytes(&file, key_magic, sizeof(key_magic));
    buf_str32be(&file, slice_str("none"));
    buf_str32be(&file, slice_str("none"));
    buf_str32be(&file, SLICE_EMPTY);
    buf_u32be(&file, 1);
    buf_str32be(&file, slice_of(blob, sizeof(blob)));
    buf_str32be(&file, buf_slice(&secret));
    code = code ? code : file.err ? file.err : secret.err;
    if (!code) {
        buf_str(out, key_begin);
        base64_encode(buf_slice(&file), WRAP, out);
        buf_str(out, key_end);
        buf_u8(out, '\n');
        code = out->err;
    }
    explicit_bzero(seed, sizeof(seed));
    explicit_bzero(both, sizeof(both));
    if (secret.data) {
        explicit_bzero(secret.data, secret.cap);
    }
    if (file.data) {
        explicit_bzero(file.data, file.cap);
    }
    buf_free(&secret);
    buf_free(&file);
    return code;
}

static int parse_private(struct slice bytes, struct sshkey **out_key, struct pofr_err *err)
{
    struct cursor c = cursor_of(bytes);
    struct cursor s;
    struct slice magic = cursor_bytes(&c, sizeof(key_magic));
    struct slice cipher = cursor_str32be(&c, 64);
    struct slice kdf = cursor_str32be(&c, 64);
    struct slice kdf_options = cursor_str32be(&c, 1024);
    uint32_t count = cursor_u32be(&c);
    struct slice blob = cursor_str32be(&c, 1024);
    struct slice secret = cursor_str32be(&c, 4096);
    struct slice public_key;
    struct slice both;
    uint8_t named[32];
    uint32_t check;
    int code;

    if (cursor_done(&c) || !slice_eq(magic, slice_of(key_magic, sizeof(key_magic))) || count != 1) {
        return pofr_err_set(err, POFR_EFORMAT, "not an OpenSSH private key");
    }
    if (!slice_eq_str(cipher, "none") || !slice_eq_str(kdf, "none") || !slice_empty(kdf_options)) {
        return pofr_err_set(err, POFR_EUNSUPPORTED, "private key has a passphrase");
    }
    s = cursor_of(secret);
    check = cursor_u32be(&s);
    if (cursor_u32be(&s) != check || !slice_eq_str(cursor_str32be(&s, 64), ALGORITHM)) {
        return pofr_err_set(err, POFR_EUNSUPPORTED, "private key is not ssh-ed25519");
    }
    public_key = cursor_str32be(&s, 32);
    both = cursor_str32be(&s, 64);
    (void)cursor_str32be(&s, 1024); /* comment */
    for (uint8_t pad = 1; cursor_left(&s); pad++) {
        if (cursor_u8(&s) != pad || pad > 8) {
            cursor_fail(&s, POFR_EFORMAT);
            break;
        }
    }
    if (s.err || both.len != 64 || public_key.len != 32 || blob_parse(blob, named)) {
        return pofr_err_set(err, POFR_EFORMAT, "private key is damaged");
    }
    code = key_of(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, both.data, 32), out_key);
    if (!code &&
        (memcmp((*out_key)->public_key, public_key.data, 32) != 0 ||
         memcmp((*out_key)->public_key, both.data + 32, 32) != 0 || memcmp((*out_key)->public_key, named, 32) != 0)) {
        sshkey_free(*out_key);
        *out_key = NULL;
        code = POFR_EFORMAT;
    }
    return code ? pofr_err_set(err, code, "private key and its public half differ") : 0;
}

int sshkey_read_private(struct slice text, struct sshkey **out_key, struct pofr_err *err)
{
    struct slice begin = slice_str(key_begin);
    struct slice end = slice_str(key_end);
    struct buf bytes = BUF_INIT(FILE_MAX_LEN);
    struct slice body;
    int code;

    *out_key = NULL;
    text = slice_trim(text);
    if (!slice_starts_with(text, begin) || text.len < begin.len + end.len || text.len > FILE_MAX_LEN ||
        !slice_eq(slice_sub(text, text.len - end.len, end.len), end)) {
        return pofr_err_set(err, POFR_EFORMAT, "not an OpenSSH private key");
    }
    body = slice_sub(text, begin.len, text.len - begin.len - end.len);
    code = base64_decode(body, true, &bytes);
    code = code ? pofr_err_set(err, POFR_EFORMAT, "private key is damaged")
                : parse_private(buf_slice(&bytes), out_key, err);
    if (bytes.data) {
        explicit_bzero(bytes.data, bytes.cap);
    }
    buf_free(&bytes);
    return code;
}

/* --- signatures: OpenSSH's PROTOCOL.sshsig ----------------------------------------------------------- */

#define SIGNED_LEN (6 + 4 + 11 + 4 + 4 + 6 + 4 + 64) /* what the 64 bytes sign, for our namespace and hash */

static int signed_text(struct slice data, uint8_t out[SIGNED_LEN])
{
    static const char head[] = "SSHSIG\0\0\0\13pofr-bundle\0\0\0\0\0\0\0\6sha512\0\0\0\100";

    _Static_assert(sizeof(head) - 1 == SIGNED_LEN - 64, "the namespace is pofr-bundle");
    memcpy(out, head, sizeof(head) - 1);
    return SHA512(data.data ? data.data : (const uint8_t *)"", data.len, out + SIGNED_LEN - 64) ? 0 : POFR_ENOMEM;
}

int sshsig_armor(const uint8_t public_key[32], const uint8_t signature[64], struct buf *out_armored)
{
    struct buf b = BUF_INIT(512);
    uint8_t blob[51];
    int code;

    sshkey_public_blob(public_key, blob);
    buf_str(&b, "SSHSIG");
    buf_u32be(&b, 1);
    buf_str32be(&b, slice_of(blob, sizeof(blob)));
    buf_str32be(&b, slice_str(SSHSIG_NAMESPACE));
    buf_str32be(&b, SLICE_EMPTY); /* reserved */
    buf_str32be(&b, slice_str(HASH));
    buf_u32be(&b, 4 + 11 + 4 + 64);
    buf_str32be(&b, slice_str(ALGORITHM));
    buf_str32be(&b, slice_of(signature, 64));
    buf_str(out_armored, sig_begin);
    base64_encode(buf_slice(&b), WRAP, out_armored);
    buf_str(out_armored, sig_end);
    code = b.err ? b.err : out_armored->err;
    buf_free(&b);
    return code;
}

int sshsig_sign(const struct sshkey *k, struct slice data, uint8_t out_signature[64], struct buf *out_armored)
{
    uint8_t text[SIGNED_LEN];
    int code = signed_text(data, text);

    if (!code) {
        code = sshkey_sign_raw(k, slice_of(text, sizeof(text)), out_signature);
    }
    return code ? code : sshsig_armor(k->public_key, out_signature, out_armored);
}

static int parse_blob(struct slice bytes, uint8_t out_public_key[32], uint8_t out_signature[64])
{
    struct cursor c = cursor_of(bytes);
    struct slice magic = cursor_bytes(&c, 6);
    uint32_t version = cursor_u32be(&c);
    struct slice key = cursor_str32be(&c, 128);
    struct slice name_space = cursor_str32be(&c, 64);
    struct slice reserved = cursor_str32be(&c, 64);
    struct slice hash = cursor_str32be(&c, 16);
    struct cursor s = cursor_of(cursor_str32be(&c, 128));
    struct slice algorithm = cursor_str32be(&s, 32);
    struct slice signature = cursor_str32be(&s, 64);

    if (cursor_done(&c) || cursor_done(&s) || !slice_eq_str(magic, "SSHSIG") || version != 1 ||
        !slice_eq_str(name_space, SSHSIG_NAMESPACE) || !slice_empty(reserved) || !slice_eq_str(hash, HASH) ||
        !slice_eq_str(algorithm, ALGORITHM) || signature.len != 64 || blob_parse(key, out_public_key)) {
        return POFR_EFORMAT;
    }
    memcpy(out_signature, signature.data, 64);
    return 0;
}

int sshsig_parse(struct slice armored, uint8_t out_public_key[32], uint8_t out_signature[64])
{
    struct slice begin = slice_str(sig_begin);
    struct slice end = slice_str(sig_end);
    struct buf bytes = BUF_INIT(ARMORED_MAX);
    struct buf again = BUF_INIT(ARMORED_MAX);
    int code = POFR_EFORMAT;

    if (armored.len <= ARMORED_MAX && armored.len >= begin.len + end.len && slice_starts_with(armored, begin) &&
        slice_eq(slice_sub(armored, armored.len - end.len, end.len), end)) {
        code = base64_decode(slice_sub(armored, begin.len, armored.len - begin.len - end.len), true, &bytes);
    }
    if (!code) {
        code = parse_blob(buf_slice(&bytes), out_public_key, out_signature);
    }
    /* One signature has one text, so that the ledger can rebuild it from key and 64 bytes. */
    if (!code) {
        code = sshsig_armor(out_public_key, out_signature, &again);
    }
    if (!code && !slice_eq(buf_slice(&again), armored)) {
        code = POFR_EFORMAT;
    }
    buf_free(&bytes);
    buf_free(&again);
    return code;
}

int sshsig_verify(const uint8_t public_key[32], const uint8_t signature[64], struct slice data)
{
    uint8_t text[SIGNED_LEN];
    EVP_PKEY *pkey = NULL;
    EVP_MD_CTX *ctx = NULL;
    int code = signed_text(data, text);

    if (!code) {
        pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
        ctx = EVP_MD_CTX_new();
        if (!pkey || !ctx || EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) != 1) {
            code = POFR_ENOMEM; /* every 32 bytes are taken as a key here */
        } else if (EVP_DigestVerify(ctx, signature, 64, text, sizeof(text)) != 1) {
            code = POFR_ESIGNATURE;
        }
    }
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return code;
}
