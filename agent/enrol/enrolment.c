/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/enrol/enrolment.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/identity.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/fsio.h"
#include "common/os/stop_point.h"

#define LOCK_FILE "enrol.lock"

static int path_of(const char *state_dir, const char *name, char out[PATH_MAX], struct pofr_err *err)
{
    return snprintf(out, PATH_MAX, "%s/%s", state_dir, name) < PATH_MAX
               ? 0
               : pofr_err_set(err, POFR_ETOOBIG, "%s: path too long", state_dir);
}

void enrolment_set_name(struct enrolment *e, struct slice name)
{
    size_t len = name.len < sizeof(e->name) ? name.len : sizeof(e->name) - 1;

    for (size_t i = 0; i < len; i++) {
        uint8_t c = name.data[i];

        e->name[i] = c > ' ' && c < 0x7f && c != '"' && c != '\\' ? (char)c : '_';
    }
    e->name[len] = '\0';
}

int enrolment_read(const char *state_dir, struct enrolment *out, struct pofr_err *err)
{
    struct buf text = BUF_INIT(4096);
    struct enrolment e = { 0 };
    char path[PATH_MAX];
    int rc = identity_read_uuid(state_dir, &e.host, err);

    if (rc == 0) {
        rc = path_of(state_dir, ENROLMENT_NAME_FILE, path, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (fsio_read(path, &text, NULL) == 0) { /* only for people: without it nothing fails */
        enrolment_set_name(&e, slice_trim(buf_slice(&text)));
    }
    buf_free(&text);
    *out = e;
    return 0;
}

int enrolment_folder(const char *state_dir, uid_t owner, gid_t group, struct pofr_err *err)
{
    struct stat st;
    int rc;

    if (stat(state_dir, &st) == 0) {
        return S_ISDIR(st.st_mode) ? 0 : pofr_err_set(err, POFR_ECONFIG, "%s is no folder", state_dir);
    }
    rc = fsio_mkdirs(state_dir, 0755, err);
    if (rc == 0 && chmod(state_dir, 0755) != 0) { /* the umask was in the way; the shipper must get through */
        rc = pofr_err_sys(err, POFR_EPERMISSION, "%s", state_dir);
    }
    if (rc == 0 && owner != (uid_t)-1 && chown(state_dir, owner, group) != 0) {
        rc = pofr_err_sys(err, POFR_EPERMISSION, "%s: owner", state_dir);
    }
    return rc;
}

/* A crash may have come between writing the key and giving it to its owner. */
static int give_key(const char *state_dir, uid_t owner, gid_t group, struct pofr_err *err)
{
    char path[PATH_MAX];
    int rc = path_of(state_dir, IDENTITY_KEY, path, err);

    if (rc == 0 && owner != (uid_t)-1 && lchown(path, owner, group) != 0) {
        rc = pofr_err_sys(err, POFR_EPERMISSION, "%s: owner", path);
    }
    return rc;
}

int enrolment_lock(const char *state_dir, int *out_fd, struct pofr_err *err)
{
    char path[PATH_MAX];
    int rc = path_of(state_dir, LOCK_FILE, path, err);

    return rc != 0 ? rc : fsio_lock(path, out_fd, err);
}

int enrolment_key(const char *state_dir, uid_t owner, gid_t group, struct sshkey **out_key, bool *out_made,
                  struct pofr_err *err)
{
    struct sshkey *key = NULL;
    int rc = identity_read_key(state_dir, IDENTITY_KEY, &key, err);

    *out_made = rc == POFR_ENOTFOUND;
    if (rc == 0) {
        rc = give_key(state_dir, owner, group, err);
    } else if (rc == POFR_ENOTFOUND) {
        rc = sshkey_generate(&key);
        if (rc != 0) {
            return pofr_err_set(err, rc, "no key could be made: %s", pofr_err_text(rc));
        }
        rc = identity_write_key(state_dir, IDENTITY_KEY, key, owner, group, err);
    }
    if (rc != 0) {
        sshkey_free(key);
        return rc;
    }
    STOP_POINT("enrol_key_written");
    *out_key = key;
    return 0;
}

int enrolment_write(const char *state_dir, const struct enrolment *e, const struct gateways *g, const struct pins *pins,
                    struct pofr_err *err)
{
    char path[PATH_MAX], line[ENROLMENT_NAME_SIZE + 2];
    int rc = path_of(state_dir, ENROLMENT_NAME_FILE, path, err);

    snprintf(line, sizeof(line), "%s\n", e->name);
    if (rc == 0) {
        rc = fsio_replace(path, slice_str(line), 0644, err);
    }
    if (rc == 0) {
        rc = gateways_store(state_dir, g, err);
    }
    if (rc == 0) {
        rc = pins_store(state_dir, pins, err);
    }
    STOP_POINT("enrol_before_uuid");
    if (rc == 0) {
        rc = identity_write_uuid(state_dir, &e->host, err);
    }
    return rc;
}
