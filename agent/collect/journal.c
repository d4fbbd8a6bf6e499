/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/os/fsio.h"

#define JOURNAL_MAX (64u << 20)

int journal_open(struct journal *j, const char *dir, struct pofr_err *err)
{
    char path[PATH_MAX];

    *j = (struct journal){ .fd = -1 };
    buf_init(&j->chunk, JOURNAL_MAX);
    if (snprintf(path, sizeof(path), "%s/%s", dir, SPOOL_JOURNAL) >= (int)sizeof(path)) {
        return pofr_err_set(err, POFR_ETOOBIG, "%s: path too long", dir);
    }
    j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (j->fd < 0) {
        return pofr_err_sys(err, fsio_code(errno), "%s", path);
    }
    /* Best effort: where there is no room now, ticks are written while there is some. */
    (void)fallocate(j->fd, 0, 0, SPOOL_JOURNAL_ROOM);
    return 0;
}

void journal_close(struct journal *j)
{
    fsio_close(&j->fd);
    buf_free(&j->chunk);
}

int journal_read(struct journal *j, struct buf *out, struct pofr_err *err)
{
    struct stat st;
    uint8_t *to;
    size_t size, got = 0;

    if (fstat(j->fd, &st) != 0) {
        return pofr_err_sys(err, POFR_ESYSTEM, "journal");
    }
    size = (size_t)st.st_size < JOURNAL_MAX ? (size_t)st.st_size : JOURNAL_MAX;
    to = size > 0 ? buf_reserve(out, size) : NULL;
    if (size > 0 && to == NULL) {
        return pofr_err_set(err, out->err, "journal: %s", pofr_err_text(out->err));
    }
    while (got < size) {
        ssize_t n = pread(j->fd, to + got, size - got, (off_t)got);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return pofr_err_sys(err, POFR_ESYSTEM, "journal: read");
        }
        if (n == 0) {
            break;
        }
        got += (size_t)n;
    }
    buf_advance(out, got);
    return 0;
}

static int put(struct journal *j, uint32_t type, struct slice body, struct pofr_err *err)
{
    int rc;

    buf_reset(&j->chunk);
    spool_chunk_put(type, j->mark, body, &j->chunk);
    if (j->chunk.err != 0) {
        rc = pofr_err_set(err, j->chunk.err, "journal: %s", pofr_err_text(j->chunk.err));
    } else {
        rc = fsio_pwrite(j->fd, buf_slice(&j->chunk), (off_t)j->at, err);
    }
    if (rc != 0) {
        j->broken = true;
        return rc;
    }
    j->at += j->chunk.len;
    return 0;
}

int journal_begin(struct journal *j, const struct spool_begin *begin, struct pofr_err *err)
{
    struct buf body = BUF_INIT(65536);
    int rc;

    if (j->at > SPOOL_JOURNAL_ROOM && ftruncate(j->fd, SPOOL_JOURNAL_ROOM) != 0) {
        /* a large one keeps its room: it is used again */
    }
    j->at = 0;
    j->broken = true;
    rc = fsio_random(j->mark, sizeof(j->mark), err);
    if (rc == 0) {
        spool_begin_put(begin, &body);
        rc = put(j, SPOOL_CHUNK_BEGIN, buf_slice(&body), err);
        j->broken = rc != 0;
    }
    buf_free(&body);
    return rc;
}

int journal_tick(struct journal *j, struct slice records, struct pofr_err *err)
{
    if (j->broken || j->at == 0) {
        return pofr_err_set(err, POFR_ECLOSED, "journal: an earlier write failed");
    }
    return put(j, SPOOL_CHUNK_TICK, records, err);
}

int journal_clear(struct journal *j, struct pofr_err *err)
{
    static const uint8_t zeros[SPOOL_CHUNK_HEADER];
    int rc = fsio_pwrite(j->fd, slice_of(zeros, sizeof(zeros)), 0, err);

    j->at = 0;
    if (rc == 0 && fdatasync(j->fd) != 0) {
        rc = pofr_err_sys(err, fsio_code(errno), "journal: sync");
    }
    return rc;
}
