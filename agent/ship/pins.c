/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/ship/pins.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/base64.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/sha256.h"
#include "common/os/fsio.h"

#define PREFIX    "SHA256:"
#define TEXT_LEN  43u
#define FILE_MAX  8192u
#define LINES_MAX 256u

static int parse_one(struct slice line, uint8_t out[32])
{
    static const struct slice prefix = SLICE_LITERAL(PREFIX);
    struct buf bytes = BUF_INIT(64);
    char padded[TEXT_LEN + 2];
    int rc;

    if (!slice_starts_with(line, prefix) || line.len != prefix.len + TEXT_LEN) {
        return POFR_EFORMAT;
    }
    memcpy(padded, line.data + prefix.len, TEXT_LEN);
    memcpy(padded + TEXT_LEN, "=", 2);
    rc = base64_decode(slice_of(padded, TEXT_LEN + 1), false, &bytes);
    if (rc == 0 && bytes.len != 32) {
        rc = POFR_EFORMAT;
    }
    if (rc == 0) {
        memcpy(out, bytes.data, 32);
    }
    buf_free(&bytes);
    return rc;
}

int pins_parse(struct slice text, struct pins *out, struct pofr_err *err)
{
    struct pins p = { 0 };
    unsigned line_number = 0;

    while (!slice_empty(text)) {
        struct slice line = slice_trim(slice_split(&text, '\n'));
        uint8_t one[32];

        if (++line_number > LINES_MAX) {
            return pofr_err_set(err, POFR_ETOOBIG, "more than %u lines", LINES_MAX);
        }
        if (slice_empty(line) || line.data[0] == '#') {
            continue;
        }
        if (parse_one(line, one) != 0) {
            return pofr_err_set(err, POFR_EFORMAT, "line %u: not a SHA256 fingerprint", line_number);
        }
        if (pins_hold(&p, one)) {
            continue;
        }
        if (p.len == PINS_MAX) {
            return pofr_err_set(err, POFR_ETOOBIG, "more than %u fingerprints", PINS_MAX);
        }
        memcpy(p.list[p.len++], one, sizeof(one));
    }
    if (p.len == 0) {
        return pofr_err_set(err, POFR_EFORMAT, "no fingerprint");
    }
    *out = p;
    return 0;
}

static int path_of(const char *state_dir, char out[PATH_MAX], struct pofr_err *err)
{
    return snprintf(out, PATH_MAX, "%s/%s", state_dir, PINS_FILE) < PATH_MAX
               ? 0
               : pofr_err_set(err, POFR_ETOOBIG, "%s: path too long", state_dir);
}

int pins_load(const char *state_dir, struct pins *out, struct pofr_err *err)
{
    struct buf text = BUF_INIT(FILE_MAX);
    char path[PATH_MAX];
    int rc = path_of(state_dir, path, err);

    if (rc == 0) {
        rc = fsio_read(path, &text, err);
    }
    if (rc == 0) {
        rc = pins_parse(buf_slice(&text), out, err);
        if (rc != 0) {
            (void)pofr_err_prefix(err, "%s", path); /* returns rc again */
        }
    }
    buf_free(&text);
    return rc;
}

int pins_store(const char *state_dir, const struct pins *p, struct pofr_err *err)
{
    struct buf text = BUF_INIT(FILE_MAX);
    char path[PATH_MAX], one[PINS_TEXT_SIZE];
    int rc = path_of(state_dir, path, err);

    for (unsigned i = 0; i < p->len; i++) {
        buf_printf(&text, "%s\n", pins_format(p->list[i], one));
    }
    if (rc == 0) {
        rc = text.err != 0 ? pofr_err_set(err, text.err, "%s", path) : fsio_replace(path, buf_slice(&text), 0644, err);
    }
    buf_free(&text);
    return rc;
}

struct pins pins_of(const uint8_t fingerprint[32])
{
    struct pins p = { .len = 1 };

    memcpy(p.list[0], fingerprint, 32);
    return p;
}

bool pins_hold(const struct pins *p, const uint8_t fingerprint[32])
{
    for (unsigned i = 0; i < p->len; i++) {
        if (memcmp(p->list[i], fingerprint, 32) == 0) {
            return true;
        }
    }
    return false;
}

int pins_check(const struct pins *p, struct slice blob, uint8_t out_fingerprint[32], struct pofr_err *err)
{
    uint8_t digest[32];

    if (slice_empty(blob) || sha256(blob, digest) != 0) {
        return pofr_err_set(err, POFR_EFORMAT, "handshake: no host key");
    }
    if (!pins_hold(p, digest)) {
        return pofr_err_set(err, POFR_ECONFLICT, "the gateway's host key is not %s",
                            p->len == 1 ? "the pinned one" : "one of the pinned ones");
    }
    memcpy(out_fingerprint, digest, sizeof(digest));
    return 0;
}

char *pins_format(const uint8_t fingerprint[32], char out[PINS_TEXT_SIZE])
{
    struct buf text = BUF_INIT(PINS_TEXT_SIZE);

    base64_encode(slice_of(fingerprint, 32), 0, &text);
    snprintf(out, PINS_TEXT_SIZE, PREFIX "%.*s", (int)TEXT_LEN, text.err == 0 ? (const char *)text.data : "");
    buf_free(&text);
    return out;
}
