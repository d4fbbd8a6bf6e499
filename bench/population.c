/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * population.c -- the processes that capture is measured with: N that sleep, 10 to 20 descriptors each (0 to 2, a pipe, an
 * eventfd, the rest read-only regular files), 7 arguments, 3 of 8 root's and the others' over 5 uids; pairs
 * of loopback TCP sockets in one process more; and in another, programs that are executed and loopback connections that
 * are made, and end at once.
 *
 *   population N [--sockets PAIRS] [--busy PERCENT] [--execs PER_SECOND] [--connections PER_SECOND] [--lasting MS]
 *
 * busy: so many of 100 wake every 100 ms. PER_SECOND may be a fraction. lasting: how long a program that is executed lives, and a
 * connection, at least; without, they end at once. Prints "ready" when all are there; ends, with all of them, at the end of its
 * standard input or at SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMBERS_MAX 20000l
#define PAIRS_MAX   8000l
#define WAKE_NS     100000000l
#define SECOND_NS   1000000000l
#define RATE_MAX    600000l /* a minute */
#define LASTING_MAX 600000l
#define HELD_MAX    1000u
#define FIRST_UID   60001u
#define UIDS        5u

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* 10 to 20, the same for the same member in every run. */
static unsigned descriptors_of(unsigned member)
{
    return 10 + (member * 2654435761u >> 16) % 11;
}

static void open_files(unsigned member)
{
    static const char *const files[] = { "/etc/passwd",        "/etc/group",         "/etc/hosts",    "/etc/fstab",
                                         "/etc/profile",       "/etc/hostname",      "/etc/services", "/etc/protocols",
                                         "/etc/nsswitch.conf", "/etc/debian_version" };
    unsigned wanted = descriptors_of(member), have = 3;
    int ends[2];

    (void)close_range(3, ~0u, 0); /* what we were started with */
    if (pipe(ends) != 0 || eventfd(0, 0) < 0) {
        die("pipe, eventfd");
    }
    have += 3;
    for (unsigned tried = 0; have < wanted && tried < 100; tried++) {
        have += open(files[(member + tried) % (sizeof(files) / sizeof(files[0]))], O_RDONLY) >= 0;
    }
}

static void become(unsigned member)
{
    uid_t uid = FIRST_UID + member % UIDS;

    if (geteuid() == 0 && member % 8 >= 3 && (setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)) {
        die("setresuid");
    }
}

/* What a member executes: argv is "population-member", number, busy, 4 more; descriptor 1 says that it is there. */
static int live(char **argv)
{
    unsigned member = (unsigned)strtoul(argv[1], NULL, 10);
    bool busy = argv[2][0] == 'b';
    int null;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    become(member);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* new ids took it away */
    open_files(member);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (write(1, ".", 1) != 1 || dup2(null, 1) < 0) {
        return EXIT_FAILURE;
    }
    (void)close(null);
    for (;;) { /* until it is killed */
        const struct timespec a_while = { .tv_nsec = WAKE_NS };

        if (busy) {
            (void)nanosleep(&a_while, NULL); /* allowed: its work is to wake up this often */
        } else {
            (void)pause();
        }
    }
}

static int listen_on_loopback(struct sockaddr_in *out)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) != 0 || listen(listener, 128) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0) {
        die("listen");
    }
    *out = address;
    return listener;
}

/* A connection over loopback, both ends ours. */
static void connect_one(int listener, const struct sockaddr_in *address, int ends[2])
{
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (ends[0] < 0 || connect(ends[0], (const struct sockaddr *)address, sizeof(*address)) != 0 ||
        (ends[1] = accept(listener, NULL, NULL)) < 0) {
        die("connect");
    }
}

/* Loopback pairs, in one process. */
static int hold_sockets(long pairs)
{
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address), ends[2];

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (long i = 0; i < pairs; i++) {
        connect_one(listener, &address, ends);
    }
    if (write(1, ".", 1) != 1) {
        return EXIT_FAILURE;
    }
    (void)pause();
    return EXIT_SUCCESS;
}

static void start_member(long member, bool busy, int said)
{
    char number[24], half[24];
    char *argv[] = { (char *)(uintptr_t) "population-member",
                     number,
                     (char *)(uintptr_t)(busy ? "busy" : "still"),
                     (char *)(uintptr_t) "--config",
                     (char *)(uintptr_t) "/etc/population/member.conf",
                     (char *)(uintptr_t) "--half",
                     half,
                     NULL };
    pid_t pid = fork();

    if (pid < 0) {
        die("fork");
    }
    if (pid > 0) {
        return;
    }
    (void)snprintf(number, sizeof(number), "%ld", member);
    (void)snprintf(half, sizeof(half), "%ld", member / 2);
    if (dup2(said, 1) < 0) {
        die("dup2");
    }
    (void)execv("/proc/self/exe", argv);
    die("execv");
}

static void execute_one(long lasting)
{
    char seconds[24];
    pid_t pid = fork();

    if (pid == 0) {
        (void)close_range(3, ~0u, 0);
        if (lasting > 0) {
            (void)snprintf(seconds, sizeof(seconds), "%ld.%03ld", lasting / 1000, lasting % 1000);
            (void)execl("/bin/sleep", "sleep", seconds, (char *)NULL);
        } else {
            (void)execl("/bin/true", "true", "--of", "population", (char *)NULL);
        }
        _exit(127);
    }
    if (pid < 0 || (lasting == 0 && waitpid(pid, NULL, 0) != pid)) {
        die("fork, waitpid");
    }
}

struct rates {
    long execs, connections; /* a minute */
    long lasting;            /* ms */
};

struct held { /* connections until they have lasted long enough, the oldest first; a ring */
    struct {
        int ends[2];
        long long until_ms;
    } list[HELD_MAX];
    unsigned first, count;
};

static long long now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static void close_old(struct held *h, long long now)
{
    while (h->count > 0 && (h->count == HELD_MAX || h->list[h->first].until_ms <= now)) {
        (void)close(h->list[h->first].ends[0]);
        (void)close(h->list[h->first].ends[1]);
        h->first = (h->first + 1) % HELD_MAX;
        h->count--;
    }
}

static void hold(struct held *h, const int ends[2], long long until)
{
    unsigned at = (h->first + h->count++) % HELD_MAX;

    h->list[at].ends[0] = ends[0];
    h->list[at].ends[1] = ends[1];
    h->list[at].until_ms = until;
}

static bool is_lively(const struct rates *r)
{
    return r->execs > 0 || r->connections > 0;
}

/* So many programs and connections a minute, evenly. */
static int come_and_go(const struct rates *r)
{
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address), ends[2];
    struct timespec next;
    long done = 0, steps = r->execs > r->connections ? r->execs : r->connections;
    long long apart = 60 * SECOND_NS / steps;
    static struct held held;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (r->lasting > 0) {
        (void)signal(SIGCHLD, SIG_IGN); /* none is waited for */
    }
    if (write(1, ".", 1) != 1) {
        return EXIT_FAILURE;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &next);
    for (;; done = (done + 1) % steps) { /* until it is killed */
        if (done * r->execs / steps != (done + 1) * r->execs / steps) {
            execute_one(r->lasting);
        }
        if (done * r->connections / steps != (done + 1) * r->connections / steps) {
            connect_one(listener, &address, ends);
            hold(&held, ends, now_ms() + r->lasting);
        }
        close_old(&held, now_ms());
        next.tv_sec += (next.tv_nsec + apart) / SECOND_NS;
        next.tv_nsec = (next.tv_nsec + apart) % SECOND_NS;
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL); /* allowed: its rate is what it is for */
    }
}

static pid_t start_helper(int said)
{
    pid_t pid = fork();

    if (pid < 0) {
        die("fork");
    }
    if (pid == 0 && dup2(said, 1) < 0) {
        die("dup2");
    }
    return pid;
}

static void wait_for(int heard, long count)
{
    char dots[256];

    while (count > 0) {
        ssize_t n = read(heard, dots, sizeof(dots));

        if (n <= 0) {
            fprintf(stderr, "population: %ld did not come up\n", count);
            exit(EXIT_FAILURE);
        }
        count -= n;
    }
}

static long option(int argc, char **argv, const char *name, long times, long max)
{
    for (int i = 2; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            long value = (long)(strtod(argv[i + 1], NULL) * (double)times + 0.5);

            return value < 0 ? 0 : value > max ? max : value;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    long members = argc > 1 ? strtol(argv[1], NULL, 10) : 0, pairs, busy;
    struct rates rates;
    struct rlimit files;
    int ends[2];
    char byte;

    if (argc == 7 && strcmp(argv[0], "population-member") == 0) {
        return live(argv);
    }
    if (members < 1 || members > MEMBERS_MAX) {
        fprintf(stderr, "usage: population N [--sockets PAIRS] [--busy PERCENT] [--execs PER_SECOND] "
                        "[--connections PER_SECOND] [--lasting MS]\n");
        return 2;
    }
    pairs = option(argc, argv, "--sockets", 1, PAIRS_MAX);
    busy = option(argc, argv, "--busy", 1, 100);
    rates = (struct rates){ .execs = option(argc, argv, "--execs", 60, RATE_MAX),
                            .connections = option(argc, argv, "--connections", 60, RATE_MAX),
                            .lasting = option(argc, argv, "--lasting", 1, LASTING_MAX) };
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); /* fewer pairs, then */
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        die("pipe2");
    }
    for (long i = 0; i < members; i++) {
        start_member(i, i * busy / 100 != (i + 1) * busy / 100, ends[1]);
    }
    if (pairs > 0 && start_helper(ends[1]) == 0) {
        return hold_sockets(pairs);
    }
    if (is_lively(&rates) && start_helper(ends[1]) == 0) {
        return come_and_go(&rates);
    }
    wait_for(ends[0], members + (pairs > 0) + is_lively(&rates));
    (void)printf("ready\n");
    (void)fflush(stdout);
    while (read(0, &byte, 1) != 0 || errno == EINTR) {
    }
    return EXIT_SUCCESS;
}
