/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pki.h -- the folder of the cluster's CA.
 *
 *   ca.crt            what every program trusts (public)
 *   ca.key            what signs: readable by its owner alone
 *   issued/NAME.crt   the newest certificate of each name (public): who is to be renewed
 *   NAME.pem          its key and certificate, to be taken to where they are used
 */
#pragma once

#include <limits.h>
#include <stddef.h>

#include "common/base/compiler.h"
#include "ctl/ctl.h"

#define PKI_ISSUED_MAX 4096U
#define PKI_NO_CA      "no CA is in %s: pofrctl pki init makes one" /* of a folder */

/* "DIR/REST" */
POFR_MUST_USE int pki_path(const char *dir, const char *rest, char out[PATH_MAX], struct pofr_err *err);

/* The names that were issued, sorted; the caller frees the array, and each of them. POFR_ENOTFOUND: no CA is there. */
POFR_MUST_USE int pki_issued(const char *dir, char ***out_names, size_t *out_count, struct pofr_err *err);
void pki_issued_free(char **names, size_t count);

/* "14" days of an option, at most PKI_DAYS_MAX; text NULL leaves *days. False: it is no number. */
bool pki_days(const char *text, uint32_t *days);
