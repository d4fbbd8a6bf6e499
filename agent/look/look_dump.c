/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * look_dump.c -- prints looks as text: to see what the recorder sees, and what a look costs. Built, not installed.
 *
 *   look_dump [-qflt] [looks [milliseconds between]]   the first look in text, then one line of figures per look
 *       -q  figures only    -f  every look in full    -l  the list of processes from events, not from /proc
 *       -t  as if events had told of everything (to measure where there is no connector)
 *   look_dump -e looks [milliseconds between]          events alone
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/look/events.h"
#include "agent/look/look_proc.h"

struct dump {
    bool quiet;
    struct rec_process process;
};

static void print_bytes(struct slice s)
{
    for (size_t i = 0; i < s.len && i < 512; i++) {
        if (s.data[i] >= ' ' && s.data[i] < 127 && s.data[i] != '\\') {
            (void)putchar(s.data[i]);
        } else {
            (void)printf("\\x%02x", s.data[i]);
        }
    }
}

static void print_text(const char *name, struct slice s)
{
    (void)printf(" %s=\"", name);
    print_bytes(s);
    (void)printf("\"");
}

static bool held(void *ctx, uint32_t pid, uint64_t start_jiffies)
{
    (void)ctx;
    (void)pid;
    (void)start_jiffies;
    return true;
}

static void process(void *ctx, const struct rec_process *p, const struct look_how *how)
{
    struct dump *d = ctx;

    d->process = *p;
    if (d->quiet) {
        return;
    }
    (void)printf("process %" PRIu64 " start=%" PRIu64 " ppid=%" PRIu64 " uid=%" PRIu64 "/%" PRIu64 " gid=%" PRIu64
                 " login=%" PRIu64 " session=%" PRIu64 " tty=%" PRIu64 " netns=%" PRIu64 "%s%s unreadable=%" PRIu64,
                 p->pid, p->start_jiffies, p->ppid, p->ruid, p->euid, p->rgid, p->login_uid, p->session, p->tty,
                 p->ns_net, p->kernel_thread ? " kernel" : "", how->zombie ? " zombie" : "", p->unreadable);
    print_text("command", p->command);
    print_text("exe", p->exe);
    print_text("arguments", p->arguments);
    print_text("cwd", p->cwd);
    print_text("cgroup", p->cgroup);
    print_text("container", p->container);
    (void)printf("\n");
}

static bool process_held(void *ctx, uint32_t pid, uint64_t start_jiffies, const struct look_how *how)
{
    (void)how;
    return held(ctx, pid, start_jiffies);
}

static bool file_held(void *ctx, uint32_t thread, uint32_t fd)
{
    (void)ctx;
    (void)thread;
    (void)fd;
    return true;
}

static void file(void *ctx, const struct rec_file *f)
{
    const struct dump *d = ctx;

    if (d->quiet) {
        return;
    }
    (void)printf("  fd %" PRIu64 " thread=%" PRIu64 " kind=%" PRIu64 " access=%" PRIu64 " device=%" PRIx64
                 " inode=%" PRIu64 " deleted=%" PRIu64,
                 f->fd, f->thread, f->kind, f->access_mode, f->device, f->inode, f->deleted);
    print_text("path", f->path);
    (void)printf("\n");
}

static void files_end(void *ctx, uint32_t thread, uint32_t low, uint32_t high)
{
    (void)ctx;
    (void)thread;
    (void)low;
    (void)high;
}

static void process_end(void *ctx, const struct look_how *how)
{
    (void)ctx;
    (void)how;
}

static void blocked(void *ctx, uint32_t pid, uint64_t start_jiffies)
{
    (void)ctx;
    (void)printf("blocked %u start=%" PRIu64 "\n", pid, start_jiffies);
}

static int64_t now_us(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void print_event(void *ctx, const struct event *e)
{
    static const char *const names[] = { "?",           "fork", "thread",  "exec", "exit",
                                         "thread_exit", "ids",  "session", "name", "coredump" };

    (void)ctx;
    (void)printf("%" PRIu64 " %s pid=%u tid=%u parent=%u start=%" PRIu64 " status=%u", e->boot_us, names[e->kind],
                 e->pid, e->tid, e->parent, e->start_jiffies, e->exit_status);
    print_text("name", slice_of(e->name, e->name_len));
    (void)printf("\n");
}

static void print_exec(void *ctx, const struct exec_seen *x)
{
    (void)ctx;
    (void)printf("%" PRIu64 " program pid=%u start=%" PRIu64 " ppid=%u uid=%u", x->boot_us, x->pid, x->start_jiffies,
                 x->ppid, x->euid);
    print_text("command", x->command);
    print_text("exe", x->exe);
    print_text("arguments", x->arguments);
    (void)printf("\n");
}

static int dump_events(long looks, long pause_ms)
{
    static const struct events_sink sink = { print_event, print_exec };
    struct events *e = NULL;
    struct events_figures f;
    struct pofr_err err = { .code = 0 };

    if (events_open(NULL, &e, &err) != 0) {
        (void)fprintf(stderr, "look_dump: %s\n", err.text);
        return EXIT_FAILURE;
    }
    for (long i = 0; i < looks; i++) {
        uint64_t lost;

        (void)usleep((useconds_t)pause_ms * 1000); /* allowed: the pace that was asked for */
        if (events_drain(e, &sink, NULL, &lost, &err) != 0) {
            (void)fprintf(stderr, "look_dump: %s\n", err.text);
            return EXIT_FAILURE;
        }
    }
    events_figures(e, &f);
    (void)printf("events: %s%s%s received=%" PRIu64 " lost=%" PRIu64 " gaps=%" PRIu64 " programs_read=%" PRIu64
                 " missed=%" PRIu64 " lost=%" PRIu64 " asleep=%" PRIu64 "\n",
                 events_mode(e), events_reason(e) ? ": " : "", events_reason(e) ? events_reason(e) : "", f.received,
                 f.lost, f.sequence_gaps, f.execs_read, f.execs_missed, f.exec_events_lost, f.exec_asleep);
    events_close(e);
    return EXIT_SUCCESS;
}

struct hints {
    struct look_proc *l;
};

static void hint(void *ctx, const struct event *e)
{
    static const int hints[] = {
        [EVENT_FORK] = LOOK_HINT_NEW,     [EVENT_THREAD] = LOOK_HINT_THREAD, [EVENT_EXEC] = LOOK_HINT_READ,
        [EVENT_EXIT] = LOOK_HINT_EXIT,    [EVENT_THREAD_EXIT] = -1,          [EVENT_IDS] = LOOK_HINT_READ,
        [EVENT_SESSION] = LOOK_HINT_READ, [EVENT_NAME] = LOOK_HINT_READ,     [EVENT_COREDUMP] = -1
    };

    if (hints[e->kind] >= 0) {
        look_proc_hint(((struct hints *)ctx)->l, e->pid, (enum look_hint)hints[e->kind]);
    }
}

static int fail(const struct pofr_err *err)
{
    (void)fprintf(stderr, "look_dump: %s\n", err->text);
    return EXIT_FAILURE;
}

/* One look: 0, or the error. */
static int look(struct look_proc *l, struct events *e, struct look_ask ask, struct dump *d, long number,
                struct pofr_err *err)
{
    static const struct look_sink sink = {
        held, process, process_held, file_held, file, files_end, process_end, blocked
    };
    static const struct events_sink hinting = { hint, NULL };
    struct hints h = { l };
    struct look_result r;
    int64_t cpu = now_us(CLOCK_PROCESS_CPUTIME_ID), wall = now_us(CLOCK_MONOTONIC);
    uint64_t lost = 0;
    int code;

    if (e && (code = events_drain(e, &hinting, &h, &lost, err)) != 0) {
        return code;
    }
    ask.now_us = now_us(CLOCK_MONOTONIC);
    ask.list = !e || number == 0 || lost > 0;
    ask.told = ask.told || (e && lost == 0);
    if ((code = look_proc_run(l, &ask, &sink, d, &r, err)) != 0) {
        return code;
    }
    (void)printf("look %ld: %s processes=%u read=%u reconciled=%u vanished=%u blocked=%u files=%" PRIu64
                 " torn=%u unannounced=%u cpu_us=%" PRId64 " wall_us=%" PRId64 "\n",
                 number, r.complete ? "complete" : "INCOMPLETE", r.processes, r.read, r.reconciled, r.vanished,
                 r.blocked, r.files, r.torn, r.unannounced, now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu,
                 now_us(CLOCK_MONOTONIC) - wall);
    return 0;
}

int main(int argc, char **argv)
{
    bool events = false, by_events = false;
    struct look_ask ask = { .full = false };
    struct dump d = { .quiet = false };
    struct look_proc *l = NULL;
    struct events *e = NULL;
    struct pofr_err err = { .code = 0 };
    long looks, pause_ms;
    int word;

    while ((word = getopt(argc, argv, "qflte")) != -1) {
        if (word == '?') {
            return 2;
        }
        d.quiet = d.quiet || word == 'q';
        ask.full = ask.full || word == 'f';
        ask.told = ask.told || word == 't';
        by_events = by_events || word == 'l';
        events = events || word == 'e';
    }
    looks = optind < argc ? strtol(argv[optind], NULL, 10) : 1;
    pause_ms = optind + 1 < argc ? strtol(argv[optind + 1], NULL, 10) : 300;
    if (events) {
        return dump_events(looks, pause_ms);
    }
    if (look_proc_new(NULL, &l, &err) != 0 ||
        (by_events && events_open(&(struct events_conf){ .no_exec_reader = true }, &e, &err) != 0)) {
        return fail(&err);
    }
    for (long i = 0; i < looks; i++) {
        if (look(l, e, ask, &d, i, &err) != 0) {
            return fail(&err);
        }
        d.quiet = true;
        (void)usleep((useconds_t)pause_ms * 1000); /* allowed: the pace that was asked for */
    }
    events_close(e);
    look_proc_free(l);
    return EXIT_SUCCESS;
}
