/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: the reader's thread owns the socket, its buffers and `used`; `mutex` protects what both sides touch:
 * `waiting` (filled by the thread, swapped out by the owner), the allowance, the figures, `saw`, stop, ended. Two references,
 * one each; so one that hangs when it is freed finds everything there when it wakes.
 *
 * ORDER      arguments, then exe, then stat: in this order they go when a process ends.
 * WAITING    struct entry, then comm, arguments, exe; in the machine's own form, for it never leaves the process.
 * STALE      One that executes again within microseconds shows the later program's arguments at the earlier event. The owner
 *            sees it: the later event's time lies before the end of the earlier reading; then that one is not known.
 * COST       20 us a program and the wake-up.
 */
#include "agent/look/exec_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "agent/look/cn_socket.h"
#include "agent/look/parse_proc.h"
#include "agent/look/proc_io.h"
#include "agent/look/urgent.h"
#include "common/base/buf.h"
#include "common/base/hashmap.h"
#include "common/record/limits.h"

#define SOCKET_BYTES (4u * 1024u * 1024u)
#define RECEIVE_MAX  1024u
#define END_MS       1000
#define KEEP_BYTES   65536u /* a waiting buffer that has grown beyond is given back when it is empty */

struct entry { /* then comm, arguments, exe */
    uint64_t timestamp_ns, done_ns;
    uint64_t start_jiffies, exe_device, exe_inode;
    uint32_t pid, ppid, session, tty, euid, egid;
    uint32_t comm_len, arguments_len, exe_len;
    bool known, arguments_cut, exe_deleted, ids_known;
};

struct exec_reader {
    atomic_int references;
    pthread_t handle;
    struct exec_reader_conf conf;
    int root;
    int wake;                   /* eventfd: stop, or the next allowance */
    atomic_llong busy_since_ns; /* 0: not in a reading */
    atomic_bool left;           /* it hangs: whatever it reads from now on nobody takes */
    const char *scheduling;
    /* the thread's */
    struct cn_socket socket;
    uint64_t used_from_ns; /* its CPU clock when the allowance began */
    uint32_t seen_window;  /* which that was */
    bool spent;
    uint8_t arguments[REC_ARGUMENTS_MAX + 1], exe[REC_PATH_MAX + 1], stat[2048];
    /* both sides', under mutex */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct buf waiting;
    uint64_t allowance_ns;
    uint32_t window; /* counts allowances */
    struct exec_reader_figures figures;
    uint32_t saw;
    bool stop, started, ended;
    /* the owner's */
    struct buf taken;
};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t); /* these clocks are always there */
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void unref(struct exec_reader *r)
{
    if (atomic_fetch_sub(&r->references, 1) != 1) {
        return;
    }
    cn_socket_close(&r->socket);
    if (r->root >= 0) {
        (void)close(r->root); /* was only read */
    }
    if (r->wake >= 0) {
        (void)close(r->wake);
    }
    buf_free(&r->waiting);
    buf_free(&r->taken);
    (void)pthread_cond_destroy(&r->cond);
    (void)pthread_mutex_destroy(&r->mutex);
    free(r);
}

/* --- the thread ------------------------------------------------------------------------------------------ */

static void count_missed(struct exec_reader *r)
{
    (void)pthread_mutex_lock(&r->mutex);
    r->figures.missed++;
    (void)pthread_mutex_unlock(&r->mutex);
}

static ssize_t read_file(int dir, const char *name, uint8_t *out, size_t room)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    size_t have = 0;
    ssize_t n = -1;

    if (fd < 0) {
        return -1;
    }
    while (have < room && (n = read(fd, out + have, room - have)) > 0) {
        have += (size_t)n;
        if (have < 4096) {
            break; /* short and small: that was all */
        }
    }
    (void)close(fd); /* was only read */
    return have > 0 ? (ssize_t)have : n;
}

static bool is_deleted(struct exec_reader *r, int dir, const struct file_id *exe, struct slice *text)
{
    char name[5 + REC_PATH_MAX + 1];
    struct slice cut = *text;
    struct file_id there;

    if (!proc_link_deleted(&cut)) {
        return false;
    }
    if (exe->links > 0) { /* one of several names was removed, or it is really called so */
        r->exe[text->len] = '\0';
        (void)snprintf(name, sizeof(name), "root%s", (const char *)r->exe);
        if (proc_stat_now(dir, name, &there) == 0 && there.device == exe->device && there.inode == exe->inode) {
            return false;
        }
    }
    *text = cut;
    return true;
}

static struct slice read_exe(struct exec_reader *r, int dir, struct entry *e)
{
    struct file_id id;
    struct slice text;
    ssize_t n = readlinkat(dir, "exe", (char *)r->exe, REC_PATH_MAX);

    if (n <= 0 || proc_stat_now(dir, "exe", &id) != 0) {
        return SLICE_EMPTY;
    }
    text = slice_of(r->exe, (size_t)n);
    e->exe_device = id.device;
    e->exe_inode = id.inode;
    e->exe_deleted = is_deleted(r, dir, &id, &text);
    return text;
}

static struct slice read_stat(struct exec_reader *r, int dir, struct entry *e)
{
    ssize_t n = read_file(dir, "stat", r->stat, sizeof(r->stat));
    struct proc_stat s;

    if (n <= 0 || proc_stat_parse(slice_of(r->stat, (size_t)n), &s) != 0) {
        return SLICE_EMPTY;
    }
    e->start_jiffies = s.start_jiffies;
    e->ppid = s.ppid;
    e->session = s.session;
    e->tty = s.tty;
    return s.comm;
}

static void keep(struct exec_reader *r, struct entry *e, struct slice comm, struct slice arguments, struct slice exe)
{
    size_t before;

    e->comm_len = (uint32_t)comm.len;
    e->arguments_len = (uint32_t)arguments.len;
    e->exe_len = (uint32_t)exe.len;
    (void)pthread_mutex_lock(&r->mutex);
    before = r->waiting.len;
    buf_bytes(&r->waiting, e, sizeof(*e));
    buf_append(&r->waiting, comm);
    buf_append(&r->waiting, arguments);
    buf_append(&r->waiting, exe);
    if (r->waiting.err != 0) { /* full: whole entries or nothing */
        r->waiting.err = 0;
        buf_truncate(&r->waiting, before);
        r->figures.missed++;
    } else {
        r->figures.read++;
    }
    (void)pthread_mutex_unlock(&r->mutex);
}

static void read_program(struct exec_reader *r, const struct cn_message *m)
{
    struct entry e = { .pid = m->pid, .timestamp_ns = m->timestamp_ns };
    struct slice comm, arguments, exe;
    struct stat st;
    char name[16];
    ssize_t n;
    int dir;

    (void)snprintf(name, sizeof(name), "%u", m->pid);
    dir = openat(r->root, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        count_missed(r);
        return;
    }
    n = read_file(dir, "cmdline", r->arguments, sizeof(r->arguments));
    e.done_ns = now_ns(CLOCK_MONOTONIC);
    if (n <= 0) { /* gone (or it has none, which is the same to see) */
        count_missed(r);
        (void)close(dir); /* was only read */
        return;
    }
    e.known = true;
    e.arguments_cut = n > (ssize_t)REC_ARGUMENTS_MAX;
    arguments = slice_of(r->arguments, e.arguments_cut ? REC_ARGUMENTS_MAX : (size_t)n);
    exe = read_exe(r, dir, &e);
    comm = read_stat(r, dir, &e);
    e.ids_known = fstat(dir, &st) == 0;
    if (e.ids_known) {
        e.euid = st.st_uid;
        e.egid = st.st_gid;
    }
    (void)close(dir); /* was only read */
    keep(r, &e, comm, arguments, exe);
}

/* Has it used its allowance? */
static bool is_spent(struct exec_reader *r)
{
    uint64_t used = now_ns(CLOCK_THREAD_CPUTIME_ID);
    bool spent;

    (void)pthread_mutex_lock(&r->mutex);
    if (r->window != r->seen_window) {
        r->seen_window = r->window;
        r->used_from_ns = used;
    }
    spent = used - r->used_from_ns > r->allowance_ns;
    (void)pthread_mutex_unlock(&r->mutex);
    return spent;
}

static void on_message(void *ctx, const struct cn_message *m)
{
    struct exec_reader *r = ctx;

    if (atomic_load(&r->left)) {
        return;
    }
    if (m->what == CN_SID) {
        (void)pthread_mutex_lock(&r->mutex);
        r->saw = m->pid;
        (void)pthread_cond_broadcast(&r->cond);
        (void)pthread_mutex_unlock(&r->mutex);
    }
    if (m->what != CN_EXEC) {
        return;
    }
    if (r->spent) {
        count_missed(r);
        return;
    }
    atomic_store(&r->busy_since_ns, (long long)now_ns(CLOCK_MONOTONIC));
    read_program(r, m);
    atomic_store(&r->busy_since_ns, 0);
    r->spent = is_spent(r);
}

/* Above its share: sleep until the owner gives another, then throw away what came meanwhile: it is too old to be read. */
static void sleep_until_next(struct exec_reader *r)
{
    uint32_t window;

    (void)pthread_mutex_lock(&r->mutex);
    r->figures.asleep++;
    window = r->window;
    while (!r->stop && r->window == window) {
        (void)pthread_cond_wait(&r->cond, &r->mutex);
    }
    (void)pthread_mutex_unlock(&r->mutex);
    (void)cn_socket_receive(&r->socket, RECEIVE_MAX * 16, on_message, r); /* spent: each is counted as missed */
    r->spent = is_spent(r);
}

static void *thread_main(void *arg)
{
    struct exec_reader *r = arg;
    struct pollfd waits[2] = { { .fd = r->socket.fd, .events = POLLIN }, { .fd = r->wake, .events = POLLIN } };
    bool stop = false;

    (void)pthread_mutex_lock(&r->mutex);
    r->scheduling = urgent_begin();
    r->started = true;
    (void)pthread_cond_broadcast(&r->cond);
    (void)pthread_mutex_unlock(&r->mutex);
    while (!stop) {
        uint64_t lost;
        bool exact;

        if (poll(waits, 2, -1) > 0 && waits[0].revents != 0) {
            (void)cn_socket_receive(&r->socket, RECEIVE_MAX, on_message, r);
        }
        lost = cn_socket_lost(&r->socket, &exact);
        if (r->spent) {
            sleep_until_next(r);
        }
        (void)pthread_mutex_lock(&r->mutex);
        r->figures.lost += lost;
        stop = r->stop;
        (void)pthread_mutex_unlock(&r->mutex);
    }
    (void)pthread_mutex_lock(&r->mutex);
    r->ended = true;
    (void)pthread_cond_broadcast(&r->cond);
    (void)pthread_mutex_unlock(&r->mutex);
    unref(r);
    return NULL;
}

/* --- the owner ------------------------------------------------------------------------------------------- */

static int start(struct exec_reader *r)
{
    sigset_t all, before;
    int code;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
    code = pthread_create(&r->handle, NULL, thread_main, r);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        return POFR_ESYSTEM;
    }
    (void)pthread_mutex_lock(&r->mutex);
    while (!r->started) {
        (void)pthread_cond_wait(&r->cond, &r->mutex);
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return 0;
}

int exec_reader_new(const struct exec_reader_conf *conf, struct exec_reader **out_reader, const char **out_reason)
{
    struct exec_reader *r = calloc(1, sizeof(*r));
    pthread_condattr_t monotonic;
    int code;

    if (!r) {
        *out_reason = "no memory";
        return POFR_ENOMEM;
    }
    r->conf = *conf;
    r->socket = (struct cn_socket)CN_SOCKET_NONE;
    buf_init(&r->waiting, conf->buffer_bytes);
    buf_init(&r->taken, conf->buffer_bytes);
    (void)pthread_mutex_init(&r->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->cond, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    r->allowance_ns = 1000000000u / 100u * conf->share;
    r->root = open(conf->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_store(&r->references, 1);
    *out_reason = "no descriptor";
    code = r->root < 0 || r->wake < 0 ? POFR_ESYSTEM : 0;
    if (code == 0) {
        code = cn_socket_open(&r->socket, SOCKET_BYTES, CN_EXEC | CN_SID, out_reason);
    }
    if (code == 0) {
        atomic_store(&r->references, 2);
        if ((code = start(r)) != 0) {
            *out_reason = "no thread";
            atomic_store(&r->references, 1);
        }
    }
    if (code != 0) {
        unref(r);
        return code;
    }
    *out_reason = NULL;
    *out_reader = r;
    return 0;
}

static struct timespec deadline(uint32_t limit_ms)
{
    uint64_t at = now_ns(CLOCK_MONOTONIC) + (uint64_t)limit_ms * 1000000u;

    return (struct timespec){ .tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u) };
}

static bool wait_ended(struct exec_reader *r)
{
    struct timespec until = deadline(END_MS);
    int code = 0;
    bool ended;

    (void)pthread_mutex_lock(&r->mutex);
    while (!r->ended && code != ETIMEDOUT) {
        code = pthread_cond_timedwait(&r->cond, &r->mutex, &until);
    }
    ended = r->ended;
    (void)pthread_mutex_unlock(&r->mutex);
    return ended;
}

static void wake(struct exec_reader *r)
{
    uint64_t one = 1;

    if (write(r->wake, &one, sizeof(one)) != sizeof(one)) {
        return; /* it is awake already: the counter is full */
    }
}

static void ask_to_end(struct exec_reader *r)
{
    (void)pthread_mutex_lock(&r->mutex);
    r->stop = true;
    (void)pthread_cond_broadcast(&r->cond);
    (void)pthread_mutex_unlock(&r->mutex);
    wake(r);
}

void exec_reader_leave(struct exec_reader *r)
{
    atomic_store(&r->left, true);
    ask_to_end(r);
}

bool exec_reader_returned(struct exec_reader *r)
{
    bool ended;

    (void)pthread_mutex_lock(&r->mutex);
    ended = r->ended;
    (void)pthread_mutex_unlock(&r->mutex);
    return ended;
}

void exec_reader_free(struct exec_reader *r)
{
    if (!r) {
        return;
    }
    ask_to_end(r);
    if (atomic_load(&r->left) ? exec_reader_returned(r) : wait_ended(r)) {
        (void)pthread_join(r->handle, NULL);
    } else {
        (void)pthread_detach(r->handle);
    }
    unref(r);
}

const char *exec_reader_class(const struct exec_reader *r)
{
    return r->scheduling;
}

bool exec_reader_wait_for(struct exec_reader *r, uint32_t pid, uint32_t limit_ms)
{
    struct timespec until = deadline(limit_ms);
    int code = 0;
    bool saw;

    (void)pthread_mutex_lock(&r->mutex);
    while (r->saw != pid && code != ETIMEDOUT) {
        code = pthread_cond_timedwait(&r->cond, &r->mutex, &until);
    }
    saw = r->saw == pid;
    (void)pthread_mutex_unlock(&r->mutex);
    return saw;
}

bool exec_reader_hangs(const struct exec_reader *r, int64_t limit_us)
{
    long long since = atomic_load(&r->busy_since_ns);

    return since != 0 && (int64_t)(now_ns(CLOCK_MONOTONIC) - (uint64_t)since) > limit_us * 1000;
}

/* The entry at *at of what was taken; *at goes on to the next. false: the end. */
static bool entry_next(struct slice taken, size_t *at, struct entry *out)
{
    if (*at + sizeof(*out) > taken.len) {
        return false;
    }
    memcpy(out, taken.data + *at, sizeof(*out));
    *at += sizeof(*out) + out->comm_len + out->arguments_len + out->exe_len;
    return true;
}

/* Of two programs that one process executed so soon after each other that the first was read too late, the first is not known. */
static void mark_stale(struct slice taken)
{
    struct hashmap last; /* pid -> its latest entry so far, in place */
    struct entry e;
    size_t at = 0;

    hashmap_init(&last, UINT32_MAX, 0);
    for (size_t here = 0; entry_next(taken, &at, &e); here = at) {
        uint8_t *earlier = hashmap_remove(&last, e.pid, NULL, NULL);

        if (earlier) {
            struct entry before;

            memcpy(&before, earlier, sizeof(before));
            before.known = before.known && before.done_ns < e.timestamp_ns;
            memcpy(earlier, &before, sizeof(before));
        }
        if (hashmap_insert(&last, e.pid, (void *)(uintptr_t)(taken.data + here)) != 0) {
            break; /* no memory: some stay unmarked */
        }
    }
    hashmap_free(&last);
}

static void give_out(struct slice taken, exec_reading_fn fn, void *ctx)
{
    struct entry e;
    size_t at = 0;

    for (size_t here = 0; entry_next(taken, &at, &e); here = at) {
        struct slice text = slice_sub(taken, here + sizeof(e), SIZE_MAX);
        struct exec_reading x = { .pid = e.pid,
                                  .timestamp_ns = e.timestamp_ns,
                                  .known = e.known,
                                  .arguments_cut = e.arguments_cut,
                                  .exe_deleted = e.exe_deleted,
                                  .ids_known = e.ids_known,
                                  .euid = e.euid,
                                  .egid = e.egid,
                                  .start_jiffies = e.start_jiffies,
                                  .ppid = e.ppid,
                                  .session = e.session,
                                  .tty = e.tty,
                                  .comm = slice_sub(text, 0, e.comm_len),
                                  .arguments = slice_sub(text, e.comm_len, e.arguments_len),
                                  .exe = slice_sub(text, e.comm_len + e.arguments_len, e.exe_len),
                                  .exe_device = e.exe_device,
                                  .exe_inode = e.exe_inode };

        fn(ctx, &x);
    }
}

void exec_reader_take(struct exec_reader *r, int64_t elapsed_us, exec_reading_fn fn, void *ctx)
{
    struct buf swap;

    (void)pthread_mutex_lock(&r->mutex);
    swap = r->taken;
    r->taken = r->waiting;
    r->waiting = swap;
    r->allowance_ns = (uint64_t)(elapsed_us > 0 ? elapsed_us : 0) * 10u * r->conf.share;
    r->window++;
    (void)pthread_cond_broadcast(&r->cond);
    (void)pthread_mutex_unlock(&r->mutex);
    mark_stale(buf_slice(&r->taken));
    give_out(buf_slice(&r->taken), fn, ctx);
    if (r->taken.cap > KEEP_BYTES) {
        buf_free(&r->taken);
    }
    buf_reset(&r->taken);
}

void exec_reader_figures(struct exec_reader *r, struct exec_reader_figures *out)
{
    (void)pthread_mutex_lock(&r->mutex);
    *out = r->figures;
    (void)pthread_mutex_unlock(&r->mutex);
}
