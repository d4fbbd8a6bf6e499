/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/os/fsio.h"

static int make_room(int fd, const char *path, struct pofr_err *err)
{
    static const uint8_t zeros[SPOOL_HEAD_SIZE];
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return pofr_err_sys(err, POFR_ESYSTEM, "%s", path);
    }
    if (st.st_size >= (off_t)SPOOL_HEAD_SIZE) {
        return 0;
    }
    /* bytes, not a hole: what is written over later must not need room */
    return fsio_pwrite(fd, slice_of(zeros + st.st_size, SPOOL_HEAD_SIZE - (size_t)st.st_size), st.st_size, err);
}

int chain_open(struct chain *c, const char *dir, struct pofr_err *err)
{
    struct buf b = BUF_INIT(SPOOL_HEAD_SIZE);
    char path[PATH_MAX];
    uint8_t *to;
    ssize_t n;
    int rc;

    *c = (struct chain){ .fd = -1 };
    if (snprintf(path, sizeof(path), "%s/%s", dir, SPOOL_HEAD) >= (int)sizeof(path)) {
        return pofr_err_set(err, POFR_ETOOBIG, "%s: path too long", dir);
    }
    c->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (c->fd < 0) {
        return pofr_err_sys(err, fsio_code(errno), "%s", path);
    }
    rc = make_room(c->fd, path, err);
    if (rc == 0 && fsync(c->fd) != 0) {
        rc = pofr_err_sys(err, POFR_ESYSTEM, "%s: sync", path);
    }
    if (rc == 0) {
        rc = fsio_sync_dir(dir, err);
    }
    to = rc == 0 ? buf_reserve(&b, SPOOL_HEAD_SIZE) : NULL;
    if (to != NULL) {
        n = pread(c->fd, to, SPOOL_HEAD_SIZE, 0);
        if (n < 0) {
            rc = pofr_err_sys(err, POFR_ESYSTEM, "%s: read", path);
        } else {
            buf_advance(&b, (size_t)n);
            c->found = spool_head_pick(buf_slice(&b), &c->head, &c->slot) == 0;
        }
    }
    if (rc == 0 && b.err != 0) {
        rc = pofr_err_set(err, b.err, "%s", path);
    }
    buf_free(&b);
    if (rc != 0) {
        chain_close(c);
    }
    return rc;
}

void chain_close(struct chain *c)
{
    fsio_close(&c->fd);
}

int chain_commit(struct chain *c, const struct spool_head *next, struct pofr_err *err)
{
    struct spool_head head = *next;
    uint8_t slot[SPOOL_SLOT_SIZE];
    unsigned to = c->found ? 1 - c->slot : 0;
    int rc;

    head.generation = c->head.generation + 1;
    rc = spool_head_put(&head, slot);
    if (rc != 0) {
        return pofr_err_set(err, rc, "head: %s", pofr_err_text(rc));
    }
    rc = fsio_pwrite(c->fd, slice_of(slot, sizeof(slot)), (off_t)to * SPOOL_SLOT_SIZE, err);
    if (rc == 0 && fdatasync(c->fd) != 0) {
        rc = pofr_err_sys(err, fsio_code(errno), "head: sync");
    }
    if (rc != 0) {
        return rc;
    }
    c->head = head;
    c->slot = to;
    c->found = true;
    return 0;
}
