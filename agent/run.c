/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pofr-agent run: collector and shipper as two children, each of which takes its own user. Ends when either
 * ends, so that a supervisor starts both again; a signal to end goes to the shipper first, so that it still has a collector.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent_conf.h"
#include "agent/commands.h"
#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/os/options.h"
#include "common/os/service.h"

#define STOP_LIMIT_S 30

enum {
    COLLECTOR,
    SHIPPER,
    PARTS
};

static const char *const words[PARTS] = { "collect", "ship" };

static pid_t start_part(int part, const char *config, const sigset_t *mask)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    char *argv[] = { (char *)(uintptr_t) "pofr-agent", (char *)(uintptr_t)words[part], (char *)(uintptr_t) "--config",
                     (char *)(uintptr_t)config, NULL };

    if (pid != 0) {
        return pid;
    }
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    /* no part outlives us; whoever died before this line is seen by the second */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) {
        _exit(POFR_EXIT_RETRY);
    }
    (void)execv("/proc/self/exe", argv);
    _exit(POFR_EXIT_RETRY);
}

static int exit_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : POFR_EXIT_RETRY;
}

/* Reap what has ended; the exit code of the first part that did, by itself, is what we end with. */
static void reap(pid_t pids[PARTS], int *exit_code, bool *ended)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < PARTS; i++) {
            if (pids[i] == pid) {
                pids[i] = 0;
                *exit_code = *ended ? *exit_code : exit_of(status);
                *ended = true;
                log_info("run", "part_ended", "part=%s exit=%d", words[i], exit_of(status));
            }
        }
    }
}

static void signal_part(const pid_t pids[PARTS], int part, int signo)
{
    if (pids[part] > 0) {
        (void)kill(pids[part], signo); /* it is our child, not reaped yet: the pid is its own */
    }
}

/* Shipper, then collector; what does not end in time is killed. */
static void stop_parts(pid_t pids[PARTS], const sigset_t *set)
{
    int exit_code = 0;
    bool ended = true;

    for (int part = SHIPPER; part >= COLLECTOR; part--) {
        int64_t until = clock_mono_us() + STOP_LIMIT_S * CLOCK_US_PER_S;

        signal_part(pids, part, SIGTERM);
        while (pids[part] > 0 && clock_mono_us() < until) {
            struct timespec second = { .tv_sec = 1 };

            (void)sigtimedwait(set, NULL, &second);
            reap(pids, &exit_code, &ended);
        }
        if (pids[part] > 0) {
            log_error("run", "part_killed", "part=%s", words[part]);
            signal_part(pids, part, SIGKILL);
            (void)waitpid(pids[part], NULL, 0);
            pids[part] = 0;
        }
    }
}

int run_main(int argc, char **argv)
{
    static const struct options_spec spec = {
        .program = "pofr-agent run",
        .what = "Start collector and shipper, each under its own user; end when either ends.",
        .synopsis = "",
        .conf = &agent_conf_table,
    };
    struct options options;
    struct pofr_err err = { 0 };
    pid_t pids[PARTS] = { 0 };
    int exit_code = POFR_EXIT_DONE, signo = 0;
    bool ended = false;
    sigset_t set, before;

    if (!options_parse(&spec, argc, argv, &options, &exit_code)) {
        return exit_code;
    }
    if (service_setup(&err) != 0) {
        log_error("run", "not_started", "error=\"%s\"", err.text);
        return POFR_EXIT_RETRY;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, &before);
    for (int i = 0; i < PARTS && !ended; i++) {
        pids[i] = start_part(i, options.config_path, &before);
        ended = pids[i] < 0;
        exit_code = ended ? POFR_EXIT_RETRY : exit_code;
    }
    service_ready();
    while (!ended && signo != SIGTERM && signo != SIGINT) {
        signo = sigwaitinfo(&set, NULL);
        if (signo == SIGHUP) {
            signal_part(pids, COLLECTOR, SIGHUP);
            signal_part(pids, SHIPPER, SIGHUP);
        }
        reap(pids, &exit_code, &ended);
    }
    service_stopping();
    stop_parts(pids, &set);
    conf_free(options.conf);
    return exit_code;
}
