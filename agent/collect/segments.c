/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ORDER   entry, fdatasync; folder, fsync, where the file is new; then (the caller) the head. So the head never
 *         names what a power cut can take.
 * FAILED SYNC   the kernel may have dropped the dirty pages and say "clean" from then on: the file is not touched
 *         again. The same bundle goes to a new file that begins with it; by the rule of format.h readers look there.
 * COST    one fdatasync per bundle here, one in the head.
 */
#include "agent/collect/segments.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/os/fsio.h"
#include "common/os/stop_point.h"
#include "common/record/limits.h"

#define SEGMENTS_MAX 1000000u

static int path_of(const struct segments *s, uint64_t first, char out[PATH_MAX])
{
    char name[SPOOL_NAME_SIZE];
    int n = snprintf(out, PATH_MAX, "%s/%s", s->dir, spool_segment_name(first, name));

    return n < 0 || n >= PATH_MAX ? POFR_ETOOBIG : 0;
}

static int add(struct segments *s, struct segment seg)
{
    size_t at;

    if (s->len == s->cap) {
        size_t cap = s->cap == 0 ? 64 : s->cap * 2;
        struct segment *list = s->len < SEGMENTS_MAX ? reallocarray(s->list, cap, sizeof(*list)) : NULL;

        if (list == NULL) {
            return POFR_ENOMEM;
        }
        s->list = list;
        s->cap = cap;
    }
    for (at = s->len; at > 0 && s->list[at - 1].first > seg.first; at--) {
        s->list[at] = s->list[at - 1];
    }
    s->list[at] = seg;
    s->len++;
    s->bytes += seg.bytes;
    return 0;
}

static void forget(struct segments *s, size_t at)
{
    s->bytes -= s->list[at].bytes;
    if (s->read_fd >= 0 && s->read_first == s->list[at].first) {
        fsio_close(&s->read_fd);
    }
    memmove(&s->list[at], &s->list[at + 1], (s->len - at - 1) * sizeof(*s->list));
    s->len--;
}

static int unlink_at(struct segments *s, size_t at)
{
    char path[PATH_MAX];

    if (path_of(s, s->list[at].first, path) != 0 || (unlink(path) != 0 && errno != ENOENT)) {
        return POFR_ESYSTEM;
    }
    forget(s, at);
    return 0;
}

static int scan(struct segments *s, struct pofr_err *err)
{
    DIR *d = opendir(s->dir);
    struct dirent *e;
    int rc = 0;

    if (d == NULL) {
        return pofr_err_sys(err, fsio_code(errno), "%s", s->dir);
    }
    while (rc == 0 && (errno = 0, e = readdir(d)) != NULL) {
        struct segment seg = { 0 };
        struct stat st;

        if (spool_segment_name_parse(e->d_name, &seg.first) && fstatat(dirfd(d), e->d_name, &st, 0) == 0) {
            seg.bytes = (uint64_t)st.st_size;
            rc = add(s, seg);
        }
    }
    if (rc == 0 && errno != 0) {
        rc = pofr_err_sys(err, POFR_ESYSTEM, "%s", s->dir);
    }
    (void)closedir(d); /* only read */
    return rc;
}

int segments_open(struct segments *s, const char *dir, const struct segments_limits *limits,
                  const struct spool_head *head, struct pofr_err *err)
{
    int rc;

    *s = (struct segments){ .limits = *limits, .fd = -1, .read_fd = -1, .acked = head->acked };
    s->dir = strdup(dir);
    if (s->dir == NULL) {
        return pofr_err_set(err, POFR_ENOMEM, "segments");
    }
    rc = scan(s, err);
    for (size_t i = 0; rc == 0 && i < s->len; i++) {
        s->list[i].last = i + 1 < s->len ? s->list[i + 1].first - 1 : UINT64_MAX;
        if (s->list[i].last > head->sequence) {
            s->list[i].last = head->sequence; /* below first where nothing in it counts */
        }
    }
    if (rc != 0) {
        segments_close(s);
    }
    return rc;
}

void segments_close(struct segments *s)
{
    fsio_close(&s->fd);
    fsio_close(&s->read_fd);
    free(s->list);
    free(s->dir);
    *s = (struct segments){ .fd = -1, .read_fd = -1 };
}

void segments_trim(struct segments *s, const struct spool_head *head)
{
    char path[PATH_MAX];

    for (size_t i = s->len; i > 0; i--) {
        if (s->list[i - 1].first > head->segment) {
            (void)unlink_at(s, i - 1); /* what stays is in nobody's way: the next one of that name replaces it */
        }
    }
    if (s->len > 0 && s->list[s->len - 1].first == head->segment && s->list[s->len - 1].bytes > head->offset &&
        path_of(s, head->segment, path) == 0 && truncate(path, (off_t)head->offset) == 0) {
        s->bytes -= s->list[s->len - 1].bytes - head->offset;
        s->list[s->len - 1].bytes = head->offset;
    }
}

/* --- room ------------------------------------------------------------------------------------------------ */

static bool is_wanted(const struct segments *s, const struct segment *seg)
{
    for (unsigned i = 0; i < s->wanted_len; i++) {
        if (s->wanted[i].first <= seg->last && s->wanted[i].last >= seg->first) {
            return true;
        }
    }
    return false;
}

static bool is_removable(const struct segments *s, size_t at)
{
    return s->list[at].last <= s->acked && !is_wanted(s, &s->list[at]) && (at + 1 < s->len || s->fd < 0);
}

/* Remove the oldest that may go. false: none may. */
static bool remove_one(struct segments *s)
{
    for (size_t i = 0; i < s->len; i++) {
        if (is_removable(s, i)) {
            return unlink_at(s, i) == 0;
        }
    }
    return false;
}

uint64_t segments_held(const struct segments *s)
{
    uint64_t bytes = s->bytes;

    for (size_t i = 0; i < s->len; i++) {
        if (is_removable(s, i)) {
            bytes -= s->list[i].bytes;
        }
    }
    return bytes;
}

uint64_t segments_oldest(const struct segments *s)
{
    return s->len > 0 && s->list[0].last >= s->list[0].first ? s->list[0].first : 0;
}

void segments_acked(struct segments *s, uint64_t sequence)
{
    if (sequence > s->acked) {
        s->acked = sequence;
    }
}

void segments_wanted(struct segments *s, const struct ipc_range *ranges, unsigned len)
{
    s->wanted_len = len < IPC_RANGES_MAX ? len : IPC_RANGES_MAX;
    memcpy(s->wanted, ranges, s->wanted_len * sizeof(*ranges));
}

/* --- append ---------------------------------------------------------------------------------------------- */

static int begin(struct segments *s, uint64_t sequence, struct pofr_err *err)
{
    char path[PATH_MAX];
    int rc;

    if (s->len > 0 && s->list[s->len - 1].first >= sequence && unlink_at(s, s->len - 1) != 0) {
        return pofr_err_sys(err, POFR_ESYSTEM, "segment %llu: remove", (unsigned long long)sequence);
    }
    rc = path_of(s, sequence, path);
    if (rc != 0) {
        return pofr_err_set(err, rc, "%s: path too long", s->dir);
    }
    s->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (s->fd < 0) {
        return pofr_err_sys(err, fsio_code(errno), "%s", path);
    }
    s->offset = 0;
    rc = add(s, (struct segment){ .first = sequence, .last = sequence - 1 });
    if (rc == 0) {
        rc = fsio_sync_dir(s->dir, err);
    }
    if (rc != 0) {
        fsio_close(&s->fd);
        (void)unlink(path); /* if it stays, begin() removes it the next time */
        if (s->len > 0 && s->list[s->len - 1].first == sequence) {
            forget(s, s->len - 1);
        }
    }
    return rc;
}

/* Blocks for n bytes and the reserve behind them. */
static int allocate(struct segments *s, size_t n)
{
    for (;;) {
        if (fallocate(s->fd, FALLOC_FL_KEEP_SIZE, (off_t)s->offset, (off_t)(n + SEGMENTS_RESERVE)) == 0) {
            return 0;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != ENOSPC && errno != EDQUOT) {
            return 0; /* a filesystem that can't: the write itself will tell */
        }
        if (!remove_one(s)) {
            return POFR_EFULL;
        }
    }
}

static void give_up(struct segments *s)
{
    fsio_close(&s->fd);
}

static int write_entry(struct segments *s, struct slice entry, struct pofr_err *err)
{
    int rc = fsio_pwrite(s->fd, entry, (off_t)s->offset, err);

    if (rc == POFR_EFULL) {
        return rc; /* what was written lies behind the end, and will be written over */
    }
    STOP_POINT("spool_before_sync");
    if (rc == 0 && fdatasync(s->fd) != 0) {
        rc = pofr_err_sys(err, POFR_ESYSTEM, "segment: sync");
    }
    if (rc != 0) {
        give_up(s);
    }
    return rc;
}

int segments_append(struct segments *s, uint64_t sequence, const uint8_t digest[32], struct slice block,
                    bool last_resort, struct segments_place *out_place, struct pofr_err *err)
{
    struct buf entry = BUF_INIT(BUNDLE_MAX + SPOOL_ENTRY_HEADER);
    uint64_t limit = s->limits.total + (last_resort ? SEGMENTS_RESERVE : 0);
    struct segment *seg;
    int rc = spool_entry_put(sequence, digest, block, &entry);

    if (rc != 0) {
        pofr_err_set(err, rc, "bundle of %zu bytes", block.len);
        goto out;
    }
    if (s->fd >= 0 && s->offset >= s->limits.segment && !last_resort) {
        fsio_close(&s->fd);
    }
    while (s->bytes + entry.len > limit) {
        if (!remove_one(s)) {
            rc = pofr_err_set(err, POFR_EFULL, "spool limit of %llu bytes", (unsigned long long)s->limits.total);
            goto out;
        }
    }
    if (s->fd < 0) {
        rc = begin(s, sequence, err);
        if (rc != 0) {
            goto out;
        }
    }
    if (!last_resort && allocate(s, entry.len) != 0) {
        rc = pofr_err_set(err, POFR_EFULL, "disk full");
        goto out;
    }
    do {
        rc = write_entry(s, buf_slice(&entry), err);
    } while (rc == POFR_EFULL && remove_one(s));
    if (rc != 0) {
        goto out;
    }
    s->offset += entry.len;
    seg = &s->list[s->len - 1];
    s->bytes += s->offset - seg->bytes;
    seg->bytes = s->offset;
    *out_place = (struct segments_place){ seg->first, s->offset };
out:
    buf_free(&entry);
    return rc;
}

void segments_committed(struct segments *s, uint64_t segment, uint64_t sequence)
{
    for (size_t i = s->len; i > 0; i--) {
        if (s->list[i - 1].first == segment) {
            s->list[i - 1].last = sequence;
            return;
        }
    }
}

/* --- read ------------------------------------------------------------------------------------------------ */

static int read_all(int fd, uint8_t *to, size_t n, uint64_t at)
{
    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)at);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? POFR_ESYSTEM : POFR_ETRUNCATED;
        }
        to += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

static int open_for_reading(struct segments *s, uint64_t first, struct pofr_err *err)
{
    char path[PATH_MAX];

    if (s->read_fd >= 0 && s->read_first == first) {
        return 0;
    }
    fsio_close(&s->read_fd);
    if (path_of(s, first, path) != 0) {
        return pofr_err_set(err, POFR_ETOOBIG, "%s: path too long", s->dir);
    }
    s->read_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->read_fd < 0) {
        return pofr_err_sys(err, fsio_code(errno), "%s", path);
    }
    s->read_first = first;
    s->read_sequence = first;
    s->read_offset = 0;
    return 0;
}

int segments_sync(struct segments *s, uint64_t segment, struct pofr_err *err)
{
    int rc = open_for_reading(s, segment, err);

    if (rc == 0 && fdatasync(s->read_fd) != 0) {
        rc = pofr_err_sys(err, POFR_ESYSTEM, "segment %llu: sync", (unsigned long long)segment);
    }
    return rc != 0 ? rc : fsio_sync_dir(s->dir, err);
}

int segments_read_at(struct segments *s, uint64_t segment, uint64_t offset, struct spool_entry *out_entry,
                     struct buf *out_block, uint64_t *out_end, struct pofr_err *err)
{
    uint8_t header[SPOOL_ENTRY_HEADER];
    uint8_t *to;
    int rc = open_for_reading(s, segment, err);

    if (rc == 0) {
        rc = read_all(s->read_fd, header, sizeof(header), offset);
    }
    if (rc == 0) {
        rc = spool_entry_header(slice_of(header, sizeof(header)), out_entry);
    }
    if (rc == 0 && out_block != NULL) {
        buf_reset(out_block);
        to = buf_reserve(out_block, out_entry->length);
        rc = to == NULL ? out_block->err : read_all(s->read_fd, to, out_entry->length, offset + sizeof(header));
        if (rc == 0) {
            buf_advance(out_block, out_entry->length);
            rc = spool_entry_check(slice_of(header, sizeof(header)), buf_slice(out_block));
        }
    }
    if (rc != 0) {
        return pofr_err_set(err, rc, "segment %llu at %llu: %s", (unsigned long long)segment,
                            (unsigned long long)offset, pofr_err_text(rc));
    }
    *out_end = offset + sizeof(header) + out_entry->length;
    return 0;
}

int segments_read(struct segments *s, uint64_t sequence, struct spool_entry *out_entry, struct buf *out_block,
                  struct pofr_err *err)
{
    size_t at = s->len;
    struct spool_entry e = { 0 };
    uint64_t end = 0;
    int rc;

    while (at > 0 && s->list[at - 1].first > sequence) {
        at--;
    }
    if (at == 0 || s->list[at - 1].last < sequence) {
        return pofr_err_set(err, POFR_ENOTFOUND, "bundle %llu", (unsigned long long)sequence);
    }
    rc = open_for_reading(s, s->list[at - 1].first, err);
    if (rc == 0 && s->read_sequence > sequence) { /* from the start again */
        s->read_sequence = s->read_first;
        s->read_offset = 0;
    }
    while (rc == 0 && s->read_sequence < sequence) {
        rc = segments_read_at(s, s->read_first, s->read_offset, &e, NULL, &end, err);
        if (rc == 0) {
            s->read_offset = end;
            s->read_sequence = e.sequence + 1;
        }
    }
    if (rc == 0) {
        rc = segments_read_at(s, s->read_first, s->read_offset, &e, out_block, &end, err);
    }
    if (rc == 0 && e.sequence != sequence) {
        rc = pofr_err_set(err, POFR_EFORMAT, "bundle %llu is not where it should be", (unsigned long long)sequence);
    }
    if (rc == 0) {
        *out_entry = e;
    }
    return rc;
}
