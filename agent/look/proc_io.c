/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/proc_io.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/look/parse_proc.h"

int proc_open(struct look_thread *t, int dir, const char *name, int flags)
{
    int fd;

    look_thread_enter(t);
    fd = openat(dir, name, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        fd = -errno;
    }
    if (!look_thread_leave(t)) {
        if (fd >= 0) {
            (void)close(fd); /* was only read */
        }
        return PROC_LEFT;
    }
    return fd;
}

ssize_t proc_getdents(struct look_thread *t, int dir, void *out, size_t room)
{
    ssize_t n;

    look_thread_enter(t);
    n = (ssize_t)syscall(SYS_getdents64, dir, out, room);
    if (n < 0) {
        n = -errno;
    }
    return look_thread_leave(t) ? n : PROC_LEFT;
}

ssize_t proc_readlink(struct look_thread *t, int dir, const char *name, void *out, size_t room)
{
    ssize_t n;

    look_thread_enter(t);
    n = readlinkat(dir, name, out, room);
    if (n < 0) {
        n = -errno;
    }
    return look_thread_leave(t) ? n : PROC_LEFT;
}

int proc_kcmp_files(struct look_thread *t, uint32_t a, uint32_t b)
{
    int n;

    look_thread_enter(t);
    n = (int)syscall(SYS_kcmp, (pid_t)a, (pid_t)b, KCMP_FILES, 0, 0);
    if (n < 0) {
        n = -errno;
    }
    return look_thread_leave(t) ? n : PROC_LEFT;
}

/* A short read is the end of the file: the kernel makes the text of one of these files whole, or fills the room. */
ssize_t proc_read(struct look_thread *t, int dir, const char *name, void *out, size_t room)
{
    ssize_t n;
    int fd;

    look_thread_enter(t);
    fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        n = -errno;
    } else {
        n = read(fd, out, room);
        if (n < 0) {
            n = -errno;
        }
        (void)close(fd); /* was only read */
    }
    return look_thread_leave(t) ? n : PROC_LEFT;
}

uint64_t proc_device(uint32_t major_number, uint32_t minor_number)
{
    return (uint64_t)major_number << 32 | minor_number;
}

/* glibc's own emulation refuses AT_STATX_DONT_SYNC, so kernels before 4.11 get the old call. */
static int stat_old(int dir, const char *name, int flags, struct file_id *out)
{
    struct stat st;

    if (fstatat(dir, name, &st, flags | AT_NO_AUTOMOUNT) != 0) {
        return -errno;
    }
    *out = (struct file_id){ .device = proc_device(major(st.st_dev), minor(st.st_dev)),
                             .inode = st.st_ino,
                             .ctime_s = st.st_ctim.tv_sec,
                             .ctime_ns = (uint32_t)st.st_ctim.tv_nsec,
                             .mode = st.st_mode,
                             .links = (uint32_t)st.st_nlink };
    return 0;
}

static int stat_new(int dir, const char *name, int flags, unsigned mask, struct file_id *out)
{
    static atomic_bool no_statx; /* a fact about the kernel: set once, never unset */
    struct statx sx;

    if (atomic_load_explicit(&no_statx, memory_order_relaxed)) {
        return stat_old(dir, name, flags, out);
    }
    if (statx(dir, name, flags | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, mask, &sx) != 0) {
        if (errno != ENOSYS && errno != EINVAL) {
            return -errno;
        }
        atomic_store(&no_statx, true);
        return stat_old(dir, name, flags, out);
    }
    *out = (struct file_id){ .device = proc_device(sx.stx_dev_major, sx.stx_dev_minor),
                             .inode = sx.stx_ino,
                             .mount = sx.stx_mask & STATX_MNT_ID ? sx.stx_mnt_id : 0,
                             .ctime_s = sx.stx_ctime.tv_sec,
                             .ctime_ns = sx.stx_ctime.tv_nsec,
                             .mode = sx.stx_mode,
                             .links = sx.stx_nlink };
    return 0;
}

int proc_stat_now(int dir, const char *name, struct file_id *out)
{
    return stat_new(dir, name, 0, STATX_TYPE | STATX_MODE | STATX_INO | STATX_NLINK | STATX_CTIME | STATX_MNT_ID, out);
}

int proc_stat_target(struct look_thread *t, int dir, const char *name, struct file_id *out)
{
    struct file_id id;
    int code;

    look_thread_enter(t);
    code = proc_stat_now(dir, name, &id);
    if (!look_thread_leave(t)) {
        return PROC_LEFT;
    }
    if (code == 0) {
        *out = id;
    }
    return code;
}

int proc_stat_link(struct look_thread *t, int dir, const char *name, uint32_t *out_mode)
{
    struct file_id id = { 0 };
    int code;

    look_thread_enter(t);
    code = stat_new(dir, name, AT_SYMLINK_NOFOLLOW, STATX_MODE, &id);
    if (!look_thread_leave(t)) {
        return PROC_LEFT;
    }
    if (code == 0) {
        *out_mode = id.mode;
    }
    return code;
}

/* linux/pidfd.h of 6.13; Debian 12's headers lack it. */
struct pidfd_info_v1 {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define PIDFD_GET_INFO_V1 _IOWR(0xFF, 11, struct pidfd_info_v1)
#define PIDFD_INFO_CREDS  UINT64_C(2)

/* From 6.9 on, where PIDFD_GET_INFO came later, pidfds have a file system of their own, and inodes that are not given twice. */
static uint64_t pidfs_inode(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

int proc_pidfd_ids(struct look_thread *t, uint32_t pid, struct proc_ids *out, uint64_t *out_inode)
{
    struct pidfd_info_v1 info = { .mask = PIDFD_INFO_CREDS };
    uint64_t inode = 0;
    int code = 0, fd;

    look_thread_enter(t);
    fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (fd < 0) {
        code = -errno;
    } else {
        if (ioctl(fd, PIDFD_GET_INFO_V1, &info) != 0) {
            code = -errno;
        } else {
            inode = pidfs_inode(fd);
        }
        (void)close(fd); /* was only asked */
    }
    if (!look_thread_leave(t)) {
        return PROC_LEFT;
    }
    *out_inode = inode;
    if (code == 0 && !(info.mask & PIDFD_INFO_CREDS)) {
        code = -ENODATA;
    }
    if (code == 0) {
        *out = (struct proc_ids){ .uid = { info.ruid, info.euid, info.suid, info.fsuid },
                                  .gid = { info.rgid, info.egid, info.sgid, info.fsgid } };
    }
    return code;
}
