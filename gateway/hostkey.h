/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hostkey.h -- the key by which agents know this gateway: read, or made at the first start.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/compiler.h"

struct pofr_err;

/*
 * Append the private key's text (OpenSSH's format) to out. Where path is missing a key is made, and its
 * public half is written to path.pub; "credential:NAME" is only read. out_fingerprint: as ssh-keygen -l shows
 * it.
 */
POFR_MUST_USE int hostkey_open(const char *path, struct buf *out, char out_fingerprint[64], struct pofr_err *err);
