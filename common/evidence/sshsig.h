/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sshsig.h -- Ed25519 keys and signatures in the forms that OpenSSH reads and writes: PROTOCOL.sshsig
 * (armored, sha512), the one-line public key, the "openssh-key-v1" private key file. Keys are made and
 * used by OpenSSL (EVP). A signature over the same text by the same key is always the same bytes, so the
 * armored text can be rebuilt from (public key, 64 bytes).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/slice.h"

#define SSHSIG_NAMESPACE "pofr-bundle"

struct sshkey; /* an Ed25519 private key */

POFR_MUST_USE int sshkey_generate(struct sshkey **out_key);
void sshkey_free(struct sshkey *k);                   /* wipes */
const uint8_t *sshkey_public(const struct sshkey *k); /* 32 bytes, borrowed */
POFR_MUST_USE int sshkey_sign_raw(const struct sshkey *k, struct slice data, uint8_t out_signature[64]);
/* OpenSSH private key file without passphrase, as ssh-keygen writes and reads. */
POFR_MUST_USE int sshkey_write_private(const struct sshkey *k, const char *comment, struct buf *out);
POFR_MUST_USE int sshkey_read_private(struct slice text, struct sshkey **out_key, struct pofr_err *err);

/* "ssh-ed25519 AAAA... comment" <-> 32 bytes. */
POFR_MUST_USE int sshkey_public_format(const uint8_t key[32], const char *comment, struct buf *out);
POFR_MUST_USE int sshkey_public_parse(struct slice line, uint8_t out_key[32]);
/* SSH wire blob of the public key (string "ssh-ed25519", string key): 51 bytes. */
void sshkey_public_blob(const uint8_t key[32], uint8_t out_blob[51]);
/* "SHA256:..." as ssh-keygen -l shows it; out has at least 64 bytes. */
void sshkey_fingerprint(const uint8_t key[32], char *out, size_t size);

/* data is the text to sign; out gets the armored signature, newline at its end. */
POFR_MUST_USE int sshsig_sign(const struct sshkey *k, struct slice data, uint8_t out_signature[64],
                              struct buf *out_armored);
POFR_MUST_USE int sshsig_armor(const uint8_t public_key[32], const uint8_t signature[64], struct buf *out_armored);
/* The parts of an armored signature; nothing is checked but the form, namespace and algorithm. POFR_EFORMAT. */
POFR_MUST_USE int sshsig_parse(struct slice armored, uint8_t out_public_key[32], uint8_t out_signature[64]);
/* 0: good; POFR_ESIGNATURE: not; POFR_ENOMEM: can't be told. */
POFR_MUST_USE int sshsig_verify(const uint8_t public_key[32], const uint8_t signature[64], struct slice data);
