/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signatures, private keys and public lines: what is taken has a form of ours that reads back to the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/evidence/sshsig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void signature(struct slice text)
{
    uint8_t key[32], sig[64];
    struct buf again = BUF_INIT(4096);

    if (sshsig_parse(text, key, sig) == 0) {
        int rc = sshsig_armor(key, sig, &again);

        assert(rc == 0 && slice_eq(buf_slice(&again), text));
        rc = sshsig_verify(key, sig, slice_str("text"));
        assert(rc == 0 || rc == POFR_ESIGNATURE);
    }
    buf_free(&again);
}

static void private_key(struct slice text)
{
    struct sshkey *k = NULL, *back = NULL;
    struct pofr_err err = { 0 };
    struct buf again = BUF_INIT(16384);
    int rc = sshkey_read_private(text, &k, &err);

    if (rc == 0) {
        rc = sshkey_write_private(k, "c", &again);
        assert(rc == 0);
        rc = sshkey_read_private(buf_slice(&again), &back, NULL);
        assert(rc == 0 && memcmp(sshkey_public(k), sshkey_public(back), 32) == 0);
    } else {
        assert(!k && err.code == rc && err.text[0] != '\0');
    }
    sshkey_free(k);
    sshkey_free(back);
    buf_free(&again);
}

static void public_line(struct slice text)
{
    uint8_t key[32], back[32];
    struct buf again = BUF_INIT(4096);

    if (sshkey_public_parse(text, key) == 0) {
        int rc = sshkey_public_format(key, NULL, &again);

        assert(rc == 0);
        rc = sshkey_public_parse(buf_slice(&again), back);
        assert(rc == 0 && memcmp(key, back, 32) == 0);
    }
    buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);

    signature(text);
    private_key(text);
    public_line(text);
    return 0;
}
