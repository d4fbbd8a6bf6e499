/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * look_dump.c -- prints looks as text: to see what the recorder sees, and what a look costs. Built, not installed.
 *
 *   look_dump [looks [milliseconds between]]     the first look in full, then one line of figures per look
 *   look_dump -q looks milliseconds              figures only
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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
    (void)printf("  fd %" PRIu64 " thread=%" PRIu64 " kind=%" PRIu64 " access=%" PRIu64 " device=%" PRIx64 " inode=%" PRIu64
                 " deleted=%" PRIu64,
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

int main(int argc, char **argv)
{
    static const struct look_sink sink = { held, process, process_held, file_held, file, files_end, process_end,
                                           blocked };
    struct dump d = { .quiet = argc > 1 && strcmp(argv[1], "-q") == 0 };
    long looks = argc > 1 + d.quiet ? strtol(argv[1 + d.quiet], NULL, 10) : 1;
    long pause_ms = argc > 2 + d.quiet ? strtol(argv[2 + d.quiet], NULL, 10) : 300;
    struct look_proc *l = NULL;
    struct pofr_err err = { .code = 0 };

    if (look_proc_new(NULL, &l, &err) != 0) {
        (void)fprintf(stderr, "look_dump: %s\n", err.text);
        return EXIT_FAILURE;
    }
    for (long i = 0; i < looks; i++) {
        struct look_ask ask = { .list = true, .now_us = now_us(CLOCK_MONOTONIC) };
        struct look_result r;
        int64_t cpu = now_us(CLOCK_PROCESS_CPUTIME_ID), wall = now_us(CLOCK_MONOTONIC);

        if (look_proc_run(l, &ask, &sink, &d, &r, &err) != 0) {
            (void)fprintf(stderr, "look_dump: %s\n", err.text);
            return EXIT_FAILURE;
        }
        (void)printf("look %ld: %s processes=%u read=%u reconciled=%u vanished=%u blocked=%u files=%" PRIu64
                     " torn=%u unannounced=%u cpu_us=%" PRId64 " wall_us=%" PRId64 "\n",
                     i, r.complete ? "complete" : "INCOMPLETE", r.processes, r.read, r.reconciled, r.vanished, r.blocked,
                     r.files, r.torn, r.unannounced, now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu,
                     now_us(CLOCK_MONOTONIC) - wall);
        d.quiet = true;
        (void)usleep((useconds_t)pause_ms * 1000);
    }
    look_proc_free(l);
    return EXIT_SUCCESS;
}
