/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/tmpdir.h"

#include "common/base/err.h"

/* Rights and limits are tried in a child; its exit code is the number of the first check that failed. */
static int in_child(int (*fn)(void))
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        _exit(fn());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int set_up(void)
{
    struct rlimit core;
    struct stat st;

    (void)close(0);
    (void)close(2);
    if (service_setup(NULL) != 0) {
        return 1;
    }
    if (fstat(0, &st) != 0 || fstat(2, &st) != 0) {
        return 2;
    }
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0) {
        return 3;
    }
    if (raise(SIGPIPE) != 0) {
        return 4;
    }
    return umask(0) == 027 ? 0 : 5;
}

static void setup_opens_the_first_fds_and_forbids_cores(void **state)
{
    (void)state;
    assert_int_equal(in_child(set_up), 0);
}

static int raise_limit(void)
{
    struct rlimit low = { 64, 128 }, now;

    if (setrlimit(RLIMIT_NOFILE, &low) != 0) {
        return 1;
    }
    if (service_raise_nofile(10) != 64 || service_raise_nofile(100) != 100) {
        return 2;
    }
    /* all that the hard limit allows, or all that was asked for where we may raise that */
    if (service_raise_nofile(1000) < 128 || getrlimit(RLIMIT_NOFILE, &now) != 0) {
        return 3;
    }
    return now.rlim_cur == 128 || now.rlim_cur == 1000 ? 0 : 4;
}

static void the_limit_of_open_files_goes_as_high_as_it_may(void **state)
{
    (void)state;
    assert_int_equal(in_child(raise_limit), 0);
}

static int drop_to_other(void)
{
    const struct service_identity id = { 54321, 54322, { "cap_sys_ptrace", "cap_dac_read_search", NULL } };
    bool had = service_has_cap("cap_sys_ptrace");

    if (service_drop(&id, NULL) != 0) {
        return 1;
    }
    if (getuid() != 54321 || geteuid() != 54321 || getgid() != 54322 || getgroups(0, NULL) != 0) {
        return 2;
    }
    if (setuid(0) == 0) {
        return 3;
    }
    if (service_has_cap("cap_sys_ptrace") != had) {
        return 4;
    }
    if (service_has_cap("cap_chown") || service_has_cap("cap_setuid")) {
        return 5;
    }
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 6;
}

static void dropped_rights_are_gone_and_listed_ones_stay(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: skipped\n");
        skip();
    }
    assert_int_equal(in_child(drop_to_other), 0);
}

static int drop_twice(void)
{
    const struct service_identity first = { 54321, 54321, { "cap_chown", NULL } };
    const struct service_identity none = { 54321, 54321, { NULL } };
    const struct service_identity other = { 54320, 54320, { NULL } };
    struct pofr_err err = { 0 };

    if (service_drop(&first, NULL) != 0 || !service_has_cap("cap_chown")) {
        return 1;
    }
    if (service_drop(&other, &err) != POFR_EPERMISSION) {
        return 2;
    }
    return service_drop(&none, NULL) == 0 && !service_has_cap("cap_chown") ? 0 : 3;
}

static void without_root_only_ones_own_uid_is_taken(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: skipped\n");
        skip();
    }
    assert_int_equal(in_child(drop_twice), 0);
}

static int drop_as_root(void)
{
    const struct service_identity id = { 0, 0, { "cap_sys_ptrace", NULL } };

    if (service_drop(&id, NULL) != 0 || getuid() != 0) {
        return 1;
    }
    return service_has_cap("cap_chown") || service_has_cap("cap_setuid") ? 2 : 0;
}

static void uid_0_loses_its_capabilities_too(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: skipped\n");
        skip();
    }
    assert_int_equal(in_child(drop_as_root), 0);
}

static int drop_nonsense(void)
{
    const struct service_identity id = { getuid(), getgid(), { "cap_to_fly", NULL } };

    return service_drop(&id, NULL) == POFR_EUSAGE ? 0 : 1;
}

static void an_unknown_capability_is_refused(void **state)
{
    (void)state;
    assert_int_equal(in_child(drop_nonsense), 0);
    assert_false(service_has_cap("cap_to_fly"));
}

static void users_are_found_by_name_and_number(void **state)
{
    struct service_identity id = { 1, 1, { NULL } };
    struct pofr_err err = { 0 };

    (void)state;
    assert_int_equal(service_lookup_user("root", &id, &err), 0);
    assert_int_equal(id.uid, 0);
    assert_int_equal(id.gid, 0);
    assert_int_equal(service_lookup_user("54321", &id, &err), 0);
    assert_int_equal(id.uid, 54321);
    assert_int_equal(id.gid, 54321);
    assert_int_equal(service_lookup_user("no-such-user", &id, &err), POFR_ENOTFOUND);
    assert_non_null(strstr(err.text, "no-such-user"));
}

static int notify_fd;

static void assert_notified(const char *expected)
{
    char text[600];
    ssize_t n = recv(notify_fd, text, sizeof(text) - 1, MSG_DONTWAIT);

    assert_true(n > 0);
    text[n] = '\0';
    assert_memory_equal(text, expected, strlen(expected));
}

static void the_service_manager_hears_of_each_step(void **state)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char path[TMPDIR_PATH_SIZE];

    (void)unsetenv("NOTIFY_SOCKET");
    service_ready(); /* nobody listens: no harm */
    notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", tmpdir_join(*state, "n", path));
    assert_int_equal(bind(notify_fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    (void)setenv("NOTIFY_SOCKET", path, 1);
    service_ready();
    assert_notified("READY=1");
    service_status("%d sessions\nREADY=0", 3);
    assert_notified("STATUS=3 sessions READY=0");
    service_reloading();
    assert_notified("RELOADING=1\nMONOTONIC_USEC=");
    service_watchdog();
    assert_notified("WATCHDOG=1");
    service_stopping();
    assert_notified("STOPPING=1");
    service_extend(90000000);
    assert_notified("EXTEND_TIMEOUT_USEC=90000000");
    (void)setenv("NOTIFY_SOCKET", "relative", 1);
    service_ready();
    assert_int_equal(recv(notify_fd, path, 1, MSG_DONTWAIT), -1);
    (void)unsetenv("NOTIFY_SOCKET");
    (void)close(notify_fd);
}

static void the_watchdog_is_ours_only_with_our_pid(void **state)
{
    char pid[24];

    (void)state;
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    assert_int_equal(service_watchdog_us(), 0);
    (void)setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(service_watchdog_us(), 15000000);
    (void)setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(service_watchdog_us(), 0);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(service_watchdog_us(), 15000000);
    (void)setenv("WATCHDOG_USEC", "often", 1);
    assert_int_equal(service_watchdog_us(), 0);
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setup_opens_the_first_fds_and_forbids_cores),
        cmocka_unit_test(the_limit_of_open_files_goes_as_high_as_it_may),
        cmocka_unit_test(dropped_rights_are_gone_and_listed_ones_stay),
        cmocka_unit_test(without_root_only_ones_own_uid_is_taken),
        cmocka_unit_test(uid_0_loses_its_capabilities_too),
        cmocka_unit_test(an_unknown_capability_is_refused),
        cmocka_unit_test(users_are_found_by_name_and_number),
        cmocka_unit_test_setup_teardown(the_service_manager_hears_of_each_step, tmpdir_setup, tmpdir_teardown),
        cmocka_unit_test(the_watchdog_is_ours_only_with_our_pid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
