/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/tls/tls_files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/os/fsio.h"

static int find(const char *file, bool secret, char out[PATH_MAX], struct pofr_err *err)
{
    struct stat st;
    int code = fsio_secret_path(file, out, PATH_MAX, err);

    if (code) {
        return code;
    }
    if (stat(out, &st) != 0 || access(out, R_OK) != 0) {
        return pofr_err_sys(err, fsio_code(errno), "%s", out);
    }
    if (secret && (st.st_mode & 0007) != 0) {
        return pofr_err_set(err, POFR_EPERMISSION, "%s: mode %04o lets everyone at the key; chmod o= it", out,
                            (unsigned)(st.st_mode & 07777));
    }
    return 0;
}

int tls_files_find(const struct tls_files *f, struct tls_paths *out, struct pofr_err *err)
{
    bool apart = f->on && f->key_file && f->key_file[0];
    bool shown = f->on && f->certificate_file && f->certificate_file[0];
    int code = 0;

    out->ca[0] = out->certificate[0] = out->key[0] = 0;
    if (f->on) {
        code = find(f->ca_file, false, out->ca, err);
    }
    if (!code && shown) {
        code = find(f->certificate_file, !apart, out->certificate, err);
    }
    if (!code && shown) {
        code = find(apart ? f->key_file : f->certificate_file, true, out->key, err);
    }
    return code;
}

/* False: it is not there. */
static bool mark_of(const char *path, struct tls_mark *out)
{
    struct stat st;

    memset(out, 0, sizeof(*out));
    if (!path[0]) {
        return true;
    }
    if (stat(path, &st) != 0) {
        return false;
    }
    out->device = st.st_dev;
    out->inode = st.st_ino;
    out->size = st.st_size;
    out->changed = st.st_mtim;
    return true;
}

static bool marks_of(const struct tls_files *f, struct tls_mark marks[3])
{
    struct tls_paths paths;

    memset(marks, 0, 3 * sizeof(*marks));
    return tls_files_find(f, &paths, NULL) == 0 && mark_of(paths.ca, &marks[0]) &&
           mark_of(paths.certificate, &marks[1]) && mark_of(paths.key, &marks[2]);
}

static bool same(const struct tls_mark *a, const struct tls_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

void tls_watch_init(struct tls_watch *w, const struct tls_files *f)
{
    (void)marks_of(f, w->marks); /* what is not there is new when it comes */
}

bool tls_watch_changed(struct tls_watch *w, const struct tls_files *f)
{
    struct tls_watch now;

    if (!f->on || !marks_of(f, now.marks) ||
        (same(&now.marks[0], &w->marks[0]) && same(&now.marks[1], &w->marks[1]) && same(&now.marks[2], &w->marks[2]))) {
        return false;
    }
    *w = now;
    return true;
}
