/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pki_ensure.c -- pofrctl pki ensure: everything that a cluster's certificates need, in one command that may be repeated at
 * any time: what is missing is made, what ends soon is renewed, what is asked for otherwise is made anew.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/os/fsio.h"
#include "common/os/options.h"
#include "common/tls/certificate.h"
#include "ctl/nouns.h"
#include "ctl/pki.h"

#define ENSURE_MAX    256U
#define ENSURE_WITHIN 30U /* days */

struct ensure {
    struct ctl *c;
    const char *dir;
    const char *into; /* NULL: beside the CA */
    int64_t group;
    int64_t now_us, soon_us;
    uint32_t days;
    struct buf ca; /* its certificate */
    size_t good, made;
};

/* *out: NULL where it will do as it is, else why not. */
static int look(const struct ensure *e, const struct pki_wanted *wanted, const char *output, const char **out,
                struct pofr_err *err)
{
    struct buf old = BUF_INIT(PKI_PEM_MAX);
    struct certificate facts = { 0 };
    char rest[PKI_NAME_MAX + 16];
    char path[PATH_MAX];
    int code;

    *out = NULL;
    snprintf(rest, sizeof(rest), "issued/%.*s.crt", (int)PKI_NAME_MAX, wanted->name);
    code = pki_path(e->dir, rest, path, err);
    code = code ? code : fsio_read(path, &old, err);
    if (code == POFR_ENOTFOUND || (!code && !ctl_is_taken(output))) {
        *out = "it is not there";
        code = 0;
    } else if (!code) {
        code = certificate_parse(buf_slice(&old), &facts, err);
        if (!code && facts.ends_us < e->soon_us) {
            *out = "it ends soon";
        } else if (!code && (facts.server != wanted->server || !certificate_has_names(&facts, wanted->names))) {
            *out = "it was for other names";
        } else if (!code && certificate_verify(buf_slice(&old), buf_slice(&e->ca), 0, NULL)) {
            *out = "it is of another CA";
        }
    }
    buf_free(&old);
    return code;
}

/* Where key and certificate of a name go. */
static int place(const struct ensure *e, const char *name, char out[PATH_MAX], struct pofr_err *err)
{
    char rest[2 * PKI_NAME_MAX + 8];
    char folder[PATH_MAX];
    int code;

    if (!e->into) {
        return pki_output(e->dir, name, NULL, out, err);
    }
    snprintf(rest, sizeof(rest), "%.*s/%.*s.pem", (int)PKI_NAME_MAX, name, (int)PKI_NAME_MAX, name);
    code = pki_path(e->into, name, folder, err);
    code = code ? code : fsio_mkdirs(folder, 0750, err);
    return code ? code : pki_path(e->into, rest, out, err);
}

/* The CA's certificate beside it. */
static int put_ca(const struct ensure *e, const char *name, struct pofr_err *err)
{
    struct buf there = BUF_INIT(PKI_PEM_MAX);
    char rest[PKI_NAME_MAX + 8];
    char path[PATH_MAX];
    int code;

    snprintf(rest, sizeof(rest), "%.*s/ca.crt", (int)PKI_NAME_MAX, name);
    code = pki_path(e->into, rest, path, err);
    if (!code && (fsio_read(path, &there, NULL) != 0 || !slice_eq(buf_slice(&there), buf_slice(&e->ca)))) {
        code = fsio_replace(path, buf_slice(&e->ca), 0644, err);
    }
    buf_free(&there);
    return code;
}

/* "pofr-gateway" for a client, "kafka=kafka1.example.org,10.0.0.5" for a server. */
static int one(struct ensure *e, char *argument, struct pofr_err *err)
{
    char *equals = strchr(argument, '=');
    struct pki_wanted wanted = { .name = argument, .days = e->days, .now_us = e->now_us };
    const char *why = NULL;
    char output[PATH_MAX];
    int code;

    if (equals) {
        *equals = 0;
    }
    wanted.server = equals != NULL;
    wanted.names = equals ? equals + 1 : "";
    if (!pki_is_name(wanted.name) || strcmp(wanted.name, "ca") == 0 || (equals && !equals[1])) {
        return pofr_err_set(err, POFR_EUSAGE, "\"%s\" is neither NAME nor NAME=HOSTS", argument);
    }
    code = place(e, wanted.name, output, err);
    code = code ? code : look(e, &wanted, output, &why, err);
    if (!code && why) {
        code = pki_issue_one(e->c, e->dir, &wanted, output, e->group, err);
    }
    if (!code && e->into) {
        code = put_ca(e, wanted.name, err);
    }
    if (!code) {
        e->made += why != NULL;
        e->good += why == NULL;
    }
    return code;
}

/* The CA's certificate, made or renewed where it must be. */
static int see_to_ca(struct ensure *e, struct pofr_err *err)
{
    struct certificate facts = { 0 };
    char key[PATH_MAX];
    char path[PATH_MAX];
    int code = pki_path(e->dir, "ca.key", key, err);

    code = code ? code : pki_path(e->dir, "ca.crt", path, err);
    if (!code && !ctl_is_taken(key) && !ctl_is_taken(path)) {
        code = pki_init_at(e->c, e->dir, "pofr-ca", PKI_CA_DAYS, err);
    }
    code = code ? code : fsio_read(path, &e->ca, err);
    code = code ? code : certificate_parse(buf_slice(&e->ca), &facts, err);
    if (!code && facts.ends_us < e->soon_us) {
        code = pki_renew_ca_at(e->c, e->dir, PKI_CA_DAYS, err);
        buf_reset(&e->ca);
        code = code ? code : fsio_read(path, &e->ca, err);
    }
    return code;
}

int pki_ensure(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "dir=", "group=", "within=", "days=", "into=", NULL };
    struct ensure e = { .c = c, .now_us = clock_wall_us(), .days = PKI_ISSUE_DAYS, .ca = BUF_INIT(PKI_PEM_MAX) };
    const char *v[6];
    char *args[ENSURE_MAX];
    size_t args_count;
    uint32_t within = ENSURE_WITHIN;
    struct pofr_err err = { 0 };
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, ENSURE_MAX, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    e.dir = pki_dir(c, v[0]);
    e.into = v[4];
    e.group = pki_group(v[1]);
    if (e.group == PKI_BAD_GROUP || !pki_days(v[2], &within) || !pki_days(v[3], &e.days)) {
        return ctl_usage(c, "--group is a group of this machine or a number, --within and --days are 1 to %u",
                         PKI_DAYS_MAX);
    }
    e.soon_us = e.now_us + (int64_t)within * PKI_DAY_US;
    code = see_to_ca(&e, &err);
    for (size_t i = 0; i < args_count && !code; i++) {
        code = one(&e, args[i], &err);
    }
    if (!code && !c->json) {
        ctl_say(c, "pki: %zu certificates made, %zu good as they are", e.made, e.good);
    }
    buf_free(&e.ca);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}
