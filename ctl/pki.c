/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pki.c -- pofrctl pki init|issue: a small CA for the connections inside the cluster.
 *
 * Key and certificate of a name go into one file: a program that reads them anew never sees the one without the other.
 */
#include "ctl/pki.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/parse_num.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/options.h"
#include "common/tls/certificate.h"
#include "ctl/nouns.h"
#include "ctl/pki_make.h"

static void wipe(struct buf *b)
{
    if (b->data) {
        explicit_bzero(b->data, b->cap);
    }
    buf_free(b);
}

void pki_ca_close(struct pki_ca *ca)
{
    wipe(&ca->key);
    buf_free(&ca->certificate);
}

int pki_ca_open(const char *dir, struct pki_ca *ca, struct pofr_err *err)
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

const char *pki_dir(const struct ctl *c, const char *given)
{
    return given ? given : c->conf->pki_dir;
}

void pki_say(const struct ctl *c, const char *what, const char *file, int64_t ends_us)
{
    char until[CLOCK_TEXT_SIZE];

    clock_format(ends_us, until);
    if (c->json) {
        printf("{\"name\": \"%s\", \"file\": \"%s\", \"ends\": \"%.19sZ\"}\n", what, file, until);
    } else {
        ctl_say(c, "%s: %s, good until %.10s", what, file, until);
    }
}

int pki_init_at(struct ctl *c, const char *dir, const char *name, uint32_t days, struct pofr_err *err)
{
    struct buf key = BUF_INIT(PKI_PEM_MAX);
    struct buf certificate = BUF_INIT(PKI_PEM_MAX);
    char key_path[PATH_MAX];
    char path[PATH_MAX];
    char issued[PATH_MAX];
    int64_t now_us = clock_wall_us();
    int code = pki_path(dir, "ca.key", key_path, err);

    code = code ? code : pki_path(dir, "ca.crt", path, err);
    code = code ? code : pki_path(dir, "issued", issued, err);
    code = code ? code : fsio_mkdirs(issued, 0700, err);
    code = code ? code : pki_make_ca(name, days, now_us, &key, &certificate, err);
    code = code ? code : fsio_replace(key_path, buf_slice(&key), 0600, err);
    code = code ? code : fsio_replace(path, buf_slice(&certificate), 0644, err);
    if (!code) {
        pki_say(c, "ca", path, now_us + (int64_t)days * PKI_DAY_US);
    }
    wipe(&key);
    buf_free(&certificate);
    return code;
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
    struct pofr_err err = { 0 };
    char key_path[PATH_MAX];
    char path[PATH_MAX];
    const char *dir;
    uint32_t days = PKI_CA_DAYS;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 0, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    dir = pki_dir(c, v[DIR_]);
    if (!pki_days(v[DAYS], &days) || (v[NAME] && !pki_is_name(v[NAME]))) {
        return ctl_usage(c, "pki init: --days is 1 to %u, --name is one word", PKI_DAYS_MAX);
    }
    code = pki_path(dir, "ca.key", key_path, &err);
    code = code ? code : pki_path(dir, "ca.crt", path, &err);
    if (!code && !v[FORCE] && (ctl_is_taken(key_path) || ctl_is_taken(path))) {
        code = pofr_err_set(&err, POFR_EREFUSED,
                            "a CA is in %s already (--force puts a new one there: nothing that the old one signed is "
                            "trusted by who trusts the new one)",
                            dir);
    }
    code = code ? code : pki_init_at(c, dir, v[NAME] ? v[NAME] : "pofr-ca", days, &err);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}

/*
 * Key and certificate to where they are used. Whoever reads the file that is there may read the new one, and there is no
 * moment in which he can't: so it gets owner, group and mode before its name.
 */
static int put_pair(const char *output, struct slice pair, int64_t group, struct pofr_err *err)
{
    char next[PATH_MAX];
    struct stat st;
    bool there = stat(output, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
    mode_t mode = group >= 0 ? 0640 : there ? st.st_mode & 0660 : 0600;
    uid_t uid = there ? st.st_uid : (uid_t)-1;
    gid_t gid = group >= 0 ? (gid_t)group : there ? st.st_gid : (gid_t)-1;
    int code = snprintf(next, sizeof(next), "%s.next", output) < PATH_MAX
                   ? 0
                   : pofr_err_set(err, POFR_ETOOBIG, "the path is too long");

    code = code ? code : fsio_replace(next, pair, 0600, err);
    if (!code && (uid != (uid_t)-1 || gid != (gid_t)-1) && chown(next, uid, gid) != 0) {
        code = pofr_err_sys(err, fsio_code(errno), "%s: its owner and group", output);
    }
    if (!code && (chmod(next, mode) != 0 || rename(next, output) != 0)) {
        code = pofr_err_sys(err, fsio_code(errno), "%s", output);
    }
    if (code) {
        (void)unlink(next); /* it may not be there */
        return code;
    }
    return fsio_sync_parent(output, err);
}

int pki_issue_one(struct ctl *c, const char *dir, const struct pki_wanted *wanted, const char *output, int64_t group,
                  struct pofr_err *err)
{
    struct buf key = BUF_INIT(PKI_PEM_MAX);
    struct buf certificate = BUF_INIT(PKI_PEM_MAX);
    struct certificate facts = { 0 };
    struct pki_ca ca;
    char rest[PKI_NAME_MAX + 16];
    char noted[PATH_MAX];
    int code = pki_ca_open(dir, &ca, err);

    snprintf(rest, sizeof(rest), "issued/%s.crt", wanted->name);
    code = code ? code : pki_path(dir, rest, noted, err);
    code = code ? code : pki_make(wanted, buf_slice(&ca.key), buf_slice(&ca.certificate), &key, &certificate, err);
    code = code ? code : certificate_parse(buf_slice(&certificate), &facts, err);
    code = code ? code : fsio_replace(noted, buf_slice(&certificate), 0644, err);
    if (!code) {
        buf_append(&key, buf_slice(&certificate));
        code = key.err ? key.err : put_pair(output, buf_slice(&key), group, err);
    }
    if (!code) {
        pki_say(c, wanted->name, output, facts.ends_us);
    }
    pki_ca_close(&ca);
    wipe(&key);
    buf_free(&certificate);
    return code;
}

int pki_output(const char *dir, const char *name, const char *given, char out[PATH_MAX], struct pofr_err *err)
{
    char rest[PKI_NAME_MAX + 8];

    if (given) {
        return snprintf(out, PATH_MAX, "%s", given) < PATH_MAX ? 0
                                                               : pofr_err_set(err, POFR_ETOOBIG, "the path is long");
    }
    snprintf(rest, sizeof(rest), "%s.pem", name);
    return pki_path(dir, rest, out, err);
}

int64_t pki_group(const char *text)
{
    const struct group *g = text ? getgrnam(text) : NULL;
    uint64_t number = 0;

    if (!text) {
        return PKI_NO_GROUP;
    }
    if (g) {
        return (int64_t)g->gr_gid;
    }
    return parse_u64(slice_str(text), INT32_MAX, &number) ? PKI_BAD_GROUP : (int64_t)number;
}

int pki_issue(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "dir=", "server", "names=", "days=", "output=", "group=", "force", NULL };
    enum {
        DIR_,
        SERVER,
        NAMES,
        DAYS,
        OUTPUT,
        GROUP,
        FORCE
    };
    const char *v[8];
    char *args[1];
    size_t args_count;
    struct pki_wanted wanted = { .days = PKI_ISSUE_DAYS, .now_us = clock_wall_us() };
    struct pofr_err err = { 0 };
    char rest[PKI_NAME_MAX + 16];
    char noted[PATH_MAX];
    char output[PATH_MAX];
    int64_t group;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 1, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    group = pki_group(v[GROUP]);
    if (group == PKI_BAD_GROUP) {
        return ctl_usage(c, "there is no group %s", v[GROUP]);
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
    code = pki_output(pki_dir(c, v[DIR_]), wanted.name, v[OUTPUT], output, &err);
    code = code ? code : pki_path(pki_dir(c, v[DIR_]), rest, noted, &err);
    if (!code && !v[FORCE] && ctl_is_taken(output)) {
        code = pofr_err_set(&err, POFR_EREFUSED, "%s exists already (--force overwrites it)", output);
    } else if (!code && !v[FORCE] && ctl_is_taken(noted)) {
        code = pofr_err_set(&err, POFR_EREFUSED, "%s was issued already: pofrctl pki renew %s (or --force)",
                            wanted.name, wanted.name);
    }
    code = code ? code : pki_issue_one(c, pki_dir(c, v[DIR_]), &wanted, output, group, &err);
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}
