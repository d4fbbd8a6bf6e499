/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/fsio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/err.h"

#define SECRET_MAX 65536U

int fsio_code(int sys)
{
    switch (sys) {
    case 0:
        return 0;
    case ENOENT:
        return POFR_ENOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return POFR_EPERMISSION;
    case ENOSPC:
    case EDQUOT:
        return POFR_ENOSPACE;
    case EEXIST:
        return POFR_EEXISTS;
    case ENOMEM:
        return POFR_ENOMEM;
    default:
        return POFR_ESYSTEM;
    }
}

static int failed(struct pofr_err *err, const char *what, const char *path)
{
    return pofr_err_sys(err, fsio_code(errno), "%s %s", what, path);
}

void fsio_close(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;

        (void)close(*fd); /* what had to be durable was synced before */
        *fd = -1;
        errno = saved;
    }
}

static int open_for(const char *path, int flags, mode_t mode, struct pofr_err *err, int *out_fd)
{
    int fd;

    do {
        fd = open(path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return failed(err, "open", path);
    }
    *out_fd = fd;
    return 0;
}

/* One read; at the buffer's maximum it only looks whether there is more. */
static int read_some(int fd, const char *name, struct buf *out, struct pofr_err *err, bool *at_end)
{
    size_t left = out->max - out->len;
    size_t room = out->cap - out->len > 4096 ? out->cap - out->len : 4096;
    size_t want = left < room ? left : room; /* a buffer has room for a NUL beyond its maximum */
    uint8_t extra;
    uint8_t *to = want > 0 ? buf_reserve(out, want) : &extra;
    ssize_t n;

    if (!to) {
        return pofr_err_set(err, out->err, "read %s: %s", name, pofr_err_text(out->err));
    }
    do {
        n = read(fd, to, want > 0 ? want : 1);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return failed(err, "read", name);
    }
    *at_end = n == 0;
    if (n > 0 && want == 0) {
        return pofr_err_set(err, POFR_ETOOBIG, "read %s: more than %zu bytes", name, out->max);
    }
    buf_advance(out, (size_t)n);
    return 0;
}

int fsio_read_fd(int fd, const char *name, struct buf *out, struct pofr_err *err)
{
    size_t before = out->len;
    bool at_end = false;
    int rc = out->err != 0 ? pofr_err_set(err, out->err, "read %s: %s", name, pofr_err_text(out->err)) : 0;

    while (rc == 0 && !at_end) {
        rc = read_some(fd, name, out, err, &at_end);
    }
    if (rc != 0) {
        out->len = before;
    }
    return rc;
}

int fsio_read(const char *path, struct buf *out, struct pofr_err *err)
{
    int fd = -1;
    int rc = open_for(path, O_RDONLY | O_NOCTTY, 0, err, &fd);

    if (rc == 0) {
        rc = fsio_read_fd(fd, path, out, err);
    }
    fsio_close(&fd);
    return rc;
}

int fsio_secret_path(const char *path, char *out, size_t out_size, struct pofr_err *err)
{
    struct slice given = slice_str(path);
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    int n;

    if (!slice_starts_with(given, slice_str("credential:"))) {
        n = snprintf(out, out_size, "%s", path);
    } else {
        const char *name = path + sizeof("credential:") - 1;

        if (!dir || *name == '\0' || *name == '.' || strchr(name, '/')) {
            return pofr_err_set(err, POFR_ENOTFOUND, "%s: no such credential from the service manager", path);
        }
        n = snprintf(out, out_size, "%s/%s", dir, name);
    }
    if (n < 0 || (size_t)n >= out_size) {
        return pofr_err_set(err, POFR_ETOOBIG, "the path of a secret is too long");
    }
    return 0;
}

int fsio_read_secret(const char *path, struct buf *out, struct pofr_err *err)
{
    char real[PATH_MAX];
    struct stat st;
    size_t before = out->len;
    int fd = -1;
    int rc = fsio_secret_path(path, real, sizeof(real), err);

    if (rc == 0) {
        rc = open_for(real, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0, err, &fd);
    }
    if (rc == 0 && fstat(fd, &st) != 0) {
        rc = failed(err, "stat", real);
    }
    if (rc == 0 && !S_ISREG(st.st_mode)) {
        rc = pofr_err_set(err, POFR_EPERMISSION, "%s: a secret must be a regular file", real);
    }
    if (rc == 0 && (st.st_mode & 0007) != 0) {
        rc = pofr_err_set(err, POFR_EPERMISSION, "%s: mode %04o lets everyone at the secret; chmod o= it", real,
                          (unsigned)(st.st_mode & 07777));
    }
    if (rc == 0 && st.st_size > (off_t)SECRET_MAX) {
        rc = pofr_err_set(err, POFR_ETOOBIG, "%s: more than %u bytes", real, SECRET_MAX);
    }
    if (rc == 0) {
        rc = fsio_read_fd(fd, real, out, err);
    }
    if (rc == 0 && out->len > before && out->data[out->len - 1] == '\n') {
        out->len--;
    }
    fsio_close(&fd);
    return rc;
}

int fsio_write(int fd, struct slice data, struct pofr_err *err)
{
    while (data.len > 0) {
        ssize_t n = write(fd, data.data, data.len);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return pofr_err_sys(err, fsio_code(errno), "write");
        }
        data = slice_sub(data, (size_t)n, SIZE_MAX);
    }
    return 0;
}

int fsio_pwrite(int fd, struct slice data, off_t at, struct pofr_err *err)
{
    while (data.len > 0) {
        ssize_t n = pwrite(fd, data.data, data.len, at);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return pofr_err_sys(err, fsio_code(errno), "write at %lld", (long long)at);
        }
        at += n;
        data = slice_sub(data, (size_t)n, SIZE_MAX);
    }
    return 0;
}

int fsio_sync_dir(const char *dir, struct pofr_err *err)
{
    int fd = -1;
    int rc = open_for(dir, O_RDONLY | O_DIRECTORY, 0, err, &fd);

    if (rc == 0 && fsync(fd) != 0) {
        rc = failed(err, "sync folder", dir);
    }
    fsio_close(&fd);
    return rc;
}

int fsio_sync_parent(const char *path, struct pofr_err *err)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    if (len >= sizeof(dir)) {
        return pofr_err_set(err, POFR_ETOOBIG, "path too long");
    }
    if (!slash) {
        return fsio_sync_dir(".", err);
    }
    memcpy(dir, path, len);
    dir[len] = '\0';
    return fsio_sync_dir(len > 0 ? dir : "/", err);
}

/* Everything up to the rename; on success the new file is whole and durable under its temporary name. */
static int write_beside(const char *tmp, struct slice data, mode_t mode, struct pofr_err *err)
{
    int fd = -1;
    int rc = open_for(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode, err, &fd);

    if (rc == 0 && fchmod(fd, mode) != 0) { /* not what the umask made of it, nor what an older tmp had */
        rc = failed(err, "chmod", tmp);
    }
    if (rc == 0) {
        rc = fsio_write(fd, data, err);
        if (rc != 0) {
            (void)pofr_err_prefix(err, "%s", tmp); /* rc is the same code */
        }
    }
    if (rc == 0 && fsync(fd) != 0) {
        rc = failed(err, "sync", tmp);
    }
    fsio_close(&fd);
    return rc;
}

int fsio_replace(const char *path, struct slice data, mode_t mode, struct pofr_err *err)
{
    char tmp[PATH_MAX];
    int n = snprintf(tmp, sizeof(tmp), "%s.tmp", path);
    int rc;

    if (n < 0 || (size_t)n >= sizeof(tmp)) {
        return pofr_err_set(err, POFR_ETOOBIG, "path too long");
    }
    rc = write_beside(tmp, data, mode, err);
    if (rc == 0 && rename(tmp, path) != 0) {
        rc = failed(err, "rename to", path);
    }
    if (rc != 0) {
        (void)unlink(tmp); /* a left-over is overwritten next time */
        return rc;
    }
    return fsio_sync_parent(path, err);
}

static int make_dir(const char *dir, mode_t mode, struct pofr_err *err)
{
    struct stat st;

    if (mkdir(dir, mode) == 0) {
        return fsio_sync_parent(dir, err);
    }
    /* EACCES or EROFS on a folder that exists is no reason to stop */
    if (stat(dir, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            return 0;
        }
        return pofr_err_set(err, POFR_EEXISTS, "%s is no folder", dir);
    }
    return pofr_err_sys(err, fsio_code(errno), "make folder %s", dir);
}

int fsio_mkdirs(const char *dir, mode_t mode, struct pofr_err *err)
{
    char part[PATH_MAX];
    size_t len = strlen(dir);

    if (len >= sizeof(part) || len == 0) {
        return pofr_err_set(err, POFR_ETOOBIG, "the path of a folder is empty or too long");
    }
    memcpy(part, dir, len + 1);
    while (len > 1 && part[len - 1] == '/') {
        part[--len] = '\0';
    }
    for (size_t i = 1; i < len; i++) {
        if (part[i] == '/' && part[i - 1] != '/') {
            int rc;

            part[i] = '\0';
            rc = make_dir(part, mode, err);
            if (rc != 0) {
                return rc;
            }
            part[i] = '/';
        }
    }
    return make_dir(part, mode, err);
}

/* Says who holds it, as far as the file tells. */
static int is_held(int fd, const char *path, struct pofr_err *err)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
    size_t len = 0;

    while (n > 0 && len < (size_t)n && pid[len] >= '0' && pid[len] <= '9') {
        len++;
    }
    pid[len] = '\0';
    return pofr_err_set(err, POFR_EBUSY, "%s is locked by process %s", path, len > 0 ? pid : "unknown");
}

int fsio_lock(const char *path, int *out_fd, struct pofr_err *err)
{
    char pid[24];
    int fd = -1;
    int rc = open_for(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0640, err, &fd);

    if (rc != 0) {
        return rc;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        rc = errno == EWOULDBLOCK ? is_held(fd, path, err) : failed(err, "lock", path);
        fsio_close(&fd);
        return rc;
    }
    (void)snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    /* The pid is for people; the lock holds without it (on a full disk, say). */
    if (ftruncate(fd, 0) == 0) {
        POFR_IGNORE(fsio_pwrite(fd, slice_str(pid), 0, NULL));
    }
    *out_fd = fd;
    return 0;
}

int fsio_random(void *out, size_t len, struct pofr_err *err)
{
    uint8_t *to = out;

    while (len > 0) {
        ssize_t n = getrandom(to, len, 0);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return pofr_err_sys(err, fsio_code(errno), "random bytes");
        }
        to += n;
        len -= (size_t)n;
    }
    return 0;
}
