/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/look/events.h"
#include "agent/look/gate.h"
#include "agent/look/look_sock.h"
#include "agent/look/parse_proc.h"
#include "agent/look/proc_io.h"
#include "common/base/buf.h"
#include "common/os/fsio.h"

struct rights {
    rights_fn fn;
    void *ctx;
};

static void say(const struct rights *r, const char *name, bool available, bool needed, const char *detail)
{
    r->fn(r->ctx,
          &(struct rights_row){ .name = name, .available = available, .needed_for_all = needed, .detail = detail });
}

/* --- capabilities ------------------------------------------------------------------------------------------- */

static const struct {
    unsigned number;
    const char *name, *without;
    bool needed;
} capabilities[] = {
    { CAP_SYS_PTRACE, "capability SYS_PTRACE", "programs, namespaces and files of other users' processes are not seen",
      true },
    { CAP_DAC_READ_SEARCH, "capability DAC_READ_SEARCH", "files of other users' processes can't be listed", true },
    { CAP_NET_ADMIN, "capability NET_ADMIN", "the connector may be refused (before 6.6), and its buffer is small",
      true },
    { CAP_SYS_ADMIN, "capability SYS_ADMIN", "sockets of other network namespaces come from text, which costs more",
      false },
    { CAP_SYS_NICE, "capability SYS_NICE", "arguments of very short processes are missed more often", false },
};

static void check_capabilities(const struct rights *r)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

    (void)syscall(SYS_capget, &header, data); /* where it fails we have none */
    for (size_t i = 0; i < pofr_countof(capabilities); i++) {
        bool have = data[capabilities[i].number / 32].effective & 1u << capabilities[i].number % 32;

        say(r, capabilities[i].name, have, capabilities[i].needed, have ? "effective" : capabilities[i].without);
    }
}

/* --- procfs --------------------------------------------------------------------------------------------------- */

/* How many processes there are, and how many show their files' folder. Kernel threads have none to show, but it opens too. */
static void check_others(const struct rights *r)
{
    uint8_t dents[32768];
    uint32_t seen = 0, readable = 0, pid;
    char detail[160];
    int root = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t n = 0;

    while (root >= 0 && (n = syscall(SYS_getdents64, root, dents, sizeof(dents))) > 0) {
        struct slice text = slice_of(dents, (size_t)n);

        while (proc_dirent_next(&text, &pid)) {
            char name[32];
            int fd;

            (void)snprintf(name, sizeof(name), "%u/fd", pid);
            fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            seen++;
            if (fd >= 0 || errno == ENOENT) {
                readable++;
            }
            if (fd >= 0) {
                (void)close(fd); /* was only tried */
            }
        }
    }
    if (root >= 0) {
        (void)close(root); /* was only read */
    }
    (void)snprintf(detail, sizeof(detail), "files of %u of %u processes can be listed", readable, seen);
    say(r, "procfs", seen > 0 && readable == seen, true, detail);
}

/* The options of the mount on /proc, in /proc/self/mountinfo. */
static void check_hidepid(const struct rights *r)
{
    struct buf b = BUF_INIT(1024 * 1024);
    struct slice text;
    bool hides = false;

    if (fsio_read("/proc/self/mountinfo", &b, NULL) != 0) {
        say(r, "hidepid", false, true, "/proc/self/mountinfo can't be read");
        buf_free(&b);
        return;
    }
    text = buf_slice(&b);
    while (text.len > 0) {
        struct slice line = slice_split(&text, '\n');
        bool on_proc = line.len > 0 && memmem(line.data, line.len, " /proc ", 7) != NULL;

        hides = hides || (on_proc && memmem(line.data, line.len, "hidepid=", 8) != NULL &&
                          memmem(line.data, line.len, "hidepid=0", 9) == NULL &&
                          memmem(line.data, line.len, "hidepid=off", 11) == NULL);
    }
    buf_free(&b);
    say(r, "hidepid", !hides, false,
        hides ? "/proc hides processes from who may not trace them: SYS_PTRACE is needed to see them at all"
              : "/proc hides nothing");
}

static void check_clock(const struct rights *r)
{
    uint64_t ns;
    bool works = gate_clock((uint32_t)getpid(), &ns) == 0;

    say(r, "process clocks", works, false,
        works ? "what did not run is not read again" : "every process is read at every look");
}

static void check_kcmp(const struct rights *r)
{
    bool works = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILES, 0, 0) == 0;

    say(r, "kcmp", works, true,
        works ? "shared and own tables of files are told apart"
              : "threads with a table of files of their own are not seen, shared tables late");
}

static void check_statx(const struct rights *r)
{
    struct statx sx;
    bool works = statx(AT_FDCWD, "/proc/self/exe", AT_STATX_DONT_SYNC, STATX_INO, &sx) == 0;

    say(r, "statx", works, false,
        works ? "no file server is asked" : "a file server that does not answer blocks looks more often");
}

static void check_pidfd(const struct rights *r)
{
    struct look_thread_mark mark = { 0 };
    struct proc_ids ids;
    uint64_t inode;
    bool works = proc_pidfd_ids((struct look_thread *)&mark, (uint32_t)getpid(), &ids, &inode) == 0;

    say(r, "pidfd info", works, false,
        works ? "ids cost one call" : "ids are read as text, which costs more (kernel before 6.13)");
}

/* --- sockets and events --------------------------------------------------------------------------------------- */

struct sockets_seen {
    bool any, text, complete;
    uint32_t refused, sockets;
    const char *reason;
};

static void no_socket(void *ctx, const struct rec_socket *s)
{
    (void)ctx;
    (void)s;
}

static void on_netns(void *ctx, const struct look_netns_result *n)
{
    *(struct sockets_seen *)ctx = (struct sockets_seen){ .any = true,
                                                         .text = n->texts & 1u << LOOK_SOCK_TCP,
                                                         .complete = n->whole == LOOK_SOCK_ALL,
                                                         .refused = n->refused,
                                                         .sockets = n->sockets,
                                                         .reason = n->reason };
}

static void check_sockets(const struct rights *r)
{
    static const struct look_sock_sink sink = { no_socket, on_netns };
    struct sockets_seen seen = { .any = false };
    struct look_sock *l = NULL;
    struct pofr_err err = { .code = 0 };
    char detail[200];

    if (look_sock_new(NULL, &l, &err) != 0 || look_sock_run(l, NULL, 0, 0, &sink, &seen, &err) != 0 || !seen.any) {
        (void)snprintf(detail, sizeof(detail), "sockets can't be looked at: %.150s", err.text);
        say(r, "sock_diag", false, true, detail);
    } else {
        (void)snprintf(detail, sizeof(detail), "%u sockets%s%s%.120s", seen.sockets,
                       seen.text ? ", some from the text of /proc/PID/net" : "", seen.reason ? ": " : "",
                       seen.reason ? seen.reason : "");
        say(r, "sock_diag", seen.complete && !seen.text && seen.refused == 0, true, detail);
    }
    look_sock_free(l);
}

static void check_setns(const struct rights *r)
{
    int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    bool works = own >= 0 && setns(own, CLONE_NEWNET) == 0; /* where we are already */

    if (own >= 0) {
        (void)close(own); /* was only used */
    }
    say(r, "setns", works, false,
        works ? "other network namespaces can be entered"
              : "sockets of other network namespaces come from text, which costs more");
}

static void check_events(const struct rights *r)
{
    struct events *e = NULL;
    struct pofr_err err = { .code = 0 };
    bool reader;

    if (events_open(NULL, &e, &err) != 0) {
        say(r, "proc connector", false, true, "no memory");
        return;
    }
    say(r, "proc connector", events_there(e), true,
        events_there(e) ? "forks, execs and exits between looks are told" : events_reason(e));
    reader = events_exec_reader_there(e);
    if (events_there(e)) {
        say(r, "exec reader", reader && strcmp(events_mode(e), "connector+fifo") == 0, !reader,
            !reader ? events_reason(e) : events_mode(e));
    }
    events_close(e);
}

void rights_each(rights_fn fn, void *ctx)
{
    const struct rights r = { fn, ctx };

    check_capabilities(&r);
    check_others(&r);
    check_hidepid(&r);
    check_clock(&r);
    check_kcmp(&r);
    check_statx(&r);
    check_pidfd(&r);
    check_events(&r);
    check_sockets(&r);
    check_setns(&r);
}
