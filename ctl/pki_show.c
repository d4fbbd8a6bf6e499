/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pki_show.c -- pofrctl pki show, and the folder of the CA: see pki.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/parse_num.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/options.h"
#include "common/tls/certificate.h"
#include "ctl/nouns.h"
#include "ctl/pki.h"
#include "ctl/pki_make.h"
#include "ctl/table.h"

#define WITHIN_DAYS 14U

int pki_path(const char *dir, const char *rest, char out[PATH_MAX], struct pofr_err *err)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, rest);

    return n > 0 && n < PATH_MAX ? 0 : pofr_err_set(err, POFR_ETOOBIG, "the path of %s is too long", rest);
}

bool pki_days(const char *text, uint32_t *days)
{
    uint64_t n = 0;

    if (!text) {
        return true;
    }
    if (parse_u64(slice_str(text), PKI_DAYS_MAX, &n) || n == 0) {
        return false;
    }
    *days = (uint32_t)n;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void pki_issued_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

int pki_issued(const char *dir, char ***out_names, size_t *out_count, struct pofr_err *err)
{
    char **names = calloc(PKI_ISSUED_MAX, sizeof(*names));
    char path[PATH_MAX];
    const struct dirent *e;
    size_t count = 0;
    DIR *d = NULL;
    int code = names ? pki_path(dir, "issued", path, err) : pofr_err_set(err, POFR_ENOMEM, "names");

    if (!code) {
        d = opendir(path);
        code = d ? 0 : fsio_code(errno);
        if (code == POFR_ENOTFOUND) {
            (void)pofr_err_set(err, code, PKI_NO_CA, dir);
        } else if (code) {
            (void)pofr_err_set(err, code, "%s can't be read", path);
        }
    }
    while (!code && d && (e = readdir(d)) != NULL) {
        size_t len = strlen(e->d_name);

        if (e->d_name[0] == '.' || len < 5 || strcmp(e->d_name + len - 4, ".crt") != 0) {
            continue;
        }
        names[count] = count < PKI_ISSUED_MAX - 1 ? strndup(e->d_name, len - 4) : NULL;
        if (!names[count]) {
            code = pofr_err_set(err, POFR_ETOOBIG, "%s holds more than %u names", path, PKI_ISSUED_MAX - 1);
            break;
        }
        count++;
    }
    if (d) {
        closedir(d);
    }
    if (code) {
        pki_issued_free(names, count);
        return code;
    }
    qsort(names, count, sizeof(*names), by_name);
    *out_names = names;
    *out_count = count;
    return 0;
}

/* --- show ------------------------------------------------------------------------------------------- */

struct show {
    const struct ctl *c;
    struct slice ca; /* empty: nothing to hold it against */
    int64_t now_us;
    uint32_t within; /* days */
    size_t shown;
    bool found; /* a finding */
};

static const char *state_of(struct show *s, const struct certificate *f, struct slice pem)
{
    struct pofr_err why;

    if (f->ends_us <= s->now_us) {
        return "ended";
    }
    if (f->begins_us > s->now_us) {
        return "not begun";
    }
    if (!slice_empty(s->ca) && certificate_verify(pem, s->ca, s->now_us, &why)) {
        return "other CA";
    }
    return f->ends_us < s->now_us + (int64_t)s->within * PKI_DAY_US ? "ends soon" : "good";
}

static const char *kind_of(const struct certificate *f)
{
    return f->ca ? "ca" : f->server ? "server" : f->client ? "client" : "other";
}

static void print_json(const struct show *s, const char *name, const struct certificate *f, const char *state)
{
    const struct {
        const char *key;
        const char *value;
    } texts[] = { { "name", name },        { "kind", kind_of(f) }, { "state", state },     { "subject", f->subject },
                  { "issuer", f->issuer }, { "names", f->names },  { "serial", f->serial } };
    struct buf b = BUF_INIT(65536);
    char begins[CLOCK_TEXT_SIZE];
    char ends[CLOCK_TEXT_SIZE];

    for (size_t i = 0; i < pofr_countof(texts); i++) {
        buf_printf(&b, "%s\"%s\": ", i ? ", " : s->shown ? ",\n {" : "\n {", texts[i].key);
        table_json_string(slice_str(texts[i].value), &b);
    }
    clock_format(f->begins_us, begins);
    clock_format(f->ends_us, ends);
    buf_printf(&b, ", \"begins\": \"%.19sZ\", \"ends\": \"%.19sZ\", \"days\": %lld}", begins, ends,
               (long long)((f->ends_us - s->now_us) / PKI_DAY_US));
    (void)!fwrite(b.data, 1, b.len, stdout);
    buf_free(&b);
}

static int show_file(struct show *s, const char *name, const char *path, struct pofr_err *err)
{
    struct buf text = BUF_INIT(CERTIFICATE_FILE_MAX);
    struct certificate f = { 0 };
    char ends[CLOCK_TEXT_SIZE];
    const char *state;
    int code = fsio_read(path, &text, err);

    if (!code) {
        code = certificate_parse(buf_slice(&text), &f, err);
        code = code ? pofr_err_prefix(err, "%s", path) : 0;
    }
    if (!code) {
        state = state_of(s, &f, buf_slice(&text));
        s->found = s->found || strcmp(state, "good") != 0;
        if (s->c->json) {
            print_json(s, name, &f, state);
        } else {
            clock_format(f.ends_us, ends);
            printf("%-24s %-7s %-10s %.10s %6lld  %s\n", name, kind_of(&f), state, ends,
                   (long long)((f.ends_us - s->now_us) / PKI_DAY_US), f.names[0] ? f.names : f.subject);
        }
        s->shown++;
    }
    if (text.data) {
        explicit_bzero(text.data, text.cap); /* the private key may be in it */
    }
    buf_free(&text);
    return code;
}

static int show_dir(struct show *s, const char *dir, struct pofr_err *err)
{
    char **names = NULL;
    size_t count = 0;
    char path[PATH_MAX];
    int code = pki_path(dir, "ca.crt", path, err);

    code = code ? code : show_file(s, "ca", path, err);
    code = code ? code : pki_issued(dir, &names, &count, err);
    for (size_t i = 0; i < count && !code; i++) {
        char rest[NAME_MAX + 16];

        snprintf(rest, sizeof(rest), "issued/%s.crt", names[i]);
        code = pki_path(dir, rest, path, err);
        code = code ? code : show_file(s, names[i], path, err);
    }
    pki_issued_free(names, count);
    return code;
}

int pki_show(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "dir=", "within=", NULL };
    const char *v[3];
    char *args[64];
    size_t args_count;
    struct show s = { .c = c, .now_us = clock_wall_us(), .within = WITHIN_DAYS };
    struct buf ca = BUF_INIT(CERTIFICATE_FILE_MAX);
    struct pofr_err err = { 0 };
    struct pofr_err no_ca = { 0 };
    char path[PATH_MAX];
    const char *dir;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, pofr_countof(args), &args_count)) {
        return POFR_EXIT_USAGE;
    }
    if (!pki_days(v[1], &s.within)) {
        return ctl_usage(c, "pki show: --within is 1 to %u days", PKI_DAYS_MAX);
    }
    dir = v[0] ? v[0] : c->conf->pki_dir;
    code = pki_path(dir, "ca.crt", path, &err);
    if (!code && fsio_read(path, &ca, &no_ca) == 0) { /* files can be shown without */
        s.ca = buf_slice(&ca);
    }
    if (!code) {
        fputs(c->json ? "[" : "name                     kind    state      ends         days  good for\n", stdout);
        code = args_count ? 0 : show_dir(&s, dir, &err);
    }
    for (size_t i = 0; i < args_count && !code; i++) {
        code = show_file(&s, args[i], args[i], &err);
    }
    if (c->json) {
        fputs(s.shown ? "\n]\n" : "]\n", stdout);
    }
    buf_free(&ca);
    if (code == POFR_ENOTFOUND && args_count == 0) {
        (void)pofr_err_set(&err, code, PKI_NO_CA, dir);
    }
    return code ? ctl_fail(&err) : s.found ? POFR_EXIT_NO : POFR_EXIT_DONE;
}
