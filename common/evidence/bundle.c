/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/evidence/bundle.h"

#include <string.h>

#include <zstd.h>

#include "common/base/sha256.h"
#include "common/record/limits.h"

#define LEVEL      3
#define WINDOW_LOG 18 /* a payload closes at 256 KiB: a larger window would only cost the agent memory */

static const char sig_begin[] = "-----BEGIN SSH SIGNATURE-----\n";
static const char sig_end[] = "-----END SSH SIGNATURE-----\n";

static int compress(struct slice payload, struct buf *out)
{
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    size_t room = ZSTD_compressBound(payload.len);
    uint8_t *to = buf_reserve(out, room);
    size_t n = 0;
    int code = 0;

    if (!ctx || !to) {
        code = out->err ? out->err : POFR_ENOMEM;
        goto out;
    }
    if (ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(ctx, ZSTD_c_windowLog, WINDOW_LOG)) ||
        ZSTD_isError(n = ZSTD_compress2(ctx, to, room, payload.data, payload.len))) {
        code = POFR_ENOMEM;
        goto out;
    }
    buf_advance(out, n);
out:
    ZSTD_freeCCtx(ctx);
    return code;
}

int bundle_seal(struct statement *s, struct slice payload, const struct sshkey *k, struct buf *out,
                uint8_t out_digest[32])
{
    struct buf packed = BUF_INIT(BUNDLE_MAX);
    size_t at = out->len;
    uint8_t signature[64];
    struct slice text;
    int code = payload.len > REC_PAYLOAD_MAX ? POFR_ETOOBIG : compress(payload, &packed);

    if (code) {
        goto out;
    }
    s->payload_size = payload.len;
    s->payload_bytes = packed.len;
    code = sha256(buf_slice(&packed), s->payload_digest);
    if (!code) {
        code = sha256(slice_of(sshkey_public(k), 32), s->key_id);
    }
    if (!code) {
        code = statement_format(s, out);
    }
    if (code) {
        goto out;
    }
    text = slice_of(out->data + at, out->len - at);
    code = sha256(text, out_digest);
    if (!code) {
        code = sshsig_sign(k, text, signature, out);
    }
    if (!code) {
        buf_append(out, buf_slice(&packed));
        code = out->err;
    }
out:
    if (code) {
        buf_truncate(out, at);
    }
    buf_free(&packed);
    return code;
}

/* Where needle begins in the first max bytes of s, or SIZE_MAX. */
static size_t find(struct slice s, const char *needle, size_t max)
{
    const uint8_t *at;

    s = slice_sub(s, 0, max);
    at = s.len ? memmem(s.data, s.len, needle, strlen(needle)) : NULL;
    return at ? (size_t)(at - s.data) : SIZE_MAX;
}

int bundle_open(struct slice block, struct bundle_view *out_view, struct pofr_err *err)
{
    struct bundle_view v;
    struct slice rest;
    uint8_t digest[32];
    size_t at;
    int code;

    memset(&v, 0, sizeof(v));
    if (block.len > BUNDLE_MAX) {
        return pofr_err_set(err, POFR_ETOOBIG, "bundle of %zu bytes", block.len);
    }
    at = find(block, sig_begin, STATEMENT_MAX + sizeof(sig_begin));
    if (at == SIZE_MAX) {
        return pofr_err_set(err, block.len <= STATEMENT_MAX ? POFR_ETRUNCATED : POFR_EFORMAT, "no statement");
    }
    v.statement_text = slice_sub(block, 0, at);
    code = statement_parse(v.statement_text, &v.statement, err);
    if (code) {
        return code;
    }
    rest = slice_sub(block, at, SIZE_MAX);
    at = find(rest, sig_end, 4096);
    if (at == SIZE_MAX) {
        return pofr_err_set(err, rest.len < 4096 ? POFR_ETRUNCATED : POFR_EFORMAT, "signature does not end");
    }
    v.signature_text = slice_sub(rest, 0, at + strlen(sig_end));
    v.payload = slice_sub(rest, at + strlen(sig_end), SIZE_MAX);
    if (v.payload.len != v.statement.payload_bytes) {
        return pofr_err_set(err, v.payload.len < v.statement.payload_bytes ? POFR_ETRUNCATED : POFR_EFORMAT,
                            "payload has %zu bytes, its statement says %llu", v.payload.len,
                            (unsigned long long)v.statement.payload_bytes);
    }
    if (sshsig_parse(v.signature_text, v.public_key, v.signature)) {
        return pofr_err_set(err, POFR_EFORMAT, "signature is not in its one form");
    }
    code = sha256(v.payload, digest);
    if (!code && memcmp(digest, v.statement.payload_digest, 32) != 0) {
        return pofr_err_set(err, POFR_EFORMAT, "payload is not the one that its statement names");
    }
    if (!code) {
        code = sha256(slice_of(v.public_key, 32), digest);
    }
    if (!code && memcmp(digest, v.statement.key_id, 32) != 0) {
        return pofr_err_set(err, POFR_EFORMAT, "signature is by another key than the statement names");
    }
    if (!code) {
        code = sha256(v.statement_text, v.statement_digest);
    }
    if (code) {
        return pofr_err_set(err, code, "digest");
    }
    *out_view = v;
    return 0;
}

int bundle_verify(const struct bundle_view *v, const uint8_t public_key[32])
{
    /* ssh-keygen would refuse a signature that names another key, whether or not it verifies. */
    if (memcmp(public_key, v->public_key, sizeof(v->public_key)) != 0) {
        return POFR_ESIGNATURE;
    }
    return sshsig_verify(public_key, v->signature, v->statement_text);
}

/* One frame, no skippable one, nothing behind it, and it says the size: nothing is decompressed into less room than it asks for. */
static bool is_one_frame(struct slice frame, size_t size)
{
    static const uint8_t magic[] = { 0x28, 0xb5, 0x2f, 0xfd };

    return slice_starts_with(frame, slice_of(magic, sizeof(magic))) &&
           ZSTD_getFrameContentSize(frame.data, frame.len) == size &&
           ZSTD_findFrameCompressedSize(frame.data, frame.len) == frame.len;
}

int bundle_payload(const struct bundle_view *v, struct arena *arena, struct slice *out_payload)
{
    size_t size = (size_t)v->statement.payload_size;
    uint8_t *to;
    size_t n;

    if (size > REC_PAYLOAD_MAX || !is_one_frame(v->payload, size)) {
        return POFR_EFORMAT;
    }
    to = arena_alloc(arena, size);
    if (!to) {
        return arena->err;
    }
    n = ZSTD_decompress(to, size, v->payload.data, v->payload.len);
    if (ZSTD_isError(n) || n != size) {
        return POFR_EFORMAT;
    }
    *out_payload = slice_of(to, size);
    return 0;
}
