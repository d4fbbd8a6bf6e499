/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bundle.h -- statement, armored signature, payload <-> one block of bytes: the same bytes in the spool,
 * on the wire and in Kafka. Anyone can take it apart with sed, tail, ssh-keygen, sha256sum and zstd
 * (docs/RECORD.md, part 1).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/slice.h"
#include "common/evidence/sshsig.h"
#include "common/evidence/statement.h"

struct bundle_view { /* slices into the bytes that were opened */
    struct slice statement_text;
    struct slice signature_text;
    struct slice payload; /* compressed */
    struct statement statement;
    uint8_t statement_digest[32];
    uint8_t public_key[32]; /* as the signature names it */
    uint8_t signature[64];
};

/*
 * Compress payload (zstd), fill s->payload_* and s->key_id, sign, and append the block to out.
 * out_digest is the statement's. On error nothing was appended: POFR_EUSAGE (the statement contradicts itself),
 * POFR_ETOOBIG, POFR_ENOMEM. All memory is given back; at its peak it is about the compressed size and 1 MiB.
 */
POFR_MUST_USE int bundle_seal(struct statement *s, struct slice payload, const struct sshkey *k, struct buf *out,
                              uint8_t out_digest[32]);

/*
 * Take a block apart and check all that needs no key list: form, lengths, the payload's digest, key_id =
 * digest of the signature's public key. It does NOT check the signature: bundle_verify() does.
 * POFR_ETRUNCATED, POFR_EFORMAT, POFR_ETOOBIG, POFR_EUNSUPPORTED.
 */
POFR_MUST_USE int bundle_open(struct slice block, struct bundle_view *out_view, struct pofr_err *err);
/* 0 or POFR_ESIGNATURE (also where the signature names another key), POFR_ENOMEM. public_key: one of the keys that the host has or had. */
POFR_MUST_USE int bundle_verify(const struct bundle_view *v, const uint8_t public_key[32]);
/* Decompress into arena: exactly payload_size bytes, at most REC_PAYLOAD_MAX. POFR_EFORMAT, or the arena's error. */
POFR_MUST_USE int bundle_payload(const struct bundle_view *v, struct arena *arena, struct slice *out_payload);
