/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TIME       The kernel stamps events with CLOCK_MONOTONIC; procfs counts from boot, suspended time included. The difference is
 *            taken at each drain, and changed only where it moved by more than what reading two clocks costs, so that
 *            the same event has the same time whoever tells of it.
 * EXIT       The connector tells of tasks. A leader that ended may have left threads behind: then the process ends with the
 *            last of them. What /proc says of the leader at the drain decides; those that wait are asked at each drain.
 * PROBE      A child of ours makes a session and ends; it must show up as a fork here, and as a session at the exec reader. Nobody is told
 *            of it.
 * LOSS       cn_socket_lost(); beside it the gaps of each CPU's sequence numbers are counted, as a check.
 */
#include "agent/look/events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/look/cn_socket.h"
#include "agent/look/exec_readers.h"
#include "agent/look/gate.h"
#include "agent/look/parse_proc.h"

#define BUFFER_BYTES   (25u * 1024u * 1024u)
#define MESSAGE_BYTES  768u /* what one costs in the kernel's buffer, at least */
#define EXEC_SHARE     5u
#define EXEC_BYTES     (1024u * 1024u)
#define ANSWER_MS      500
#define PROBE_NS       UINT64_C(2000000000) /* a probe that was not seen for so long was not told */
#define CLOCK_NOISE_NS INT64_C(1000000)
#define JIFFY_NS       10000000u
#define CPUS_MAX       4096u
#define LEADERS_MAX    1024u
#define PROBES         8u

struct leader { /* ended, while threads of its process went on */
    uint32_t pid, status, parent;
    uint64_t start_jiffies;
    uint64_t last_ns; /* the last end of one of them */
};

struct sequence {
    uint32_t last;
    bool known;
};

struct events {
    struct events_conf conf;
    struct cn_socket socket;
    bool there;
    const char *reason;
    struct exec_readers readers;
    int64_t offset_ns; /* boot clock - monotonic */
    uint64_t drained_ns;
    struct events_figures figures;
    struct sequence *sequences;
    uint32_t cpus;
    struct leader leaders[LEADERS_MAX];
    uint32_t leader_count;
    uint32_t probes[PROBES]; /* pids of the last ones: nobody is told of them */
    uint32_t probe_at;
    uint32_t waiting_for; /* a probe that was not seen yet; 0: none */
    uint64_t waiting_since_ns;
    /* during a drain */
    const struct events_sink *sink;
    void *ctx;
    bool answered;
    uint32_t answer;
};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t); /* these clocks are always there */
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void measure_offset(struct events *e)
{
    int64_t best = INT64_MAX, best_width = INT64_MAX;

    for (int i = 0; i < 3; i++) {
        int64_t before = (int64_t)now_ns(CLOCK_MONOTONIC), boot = (int64_t)now_ns(CLOCK_BOOTTIME);
        int64_t width = (int64_t)now_ns(CLOCK_MONOTONIC) - before;

        if (width < best_width) {
            best_width = width;
            best = boot - before - width / 2;
        }
    }
    if (best < CLOCK_NOISE_NS && best > -CLOCK_NOISE_NS) {
        best = 0; /* never suspended: the clocks are one */
    }
    if (best - e->offset_ns > CLOCK_NOISE_NS || e->offset_ns - best > CLOCK_NOISE_NS) {
        e->offset_ns = best;
    }
}

static uint64_t boot_ns(const struct events *e, uint64_t timestamp_ns)
{
    return timestamp_ns + (uint64_t)e->offset_ns;
}

static bool is_probe(const struct events *e, uint32_t pid)
{
    for (uint32_t i = 0; i < PROBES; i++) {
        if (e->probes[i] == pid && pid != 0) {
            return true;
        }
    }
    return false;
}

static void check_sequence(struct events *e, const struct cn_message *m)
{
    struct sequence *s;

    if (m->cpu >= e->cpus) {
        return;
    }
    s = &e->sequences[m->cpu];
    if (s->known) {
        e->figures.sequence_gaps += (uint32_t)(m->sequence - s->last - 1);
    }
    s->last = m->sequence;
    s->known = true;
}

/* --- ends --------------------------------------------------------------------------------------------------- */

enum leader_now {
    LEADER_GONE,
    LEADER_WITH_THREADS
};

/* The leader ended. Does its process go on? */
static enum leader_now leader_now(uint32_t pid, uint64_t *out_start)
{
    char name[32];
    uint8_t text[2048];
    struct proc_stat s;
    uint64_t clock;
    ssize_t n;
    int fd;

    if (gate_clock(pid, &clock) != 0) {
        return LEADER_GONE; /* the common case, and it costs little */
    }
    (void)snprintf(name, sizeof(name), "/proc/%u/stat", pid);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return LEADER_GONE;
    }
    n = read(fd, text, sizeof(text));
    (void)close(fd); /* was only read */
    if (n <= 0 || proc_stat_parse(slice_of(text, (size_t)n), &s) != 0) {
        return LEADER_GONE;
    }
    *out_start = s.start_jiffies;
    /* a leader that is not dead is another process by now */
    return s.threads > 1 && (s.state == 'Z' || s.state == 'X' || s.flags & PROC_PF_EXITING) ? LEADER_WITH_THREADS
                                                                                            : LEADER_GONE;
}

static void tell_exit(struct events *e, const struct leader *l)
{
    struct event out = { .kind = EVENT_EXIT,
                         .pid = l->pid,
                         .tid = l->pid,
                         .parent = l->parent,
                         .boot_us = boot_ns(e, l->last_ns) / 1000,
                         .exit_status = l->status };

    e->sink->event(e->ctx, &out);
}

/* A thread of one whose leader ended before: its end may be the process's, and then its status is (exit_group tells all the same). */
static bool note_thread_exit(struct events *e, const struct cn_message *m)
{
    for (uint32_t i = 0; i < e->leader_count; i++) {
        if (e->leaders[i].pid == m->pid) {
            e->leaders[i].last_ns = m->timestamp_ns;
            e->leaders[i].status = m->exit_code != 0 ? m->exit_code : e->leaders[i].status;
            return true;
        }
    }
    return false;
}

static void on_exit_message(struct events *e, const struct cn_message *m, struct event *out)
{
    struct leader l = { .pid = m->pid, .status = m->exit_code, .parent = m->parent, .last_ns = m->timestamp_ns };

    if (m->tid != m->pid) {
        (void)note_thread_exit(e, m);
        out->kind = EVENT_THREAD_EXIT;
        e->sink->event(e->ctx, out);
        return;
    }
    if (leader_now(m->pid, &l.start_jiffies) == LEADER_WITH_THREADS && e->leader_count < LEADERS_MAX) {
        e->leaders[e->leader_count++] = l;
        return;
    }
    tell_exit(e, &l);
}

/* Those whose threads have ended meanwhile. */
static void ask_leaders(struct events *e)
{
    for (uint32_t i = 0; i < e->leader_count;) {
        uint64_t start = 0;

        if (leader_now(e->leaders[i].pid, &start) == LEADER_WITH_THREADS && start == e->leaders[i].start_jiffies) {
            i++;
            continue;
        }
        tell_exit(e, &e->leaders[i]);
        e->leaders[i] = e->leaders[--e->leader_count];
    }
}

/* --- messages ----------------------------------------------------------------------------------------------- */

static void on_fork_message(struct events *e, const struct cn_message *m, struct event *out)
{
    out->kind = m->tid == m->pid ? EVENT_FORK : EVENT_THREAD;
    out->parent = m->parent;
    if (out->kind == EVENT_FORK) {
        out->start_jiffies = boot_ns(e, m->timestamp_ns) / JIFFY_NS;
        if (m->pid == e->waiting_for) {
            e->waiting_for = 0;
            e->there = true;
            e->reason = NULL;
        }
    }
    if (!is_probe(e, m->pid)) {
        e->sink->event(e->ctx, out);
    }
}

static void on_message(void *ctx, const struct cn_message *m)
{
    struct events *e = ctx;
    struct event out = { .pid = m->pid, .tid = m->tid, .boot_us = boot_ns(e, m->timestamp_ns) / 1000 };

    check_sequence(e, m); /* answers are numbered too, those to others as well */
    if (m->what == CN_NONE) {
        e->answered = true;
        e->answer = m->error;
        return;
    }
    e->figures.received++;
    if (m->what == CN_FORK) {
        on_fork_message(e, m, &out);
        return;
    }
    if (is_probe(e, m->pid)) {
        return;
    }
    switch (m->what) {
    case CN_EXIT:
        on_exit_message(e, m, &out);
        return;
    case CN_EXEC:
        exec_readers_told(&e->readers, m->timestamp_ns);
        out.kind = EVENT_EXEC;
        break;
    case CN_UID:
    case CN_GID:
        out.kind = EVENT_IDS;
        out.is_gid = m->what == CN_GID;
        out.id_real = m->real;
        out.id_effective = m->effective;
        break;
    case CN_SID:
        out.kind = EVENT_SESSION;
        break;
    case CN_COMM:
        out.kind = EVENT_NAME;
        memcpy(out.name, m->name, sizeof(out.name));
        out.name_len = (uint32_t)strnlen((const char *)m->name, sizeof(m->name));
        break;
    case CN_COREDUMP:
        out.kind = EVENT_COREDUMP;
        break;
    default: /* ptrace, and what later kernels tell */
        return;
    }
    e->sink->event(e->ctx, &out);
}

/* --- open, probe, close ------------------------------------------------------------------------------------- */

static void no_event(void *ctx, const struct event *event)
{
    (void)ctx;
    (void)event;
}

static const struct events_sink nobody = { .event = no_event };

/* Receive until *done or the time is over. Nobody is told: it all was before the first look. */
static void receive_until(struct events *e, const bool *done, int limit_ms)
{
    uint64_t until = now_ns(CLOCK_MONOTONIC) + (uint64_t)limit_ms * 1000000u;

    e->sink = &nobody;
    while (!*done) {
        uint64_t now = now_ns(CLOCK_MONOTONIC);

        if (now >= until || !cn_socket_wait(&e->socket, (int)((until - now) / 1000000u) + 1)) {
            break;
        }
        (void)cn_socket_receive(&e->socket, 64, on_message, e);
    }
}

static void make_probe(struct events *e)
{
    uint64_t at = now_ns(CLOCK_MONOTONIC);
    pid_t child = fork();

    if (child == 0) {
        (void)setsid();
        _exit(0);
    }
    if (child < 0) {
        return; /* the next one will do */
    }
    e->probes[e->probe_at++ % PROBES] = (uint32_t)child;
    e->waiting_for = (uint32_t)child;
    e->waiting_since_ns = at;
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}

static void open_connector(struct events *e)
{
    bool seen = false;

    if (cn_socket_open(&e->socket, e->conf.buffer_bytes, 0, &e->reason) != 0) {
        return;
    }
    receive_until(e, &e->answered, ANSWER_MS);
    if (!e->answered || e->answer != 0) {
        e->reason = e->answered ? "the connector refused the subscription"
                                : "the connector does not answer (not in the first network or pid namespace?)";
        cn_socket_close(&e->socket);
        return;
    }
    make_probe(e);
    for (int i = 0; i < 10 && e->waiting_for != 0; i++) {
        receive_until(e, &seen, ANSWER_MS / 10); /* ends at its time */
    }
    if (!e->there) {
        e->reason = "the connector told nothing of a child that was made to be seen";
        cn_socket_close(&e->socket);
    }
}

static void open_reader(struct events *e)
{
    if (exec_readers_open(&e->readers, now_ns(CLOCK_MONOTONIC))) {
        make_probe(e);
        (void)exec_readers_confirm(&e->readers, e->waiting_for, ANSWER_MS, now_ns(CLOCK_MONOTONIC));
    }
}

int events_open(const struct events_conf *conf, struct events **out_events, struct pofr_err *err)
{
    struct events *e = calloc(1, sizeof(*e));
    long cpus = sysconf(_SC_NPROCESSORS_CONF);

    if (e) {
        e->cpus = cpus < 1 ? 1 : cpus > (long)CPUS_MAX ? CPUS_MAX : (uint32_t)cpus;
        e->sequences = calloc(e->cpus, sizeof(e->sequences[0]));
    }
    if (!e || !e->sequences) {
        free(e);
        return pofr_err_set(err, POFR_ENOMEM, "no memory for events");
    }
    if (conf) {
        e->conf = *conf;
    }
    e->conf.buffer_bytes = e->conf.buffer_bytes ? e->conf.buffer_bytes : BUFFER_BYTES;
    e->conf.exec_share = e->conf.exec_share ? e->conf.exec_share : EXEC_SHARE;
    e->conf.exec_ring_bytes = e->conf.exec_ring_bytes ? e->conf.exec_ring_bytes : EXEC_BYTES;
    e->socket = (struct cn_socket)CN_SOCKET_NONE;
    exec_readers_init(&e->readers, &(struct exec_reader_conf){ .root = "/proc",
                                                               .share = e->conf.exec_share,
                                                               .buffer_bytes = e->conf.exec_ring_bytes });
    measure_offset(e);
    open_connector(e);
    if (e->there && !e->conf.no_exec_reader) {
        open_reader(e);
    }
    e->drained_ns = now_ns(CLOCK_MONOTONIC);
    *out_events = e;
    return 0;
}

void events_close(struct events *e)
{
    if (!e) {
        return;
    }
    exec_readers_fini(&e->readers);
    cn_socket_close(&e->socket);
    free(e->sequences);
    free(e);
}

bool events_there(const struct events *e)
{
    return e->there;
}

bool events_exec_reader_there(const struct events *e)
{
    return e->readers.reader != NULL;
}

const char *events_mode(const struct events *e)
{
    const char *class;

    if (!e->there) {
        return "absent";
    }
    if (!e->readers.reader) {
        return "connector";
    }
    class = exec_reader_class(e->readers.reader);
    return strcmp(class, "fifo") == 0   ? "connector+fifo"
           : strcmp(class, "nice") == 0 ? "connector+nice"
                                        : "connector+normal";
}

const char *events_reason(const struct events *e)
{
    return e->reason ? e->reason : e->readers.reason;
}

/* --- drain -------------------------------------------------------------------------------------------------- */

static void on_reading(void *ctx, const struct exec_reading *x)
{
    struct events *e = ctx;
    struct exec_seen out = { .pid = x->pid,
                             .boot_us = boot_ns(e, x->timestamp_ns) / 1000,
                             .start_jiffies = x->start_jiffies,
                             .arguments = x->known ? x->arguments : SLICE_EMPTY,
                             .arguments_cut = x->known && x->arguments_cut,
                             .arguments_known = x->known,
                             .exe = x->exe,
                             .exe_deleted = x->exe_deleted,
                             .exe_device = x->exe_device,
                             .exe_inode = x->exe_inode,
                             .euid = x->euid,
                             .egid = x->egid,
                             .ids_known = x->ids_known,
                             .command = x->comm,
                             .ppid = x->ppid,
                             .session = x->session,
                             .tty = x->tty };

    if (!x->known) { /* of the program that it executed next, all of it */
        out.exe = out.command = SLICE_EMPTY;
        out.exe_device = out.exe_inode = 0;
        out.exe_deleted = false;
    }
    if (e->sink->exec) {
        e->sink->exec(e->ctx, &out);
    }
}

int events_drain(struct events *e, const struct events_sink *sink, void *ctx, uint64_t *out_lost, struct pofr_err *err)
{
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    int64_t elapsed_us = (int64_t)((now - e->drained_ns) / 1000u);
    uint64_t lost = 0;
    bool exact;

    (void)err;
    *out_lost = 0;
    if (e->socket.fd < 0) {
        return 0;
    }
    measure_offset(e);
    e->drained_ns = now;
    e->sink = sink;
    e->ctx = ctx;
    (void)cn_socket_receive(&e->socket, e->conf.buffer_bytes / MESSAGE_BYTES, on_message, e);
    ask_leaders(e);
    lost = cn_socket_lost(&e->socket, &exact);
    e->figures.lost += lost;
    e->figures.malformed = e->socket.malformed;
    exec_readers_take(&e->readers, elapsed_us, on_reading, e);
    if (e->waiting_for != 0 && e->there && now - e->waiting_since_ns > PROBE_NS) {
        e->there = false;
        e->reason = "the connector told nothing of a child that was made to be seen";
    }
    if (e->there && exec_readers_due(&e->readers, now)) {
        open_reader(e); /* makes a probe: the next drain will see it */
    }
    e->sink = &nobody;
    *out_lost = lost;
    return 0;
}

void events_probe(struct events *e)
{
    if (e->socket.fd >= 0) {
        make_probe(e);
    }
}

void events_figures(struct events *e, struct events_figures *out)
{
    struct exec_reader_figures f;

    exec_readers_figures(&e->readers, &f);
    *out = e->figures;
    out->execs_read = f.read;
    out->execs_missed = f.missed;
    out->exec_events_lost = f.lost;
    out->exec_asleep = f.asleep;
}
