/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/stop_point.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/tmpdir.h"

#include "common/base/buf.h"
#include "common/os/fsio.h"

static char file[TMPDIR_PATH_SIZE];

/* A child that passes three points n times each, and then ends. */
static pid_t start(const char *at, int n, void **state)
{
    pid_t child;

    (void)setenv("POFR_STOP_AT", at, 1);
    (void)setenv("POFR_STOP_FILE", tmpdir_join(*state, "stopped", file), 1);
    child = fork();
    if (child == 0) {
        for (int i = 0; i < n; i++) {
            STOP_POINT("before");
            STOP_POINT("store");
            STOP_POINT("store_after");
        }
        _exit(0);
    }
    return child;
}

#if defined(POFR_STOP_POINTS)
static void assert_file(const char *expected)
{
    struct buf b = BUF_INIT(1000);

    assert_int_equal(fsio_read(file, &b, NULL), 0);
    assert_slice_str(buf_slice(&b), expected);
    buf_free(&b);
}

static void it_stops_at_the_named_passage_once(void **state)
{
    pid_t child = start("store:2", 5, state);
    int status;

    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    assert_file("store\n");
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFEXITED(status));
    assert_file("store\n");
}

static void without_a_number_it_is_the_first_passage(void **state)
{
    pid_t child = start("store_after", 1, state);
    int status;

    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    assert_file("store_after\n");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}
#endif

static void other_names_and_passages_never_reached_do_not_stop(void **state)
{
    static const char *const at[] = { "stor", "elsewhere", "store:9", "" };
    int status;

    for (size_t i = 0; i < 4; i++) {
        pid_t child = start(at[i], 2, state);

        assert_int_equal(waitpid(child, &status, WUNTRACED), child);
        assert_true(WIFEXITED(status));
        assert_int_not_equal(access(file, F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(POFR_STOP_POINTS)
        cmocka_unit_test_setup_teardown(it_stops_at_the_named_passage_once, tmpdir_setup, tmpdir_teardown),
        cmocka_unit_test_setup_teardown(without_a_number_it_is_the_first_passage, tmpdir_setup, tmpdir_teardown),
#endif
        cmocka_unit_test_setup_teardown(other_names_and_passages_never_reached_do_not_stop, tmpdir_setup,
                                        tmpdir_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
