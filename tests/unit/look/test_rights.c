/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/rights.h"

#include "tests/support/check.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct rows {
    char names[64][64];
    bool available[64];
    size_t count;
};

static void on_row(void *ctx, const struct rights_row *row)
{
    struct rows *r = ctx;

    assert_true(r->count < 64);
    assert_non_null(row->detail);
    assert_true(row->detail[0] != '\0');
    for (size_t i = 0; i < r->count; i++) {
        assert_string_not_equal(r->names[i], row->name);
    }
    (void)strncpy(r->names[r->count], row->name, sizeof(r->names[0]) - 1);
    r->available[r->count++] = row->available;
}

static bool has(const struct rows *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->names[i], name) == 0) {
            return r->available[i];
        }
    }
    fail_msg("no row %s", name);
    return false;
}

static void every_source_and_right_has_a_row_that_says_something(void **state)
{
    static const char *const names[] = { "capability SYS_PTRACE",
                                         "capability NET_ADMIN",
                                         "procfs",
                                         "hidepid",
                                         "kcmp",
                                         "statx",
                                         "proc connector",
                                         "sock_diag",
                                         "setns",
                                         "process clocks" };
    struct rows r = { .count = 0 };

    (void)state;
    rights_each(on_row, &r);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)has(&r, names[i]);
    }
}

static void what_nobody_may_not_is_said(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    if (geteuid() != 0) {
        print_message("not root: not tried\n");
        return;
    }
    pid = fork();
    if (pid == 0) {
        struct rows r = { .count = 0 };

        if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) {
            _exit(2);
        }
        rights_each(on_row, &r);
        _exit(has(&r, "capability SYS_PTRACE") || has(&r, "procfs") || has(&r, "setns") ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_source_and_right_has_a_row_that_says_something),
        cmocka_unit_test(what_nobody_may_not_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
