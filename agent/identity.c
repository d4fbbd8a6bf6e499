/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/identity.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/os/fsio.h"

#define FILE_MAX 65536u

static int path_of(const char *state_dir, const char *name, char out[PATH_MAX], struct pofr_err *err)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", state_dir, name);

    if (n < 0 || n >= PATH_MAX) {
        return pofr_err_set(err, POFR_ETOOBIG, "%s/%s: path too long", state_dir, name);
    }
    return 0;
}

static int read_line(const char *state_dir, const char *name, struct buf *out, struct slice *out_line,
                     struct pofr_err *err)
{
    char path[PATH_MAX];
    int rc = path_of(state_dir, name, path, err);

    if (rc == 0) {
        rc = fsio_read(path, out, err);
    }
    if (rc == 0) {
        *out_line = slice_trim(buf_slice(out));
    }
    return rc;
}

int identity_read_uuid(const char *state_dir, struct uuid *out_host, struct pofr_err *err)
{
    struct buf b = BUF_INIT(256);
    struct slice line;
    int rc = read_line(state_dir, IDENTITY_UUID, &b, &line, err);

    if (rc == 0 && uuid_parse(line, out_host) != 0) {
        rc = pofr_err_set(err, POFR_EFORMAT, "%s/%s: not a uuid", state_dir, IDENTITY_UUID);
    }
    buf_free(&b);
    return rc;
}

int identity_read_key(const char *state_dir, const char *name, struct sshkey **out_key, struct pofr_err *err)
{
    struct buf b = BUF_INIT(FILE_MAX);
    char path[PATH_MAX];
    int rc = path_of(state_dir, name, path, err);

    if (rc == 0) {
        rc = fsio_read_secret(path, &b, err);
    }
    if (rc == 0) {
        rc = sshkey_read_private(buf_slice(&b), out_key, err);
    }
    if (b.data != NULL) {
        explicit_bzero(b.data, b.len);
    }
    buf_free(&b);
    return rc;
}

int identity_write_uuid(const char *state_dir, const struct uuid *host, struct pofr_err *err)
{
    char path[PATH_MAX];
    char text[UUID_TEXT_SIZE + 1];
    int rc = path_of(state_dir, IDENTITY_UUID, path, err);

    if (rc != 0) {
        return rc;
    }
    uuid_format(host, text);
    text[UUID_TEXT_LEN] = '\n';
    return fsio_replace(path, slice_of(text, UUID_TEXT_LEN + 1), 0644, err);
}

int identity_write_key(const char *state_dir, const char *name, const struct sshkey *key, uid_t owner, gid_t group,
                       struct pofr_err *err)
{
    struct buf b = BUF_INIT(FILE_MAX);
    char path[PATH_MAX];
    int rc = path_of(state_dir, name, path, err);

    if (rc == 0) {
        rc = sshkey_write_private(key, "pofr", &b);
        if (rc != 0) {
            pofr_err_set(err, rc, "private key: %s", pofr_err_text(rc));
        }
    }
    if (rc == 0) {
        rc = fsio_replace(path, buf_slice(&b), 0600, err);
    }
    /* Between the two only root could read it: no harm, and a crash there is mended by the next enrolment. */
    if (rc == 0 && owner != (uid_t)-1 && chown(path, owner, group) != 0) {
        rc = pofr_err_sys(err, POFR_EPERMISSION, "%s: owner", path);
    }
    if (b.data != NULL) {
        explicit_bzero(b.data, b.len);
    }
    buf_free(&b);
    return rc;
}

int identity_enter_key(const char *state_dir, struct pofr_err *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    int rc = path_of(state_dir, IDENTITY_KEY_NEXT, from, err);

    if (rc == 0) {
        rc = path_of(state_dir, IDENTITY_KEY, to, err);
    }
    if (rc == 0 && rename(from, to) != 0) {
        rc = pofr_err_sys(err, POFR_ESYSTEM, "%s: rename", from);
    }
    return rc != 0 ? rc : fsio_sync_dir(state_dir, err);
}
