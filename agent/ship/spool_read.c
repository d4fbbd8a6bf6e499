/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SEGMENTS  The list of first sequences, ascending, as the folder showed it when `known` was committed. What was
 *           committed by then has its place for good, so the list is read again only for what is newer, or
 *           when something listed is not there. The place of a sequence is the last segment that begins at
 *           or before it, even where an older one seems to hold it, too: that one's sync failed.
 *
 * POSITION  One segment is open, and `at` is where the entry `expected` begins, so that reading on costs one
 *           read of the header and one of the block. Going back means going through the segment from its start.
 */
#include "agent/ship/spool_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/format.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/fsio.h"
#include "common/record/limits.h"

#define SEGMENTS_MAX 65536u
#define BLOCK_KEPT   (1024u * 1024u)

struct spool_read {
    char *dir;
    int dir_fd; /* -1: not yet */
    uint64_t *segments;
    size_t len, room;
    uint64_t known; /* what was committed when the list was read */
    int fd;         /* of the open segment, or -1 */
    uint64_t open_first;
    uint64_t at;       /* offset of the next entry */
    uint64_t expected; /* its sequence, at least; there are no holes inside a segment */
    struct buf block;
};

int spool_read_open(const char *spool_dir, struct spool_read **out, struct pofr_err *err)
{
    struct spool_read *r = calloc(1, sizeof(*r));

    if (r) {
        r->dir = strdup(spool_dir);
    }
    if (!r || !r->dir) {
        free(r);
        return pofr_err_set(err, POFR_ENOMEM, "no memory for the spool");
    }
    r->fd = -1;
    r->dir_fd = -1;
    buf_init(&r->block, BUNDLE_MAX);
    *out = r;
    return 0;
}

void spool_read_close(struct spool_read *r)
{
    if (r) {
        fsio_close(&r->fd);
        fsio_close(&r->dir_fd);
        buf_free(&r->block);
        free(r->segments);
        free(r->dir);
        free(r);
    }
}

/* --- the list of segments ------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int add_segment(struct spool_read *r, uint64_t first)
{
    if (r->len == SEGMENTS_MAX) {
        return POFR_ETOOBIG;
    }
    if (r->len == r->room) {
        size_t room = r->room ? r->room * 2 : 64;
        uint64_t *more = realloc(r->segments, room * sizeof(more[0]));

        if (!more) {
            return POFR_ENOMEM;
        }
        r->segments = more;
        r->room = room;
    }
    r->segments[r->len++] = first;
    return 0;
}

/* The collector may be the later one to start. */
static int open_dir(struct spool_read *r, struct pofr_err *err)
{
    if (r->dir_fd < 0) {
        r->dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (r->dir_fd < 0) { /* no folder is not the same as no bundle */
        int rc = fsio_code(errno);

        return pofr_err_sys(err, rc == POFR_ENOTFOUND ? POFR_ESYSTEM : rc, "%s", r->dir);
    }
    return 0;
}

static int list_segments(struct spool_read *r, uint64_t committed, struct pofr_err *err)
{
    /* A new file description: where readdir() stands is part of it. */
    int fd = openat(r->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    int rc = 0;

    if (!dir) {
        rc = pofr_err_sys(err, fsio_code(errno), "spool");
        fsio_close(&fd);
        return rc;
    }
    r->len = 0;
    errno = 0;
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        uint64_t first;

        if (spool_segment_name_parse(entry->d_name, &first)) {
            rc = add_segment(r, first);
        }
        errno = 0;
    }
    if (rc != 0) {
        rc = pofr_err_set(err, rc, "spool: %zu segments", r->len);
    } else if (errno != 0) {
        rc = pofr_err_sys(err, fsio_code(errno), "spool");
    }
    closedir(dir);
    if (rc == 0) {
        r->known = committed;
        if (r->len > 0) {
            qsort(r->segments, r->len, sizeof(r->segments[0]), compare);
        }
    }
    return rc;
}

/* Index of the segment where from lies, or of the first one behind it; r->len: none. */
static size_t place_of(const struct spool_read *r, uint64_t from)
{
    size_t i = r->len;

    while (i > 0 && r->segments[i - 1] > from) {
        i--;
    }
    return i > 0 ? i - 1 : 0;
}

/* --- inside a segment ----------------------------------------------------------------------------- */

static int open_segment(struct spool_read *r, uint64_t first, struct pofr_err *err)
{
    char name[SPOOL_NAME_SIZE];

    if (r->fd >= 0 && r->open_first == first) {
        return 0;
    }
    fsio_close(&r->fd);
    r->fd = openat(r->dir_fd, spool_segment_name(first, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (r->fd < 0) {
        return pofr_err_sys(err, fsio_code(errno), "%s", name);
    }
    r->open_first = first;
    r->at = 0;
    r->expected = first;
    return 0;
}

/* len bytes at offset; fewer: POFR_ETRUNCATED. */
static int read_at(struct spool_read *r, uint64_t offset, uint8_t *out, size_t len, struct pofr_err *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(r->fd, out + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return pofr_err_sys(err, fsio_code(errno), "segment %llu", (unsigned long long)r->open_first);
        }
        if (n == 0) {
            return POFR_ETRUNCATED;
        }
        done += (size_t)n;
    }
    return 0;
}

/* The block of the entry at r->at, whose header is given; steps behind it, whole or rotten. */
static int read_block(struct spool_read *r, const uint8_t *header, const struct spool_entry *e,
                      struct spool_bundle *out, struct pofr_err *err)
{
    uint8_t *room;
    int rc;

    if (r->block.cap > BLOCK_KEPT) {
        buf_free(&r->block);
    }
    buf_reset(&r->block);
    room = buf_reserve(&r->block, e->length);
    if (!room) {
        return pofr_err_set(err, r->block.err, "bundle %llu of %u bytes", (unsigned long long)r->expected, e->length);
    }
    rc = read_at(r, r->at + SPOOL_ENTRY_HEADER, room, e->length, err);
    if (rc != 0 && rc != POFR_ETRUNCATED) {
        return rc;
    }
    if (rc == 0) {
        buf_advance(&r->block, e->length);
        rc = spool_entry_check(slice_of(header, SPOOL_ENTRY_HEADER), buf_slice(&r->block));
    }
    out->sequence = r->expected;
    memcpy(out->digest, e->digest, sizeof(out->digest));
    out->block = buf_slice(&r->block);
    if (rc != 0 || e->sequence != r->expected) {
        out->block = SLICE_EMPTY;
        rc = pofr_err_set(err, POFR_EFORMAT, "bundle %llu in segment %llu is rotten", (unsigned long long)r->expected,
                          (unsigned long long)r->open_first);
    }
    r->at += SPOOL_ENTRY_HEADER + e->length;
    r->expected++;
    return rc;
}

/*
 * The first one in the open segment with from <= sequence <= last. POFR_ENOTFOUND: none, or the segment
 * can't be followed that far.
 */
static int search_segment(struct spool_read *r, uint64_t from, uint64_t last, struct spool_bundle *out,
                          struct pofr_err *err)
{
    if (r->expected > from) {
        r->at = 0;
        r->expected = r->open_first;
    }
    while (r->expected <= last) {
        uint8_t header[SPOOL_ENTRY_HEADER];
        struct spool_entry e;
        int rc = read_at(r, r->at, header, sizeof(header), err);

        if (rc == 0) {
            rc = spool_entry_header(slice_of(header, sizeof(header)), &e);
        }
        if (rc == POFR_ETRUNCATED || rc == POFR_EFORMAT) {
            return POFR_ENOTFOUND;
        }
        if (rc != 0) {
            return rc;
        }
        if (r->expected >= from) {
            return read_block(r, header, &e, out, err);
        }
        r->at += SPOOL_ENTRY_HEADER + e.length;
        r->expected++;
    }
    return POFR_ENOTFOUND;
}

static int search_all(struct spool_read *r, uint64_t from, uint64_t last, struct spool_bundle *out,
                      struct pofr_err *err)
{
    for (size_t i = place_of(r, from); i < r->len && r->segments[i] <= last; i++) {
        uint64_t end = i + 1 < r->len && r->segments[i + 1] - 1 < last ? r->segments[i + 1] - 1 : last;
        uint64_t begin = r->segments[i] > from ? r->segments[i] : from;
        int rc;

        if (begin > end) {
            continue;
        }
        rc = open_segment(r, r->segments[i], err);
        if (rc == 0) {
            rc = search_segment(r, begin, end, out, err);
        }
        if (rc != POFR_ENOTFOUND) { /* a segment that has vanished was acked: on to the next */
            return rc;
        }
    }
    return POFR_ENOTFOUND;
}

int spool_read_next(struct spool_read *r, uint64_t from, uint64_t last, struct spool_bundle *out_bundle,
                    struct pofr_err *err)
{
    int rc = POFR_ENOTFOUND;
    bool fresh = false;

    if (last > r->known || r->dir_fd < 0) {
        rc = open_dir(r, err);
        if (rc == 0) {
            rc = list_segments(r, last, err);
        }
        if (rc != 0) {
            return rc;
        }
        fresh = true;
    }
    rc = search_all(r, from, last, out_bundle, err);
    if (rc == POFR_ENOTFOUND && !fresh) {
        rc = list_segments(r, r->known, err);
        if (rc == 0) {
            rc = search_all(r, from, last, out_bundle, err);
        }
    }
    return rc == POFR_ENOTFOUND ? pofr_err_set(err, rc, "nothing in the spool from %llu to %llu",
                                               (unsigned long long)from, (unsigned long long)last)
                                : rc;
}
