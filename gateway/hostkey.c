/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/hostkey.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/evidence/sshsig.h"
#include "common/os/fsio.h"
#include "common/os/log.h"

#define COMMENT "pofr-gateway"

static void wipe(struct buf *b)
{
    if (b->data) {
        explicit_bzero(b->data, b->cap);
    }
    buf_free(b);
}

static int make(const char *path, struct pofr_err *err)
{
    struct buf text = BUF_INIT(4096);
    struct sshkey *key = NULL;
    int rc;

    rc = sshkey_generate(&key);
    if (rc == 0) {
        rc = sshkey_write_private(key, COMMENT, &text);
    }
    if (rc != 0) {
        pofr_err_set(err, rc, "%s: no key could be made: %s", path, pofr_err_text(rc));
    } else {
        rc = fsio_replace(path, buf_slice(&text), 0600, err);
    }
    if (rc == 0) {
        log_info("hostkey", "made", "file=%s", path);
    }
    sshkey_free(key);
    wipe(&text);
    return rc;
}

/* For people and for pofrctl token create; a gateway that may not write there serves all the same. */
static void write_public(const char *path, const uint8_t public_key[32])
{
    struct buf line = BUF_INIT(1024);
    struct pofr_err err;
    char name[4096];

    snprintf(name, sizeof(name), "%s.pub", path);
    if (access(name, F_OK) != 0 && sshkey_public_format(public_key, COMMENT, &line) == 0) {
        if (fsio_replace(name, buf_slice(&line), 0644, &err) != 0) {
            log_warn("hostkey", "no_public_file", "error=\"%s\"", err.text);
        }
    }
    buf_free(&line);
}

int hostkey_open(const char *path, struct buf *out, char out_fingerprint[64], struct pofr_err *err)
{
    bool is_file = strncmp(path, "credential:", strlen("credential:")) != 0;
    size_t start = out->len;
    struct sshkey *key = NULL;
    int rc = 0;

    if (is_file && access(path, F_OK) != 0) {
        rc = make(path, err);
    }
    if (rc == 0) {
        rc = fsio_read_secret(path, out, err);
    }
    if (rc == 0) {
        buf_str(out, "\n"); /* fsio_read_secret() takes one off, and the format wants it */
        rc = sshkey_read_private(slice_of(out->data + start, out->len - start), &key, err);
        rc = rc != 0 ? pofr_err_prefix(err, "%s", path) : 0;
    }
    if (rc == 0) {
        sshkey_fingerprint(sshkey_public(key), out_fingerprint, 64);
        if (is_file) {
            write_public(path, sshkey_public(key));
        }
    }
    sshkey_free(key);
    return rc;
}
