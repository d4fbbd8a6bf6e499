/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pki.c -- pofrctl pki init|issue|renew: a small CA for the connections inside the cluster (pki_show.c shows it).
 *
 * Key and certificate of a name go into one file: a program that reads them anew never sees the one without the other.
 */
#include "ctl/pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/options.h"
#include "common/tls/certificate.h"
#include "ctl/nouns.h"
#include "ctl/pki_make.h"

#define DAY_US     (INT64_C(86400) * CLOCK_US_PER_S)
#define CA_DAYS    3650U
#define ISSUE_DAYS 365U

struct ca {
    struct buf key;
    struct buf certificate;
};

static void wipe(struct buf *b)
{
    if (b->data) {
        explicit_bzero(b->data, b->cap);
    }
    buf_free(b);
}

static void ca_close(struct ca *ca)
{
    wipe(&ca->key);
    buf_free(&ca->certificate);
}

static int ca_open(const char *dir, struct ca *ca, struct pofr_err *err)
{
    char key[PATH_MAX];
    char certificate[PATH_MAX];
    int code = pki_path(dir, "ca.key", key, err);

    buf_init(&ca->key, PKI_PEM_MAX);
    buf_init(&ca->certificate, PKI_PEM_MAX);
    code = code ? code : pki_path(dir, "ca.crt", certificate, err);
    code = code ? code : fsio_read_secret(key, &ca->key, err);
    code = code ? code : fsio_read(certificate, &ca->certificate, err);
    if (code == POFR_ENOTFOUND) {
        code = pofr_err_set(err, code, PKI_NO_CA, dir);
    }
    return code;
}

static const char *dir_of(const struct ctl *c, const char *given)
{
    return given ? given : c->conf->pki_dir;
}

static void say_until(const struct ctl *c, const char *what, const char *file, int64_t ends_us)
{
    char until[CLOCK_TEXT_SIZE];

    clock_format(ends_us, until);
    if (c->json) {
        printf("{\"name\": \"%s\", \"file\": \"%s\", \"ends\": \"%.19sZ\"}\n", what, file, until);
    } else {
        ctl_say(c, "%s: %s, good until %.10s", what, file, until);
    }
}

int pki_init(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "dir=", "name=", "days=", "force", NULL };
    enum {
        DIR_,
        NAME,
        DAYS,
        FORCE
    };
    const char *v[5];
    char *args[1];
    size_t args_count;
    struct buf key = BUF_INIT(PKI_PEM_MAX);
    struct buf certificate = BUF_INIT(PKI_PEM_MAX);
    struct pofr_err err = { 0 };
    char key_path[PATH_MAX];
    char path[PATH_MAX];
    char issued[PATH_MAX];
    const char *dir;
    uint32_t days = CA_DAYS;
    int64_t now_us = clock_wall_us();
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 0, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    dir = dir_of(c, v[DIR_]);
    if (!pki_days(v[DAYS], &days) || (v[NAME] && !pki_is_name(v[NAME]))) {
        return ctl_usage(c, "pki init: --days is 1 to %u, --name is one word", PKI_DAYS_MAX);
    }
    code = pki_path(dir, "ca.key", key_path, &err);
    code = code ? code : pki_path(dir, "ca.crt", path, &err);
    code = code ? code : pki_path(dir, "issued", issued, &err);
    if (!code && !v[FORCE] && (ctl_is_taken(key_path) || ctl_is_taken(path))) {
        code = pofr_err_set(&err, POFR_EREFUSED,
                            "a CA is in %s already (--force puts a new one there: nothing that the old one signed is "
                            "trusted by who trusts the new one)",
                            dir);
    }
    code = code ? code : fsio_mkdirs(issued, 0700, &err);
    code = code ? code : pki_make_ca(v[NAME] ? v[NAME] : "pofr-ca", days, now_us, &key, &certificate, &err);
    code = code ? code : fsio_replace(key_path, buf_slice(&key), 0600, &err);
    code = code ? code : fsio_replace(path, buf_slice(&certificate), 0644, &err);
    if (!code) {
        say_until(c, "ca", path, now_us + (int64_t)days * DAY_US);
    }
    wipe(&key);
    buf_free(&certificate);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

/* Make it, note it in issued/, write output: in this order, so that nobody has a certificate that is not noted. */
static int issue(struct ctl *c, const char *dir, const struct pki_wanted *wanted, const char *output,
                 struct pofr_err *err)
{
    struct buf key = BUF_INIT(PKI_PEM_MAX);
    struct buf certificate = BUF_INIT(PKI_PEM_MAX);
    struct certificate facts = { 0 };
    struct ca ca;
    char rest[PKI_NAME_MAX + 16];
    char noted[PATH_MAX];
    int code = ca_open(dir, &ca, err);

    snprintf(rest, sizeof(rest), "issued/%s.crt", wanted->name);
    code = code ? code : pki_path(dir, rest, noted, err);
    code = code ? code : pki_make(wanted, buf_slice(&ca.key), buf_slice(&ca.certificate), &key, &certificate, err);
    code = code ? code : certificate_parse(buf_slice(&certificate), &facts, err);
    code = code ? code : fsio_replace(noted, buf_slice(&certificate), 0644, err);
    if (!code) {
        buf_append(&key, buf_slice(&certificate));
        code = key.err ? key.err : fsio_replace(output, buf_slice(&key), 0600, err);
    }
    if (!code) {
        say_until(c, wanted->name, output, facts.ends_us);
    }
    ca_close(&ca);
    wipe(&key);
    buf_free(&certificate);
    return code;
}

/* NAME.pem beside the CA, unless another file was asked for. */
static int output_path(const char *dir, const char *name, const char *given, char out[PATH_MAX], struct pofr_err *err)
{
    char rest[PKI_NAME_MAX + 8];

    if (given) {
        return snprintf(out, PATH_MAX, "%s", given) < PATH_MAX ? 0
                                                               : pofr_err_set(err, POFR_ETOOBIG, "the path is long");
    }
    snprintf(rest, sizeof(rest), "%s.pem", name);
    return pki_path(dir, rest, out, err);
}

int pki_issue(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "dir=", "server", "names=", "days=", "output=", "force", NULL };
    enum {
        DIR_,
        SERVER,
        NAMES,
        DAYS,
        OUTPUT,
        FORCE
    };
    const char *v[7];
    char *args[1];
    size_t args_count;
    struct pki_wanted wanted = { .days = ISSUE_DAYS, .now_us = clock_wall_us() };
    struct pofr_err err = { 0 };
    char rest[PKI_NAME_MAX + 16];
    char noted[PATH_MAX];
    char output[PATH_MAX];
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 1, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    if (args_count != 1 || !pki_is_name(args[0]) || strcmp(args[0], "ca") == 0 || !pki_days(v[DAYS], &wanted.days)) {
        return ctl_usage(c,
                         "usage: pki issue NAME (letters, digits, dots, underscores, hyphens, at most %u, not \"ca\"); "
                         "--days is 1 to %u",
                         PKI_NAME_MAX, PKI_DAYS_MAX);
    }
    wanted.name = args[0];
    wanted.server = v[SERVER] != NULL;
    wanted.names = v[NAMES] ? v[NAMES] : wanted.server ? args[0] : "";
    snprintf(rest, sizeof(rest), "issued/%s.crt", wanted.name);
    code = output_path(dir_of(c, v[DIR_]), wanted.name, v[OUTPUT], output, &err);
    code = code ? code : pki_path(dir_of(c, v[DIR_]), rest, noted, &err);
    if (!code && !v[FORCE] && ctl_is_taken(output)) {
        code = pofr_err_set(&err, POFR_EREFUSED, "%s exists already (--force overwrites it)", output);
    } else if (!code && !v[FORCE] && ctl_is_taken(noted)) {
        code = pofr_err_set(&err, POFR_EREFUSED, "%s was issued already: pofrctl pki renew %s (or --force)",
                            wanted.name, wanted.name);
    }
    code = code ? code : issue(c, dir_of(c, v[DIR_]), &wanted, output, &err);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

/* --- renew ------------------------------------------------------------------------------------------ */

struct renewal {
    const char *dir;
    const char *output; /* NULL: where issue wrote it */
    bool limited;
    uint32_t within; /* days */
    uint32_t days;   /* 0: as long as before */
    int64_t now_us;
};

static int renew_ca(struct ctl *c, const struct renewal *r, struct pofr_err *err)
{
    struct buf certificate = BUF_INIT(PKI_PEM_MAX);
    struct certificate facts = { 0 };
    struct ca ca;
    char path[PATH_MAX];
    int code = ca_open(r->dir, &ca, err);

    code = code ? code : pki_path(r->dir, "ca.crt", path, err);
    code = code ? code
                : pki_renew_ca(buf_slice(&ca.key), buf_slice(&ca.certificate), r->days ? r->days : CA_DAYS, r->now_us,
                               &certificate, err);
    code = code ? code : certificate_parse(buf_slice(&certificate), &facts, err);
    code = code ? code : fsio_replace(path, buf_slice(&certificate), 0644, err);
    if (!code) {
        say_until(c, "ca", path, facts.ends_us);
    }
    ca_close(&ca);
    buf_free(&certificate);
    return code;
}

/* "DNS:a,IP:10.0.0.1" -> "a,10.0.0.1", in place. */
static void strip_kinds(char *names)
{
    char *to = names;

    for (const char *from = names; *from;) {
        const char *colon = strchr(from, ':');
        size_t len = strcspn(colon ? colon + 1 : from, ",");

        from = colon ? colon + 1 : from;
        memmove(to, from, len);
        to += len;
        from += len;
        if (*from == ',') {
            *to++ = *from++;
        }
    }
    *to = 0;
}

/* *out_done: it was renewed; it was not where it is good for longer than is looked at. */
static int renew_one(struct ctl *c, const struct renewal *r, const char *name, bool *out_done, struct pofr_err *err)
{
    struct buf old = BUF_INIT(PKI_PEM_MAX);
    struct certificate facts = { 0 };
    struct pki_wanted wanted = { .name = name, .names = facts.names, .now_us = r->now_us };
    char rest[PKI_NAME_MAX + 16];
    char path[PATH_MAX];
    char output[PATH_MAX];
    int code;

    *out_done = false;
    snprintf(rest, sizeof(rest), "issued/%.*s.crt", (int)PKI_NAME_MAX, name);
    code = pki_path(r->dir, rest, path, err);
    code = code ? code : fsio_read(path, &old, err);
    if (code == POFR_ENOTFOUND) {
        code = pofr_err_set(err, code, "%s was not issued here: pofrctl pki issue %s", name, name);
    }
    code = code ? code : certificate_parse(buf_slice(&old), &facts, err);
    code = code ? code : output_path(r->dir, name, r->output, output, err);
    if (!code && (!r->limited || facts.ends_us < r->now_us + (int64_t)r->within * DAY_US)) {
        int64_t days = (facts.ends_us - facts.begins_us) / DAY_US;

        strip_kinds(facts.names);
        wanted.server = facts.server;
        wanted.days = r->days ? r->days : (uint32_t)(days > 0 && days <= PKI_DAYS_MAX ? days : ISSUE_DAYS);
        code = issue(c, r->dir, &wanted, output, err);
        *out_done = code == 0;
    }
    buf_free(&old);
    return code;
}

static int renew_all(struct ctl *c, const struct renewal *r, struct pofr_err *err)
{
    char **names = NULL;
    size_t count = 0;
    size_t renewed = 0;
    int code = pki_issued(r->dir, &names, &count, err);

    for (size_t i = 0; i < count && !code; i++) {
        bool done = false;

        code = renew_one(c, r, names[i], &done, err);
        renewed += done;
    }
    if (!code && !c->json) {
        ctl_say(c, "%zu of %zu certificates were renewed", renewed, count);
    }
    pki_issued_free(names, count);
    return code;
}

int pki_renew(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "dir=", "all", "within=", "days=", "output=", NULL };
    enum {
        DIR_,
        ALL,
        WITHIN,
        DAYS,
        OUTPUT
    };
    const char *v[6];
    char *args[1];
    size_t args_count;
    struct renewal r = { .now_us = clock_wall_us() };
    struct pofr_err err = { 0 };
    bool done = false;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 1, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    if ((args_count == 1) == (v[ALL] != NULL) || (args_count == 1 && !pki_is_name(args[0])) ||
        !pki_days(v[WITHIN], &r.within) || !pki_days(v[DAYS], &r.days) || (v[ALL] && v[OUTPUT])) {
        return ctl_usage(c, "usage: pki renew NAME, or pki renew --all (without --output); days are 1 to %u",
                         PKI_DAYS_MAX);
    }
    r.dir = dir_of(c, v[DIR_]);
    r.output = v[OUTPUT];
    r.limited = v[WITHIN] != NULL;
    if (v[ALL]) {
        code = renew_all(c, &r, &err);
    } else if (strcmp(args[0], "ca") == 0) {
        code = renew_ca(c, &r, &err);
    } else {
        code = renew_one(c, &r, args[0], &done, &err);
        if (!code && !done && !c->json) {
            ctl_say(c, "%s is good for longer than %u days: left as it is", args[0], r.within);
        }
    }
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}
