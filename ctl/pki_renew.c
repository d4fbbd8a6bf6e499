/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pki_renew.c -- pofrctl pki renew: see pki.h. */
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/options.h"
#include "common/tls/certificate.h"
#include "ctl/nouns.h"
#include "ctl/pki.h"
#include "ctl/pki_make.h"

struct renewal {
    const char *dir;
    const char *output; /* NULL: where issue wrote it */
    bool limited;
    uint32_t within; /* days */
    uint32_t days;   /* 0: as long as before */
    int64_t now_us;
};

int pki_renew_ca_at(struct ctl *c, const char *dir, uint32_t days, struct pofr_err *err)
{
    struct buf certificate = BUF_INIT(PKI_PEM_MAX);
    struct certificate facts = { 0 };
    struct pki_ca ca;
    char path[PATH_MAX];
    int code = pki_ca_open(dir, &ca, err);

    code = code ? code : pki_path(dir, "ca.crt", path, err);
    code = code
               ? code
               : pki_renew_ca(buf_slice(&ca.key), buf_slice(&ca.certificate), days, clock_wall_us(), &certificate, err);
    code = code ? code : certificate_parse(buf_slice(&certificate), &facts, err);
    code = code ? code : fsio_replace(path, buf_slice(&certificate), 0644, err);
    if (!code) {
        pki_say(c, "ca", path, facts.ends_us);
    }
    pki_ca_close(&ca);
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
    code = code ? code : pki_output(r->dir, name, r->output, output, err);
    if (!code && (!r->limited || facts.ends_us < r->now_us + (int64_t)r->within * PKI_DAY_US)) {
        int64_t days = (facts.ends_us - facts.begins_us) / PKI_DAY_US;

        strip_kinds(facts.names);
        wanted.server = facts.server;
        wanted.days = r->days ? r->days : (uint32_t)(days > 0 && days <= PKI_DAYS_MAX ? days : PKI_ISSUE_DAYS);
        code = pki_issue_one(c, r->dir, &wanted, output, PKI_NO_GROUP, err);
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
    r.dir = pki_dir(c, v[DIR_]);
    r.output = v[OUTPUT];
    r.limited = v[WITHIN] != NULL;
    if (v[ALL]) {
        code = renew_all(c, &r, &err);
    } else if (strcmp(args[0], "ca") == 0) {
        code = pki_renew_ca_at(c, r.dir, r.days ? r.days : PKI_CA_DAYS, &err);
    } else {
        code = renew_one(c, &r, args[0], &done, &err);
        if (!code && !done && !c->json) {
            ctl_say(c, "%s is good for longer than %u days: left as it is", args[0], r.within);
        }
    }
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}
