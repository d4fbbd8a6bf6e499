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

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/os/clock.h"
#include "ctl/ctl.h"
#include "ctl/pki_make.h"

#define PKI_ISSUED_MAX 4096U
#define PKI_NO_CA      "no CA is in %s: pofrctl pki init makes one" /* of a folder */

#define PKI_DAY_US     (INT64_C(86400) * CLOCK_US_PER_S)
#define PKI_CA_DAYS    3650U
#define PKI_ISSUE_DAYS 365U
#define PKI_NO_GROUP   (-1)
#define PKI_BAD_GROUP  (-2)

struct pki_ca {
    struct buf key;
    struct buf certificate;
};

/* POFR_ENOTFOUND: no CA is in dir. Closed in any case. */
POFR_MUST_USE int pki_ca_open(const char *dir, struct pki_ca *ca, struct pofr_err *err);
void pki_ca_close(struct pki_ca *ca);
/* A new CA, whatever is there. */
POFR_MUST_USE int pki_init_at(struct ctl *c, const char *dir, const char *name, uint32_t days, struct pofr_err *err);

/* The CA's certificate anew, with its key. */
POFR_MUST_USE int pki_renew_ca_at(struct ctl *c, const char *dir, uint32_t days, struct pofr_err *err);

/*
 * Make it, note it in issued/, write output: in this order, so that nobody has a certificate that is not noted. The file
 * that is there keeps owner, group and mode; group (a number, or PKI_NO_GROUP) may read it then.
 */
POFR_MUST_USE int pki_issue_one(struct ctl *c, const char *dir, const struct pki_wanted *wanted, const char *output,
                                int64_t group, struct pofr_err *err);
/* The number of a group by name or number, PKI_NO_GROUP for NULL, PKI_BAD_GROUP. */
int64_t pki_group(const char *text);
/* given, or NAME.pem beside the CA. */
POFR_MUST_USE int pki_output(const char *dir, const char *name, const char *given, char out[PATH_MAX],
                             struct pofr_err *err);
/* The folder of the option, or that of the configuration. */
const char *pki_dir(const struct ctl *c, const char *given);
/* A line about something that was made. */
void pki_say(const struct ctl *c, const char *what, const char *file, int64_t ends_us);

/* "DIR/REST" */
POFR_MUST_USE int pki_path(const char *dir, const char *rest, char out[PATH_MAX], struct pofr_err *err);

/* The names that were issued, sorted; the caller frees the array, and each of them. POFR_ENOTFOUND: no CA is there. */
POFR_MUST_USE int pki_issued(const char *dir, char ***out_names, size_t *out_count, struct pofr_err *err);
void pki_issued_free(char **names, size_t count);

/* "14" days of an option, at most PKI_DAYS_MAX; text NULL leaves *days. False: it is no number. */
bool pki_days(const char *text, uint32_t *days);
