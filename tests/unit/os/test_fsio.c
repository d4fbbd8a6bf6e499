/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/os/fsio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/tmpdir.h"

#include "common/base/buf.h"
#include "common/base/err.h"

/*
 * Faults: the n-th of the wrapped calls fails (0: none), with ENOSPC; and each write takes few bytes at a time.
 */
static int calls;
static int fail_at;
static bool short_writes;

ssize_t __real_write(int fd, const void *data, size_t len);
ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t at);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_fchmod(int fd, mode_t mode);
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_fchmod(int fd, mode_t mode);

static bool fails_now(void)
{
    if (fail_at > 0 && ++calls == fail_at) {
        errno = ENOSPC;
        return true;
    }
    return false;
}

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
    if (fails_now()) {
        return -1;
    }
    return __real_write(fd, data, short_writes && len > 3 ? 3 : len);
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at)
{
    return fails_now() ? -1 : __real_pwrite(fd, data, short_writes && len > 3 ? 3 : len, at);
}

int __wrap_fsync(int fd)
{
    return fails_now() ? -1 : __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
    return fails_now() ? -1 : __real_rename(from, to);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    return fails_now() ? -1 : __real_fchmod(fd, mode);
}

static int setup(void **state)
{
    calls = fail_at = 0;
    short_writes = false;
    return tmpdir_setup(state);
}

static void assert_file(const char *path, const char *expected)
{
    struct buf b = BUF_INIT(100000);

    assert_int_equal(fsio_read(path, &b, NULL), 0);
    assert_slice_str(buf_slice(&b), expected);
    buf_free(&b);
}

static void replace_makes_the_file_with_its_mode_and_leaves_nothing_else(void **state)
{
    char path[TMPDIR_PATH_SIZE], tmp[TMPDIR_PATH_SIZE];
    mode_t before = umask(077);
    struct stat st;

    short_writes = true;
    assert_int_equal(fsio_replace(tmpdir_join(*state, "f", path), slice_str("first"), 0644, NULL), 0);
    (void)umask(before);
    assert_file(path, "first");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(fsio_replace(path, slice_str("second, longer"), 0600, NULL), 0);
    assert_file(path, "second, longer");
    assert_int_equal(fsio_replace(path, SLICE_EMPTY, 0600, NULL), 0);
    assert_file(path, "");
    assert_int_equal(access(tmpdir_join(*state, "f.tmp", tmp), F_OK), -1);
}

/* Fail call 1, 2, 3 … until none is left to fail: the file is the old one or the new one, whole. */
static void replace_leaves_the_old_file_whatever_fails(void **state)
{
    char path[TMPDIR_PATH_SIZE], tmp[TMPDIR_PATH_SIZE];
    struct pofr_err err = { 0 };
    int rc = -1;

    tmpdir_join(*state, "f", path);
    tmpdir_join(*state, "f.tmp", tmp);
    short_writes = true;
    for (fail_at = 1; rc != 0; fail_at++) {
        int n = fail_at;

        fail_at = 0;
        assert_int_equal(fsio_replace(path, slice_str("old"), 0600, NULL), 0);
        fail_at = n;
        calls = 0;
        rc = fsio_replace(path, slice_str("newer"), 0600, &err);
        if (rc != 0) {
            fail_at = 0;
            assert_int_equal(rc, POFR_ENOSPACE);
            assert_int_equal(err.sys, ENOSPC);
            assert_file(path, strstr(err.text, "sync folder") ? "newer" : "old");
            assert_int_equal(access(tmp, F_OK), -1);
            fail_at = n;
        }
        assert_true(n < 20);
    }
    fail_at = 0;
    assert_file(path, "newer");
}

static void reading_is_bounded_by_the_buffer(void **state)
{
    char path[TMPDIR_PATH_SIZE];
    struct buf exact = BUF_INIT(5), small = BUF_INIT(4);
    struct pofr_err err = { 0 };

    assert_int_equal(fsio_replace(tmpdir_join(*state, "f", path), slice_str("12345"), 0600, NULL), 0);
    assert_int_equal(fsio_read(path, &exact, &err), 0);
    assert_slice_str(buf_slice(&exact), "12345");
    assert_int_equal(fsio_read(path, &small, &err), POFR_ETOOBIG);
    assert_int_equal(small.len, 0);
    assert_int_equal(small.err, 0);
    buf_free(&exact);
    buf_free(&small);
}

static void a_buffer_used_as_text_before_reads_to_its_last_byte(void **state)
{
    static char text[9001];
    char path[TMPDIR_PATH_SIZE];
    struct buf b = BUF_INIT(9000);

    memset(text, 'x', 9000);
    assert_int_equal(fsio_replace(tmpdir_join(*state, "f", path), slice_str(text), 0600, NULL), 0);
    buf_str(&b, text);
    assert_non_null(buf_cstr(&b)); /* now it has room for the NUL too */
    buf_reset(&b);
    assert_int_equal(fsio_read(path, &b, NULL), 0);
    assert_slice_str(buf_slice(&b), text);
    buf_free(&b);
}

static void reading_appends_and_takes_files_of_unknown_size(void **state)
{
    struct buf b = BUF_INIT(1 << 20);

    (void)state;
    buf_str(&b, "x");
    assert_int_equal(fsio_read("/proc/self/status", &b, NULL), 0);
    assert_true(b.len > 100);
    assert_memory_equal(b.data, "xName:", 6);
    buf_free(&b);
}

static void errors_name_the_path_and_the_reason(void **state)
{
    char path[TMPDIR_PATH_SIZE];
    struct buf b = BUF_INIT(10);
    struct pofr_err err = { 0 };

    assert_int_equal(fsio_read(tmpdir_join(*state, "none", path), &b, &err), POFR_ENOTFOUND);
    assert_int_equal(err.sys, ENOENT);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(fsio_read(*state, &b, &err), POFR_ESYSTEM);
    assert_int_equal(err.sys, EISDIR);
    buf_free(&b);
    assert_int_equal(fsio_code(0), 0);
    assert_int_equal(fsio_code(EACCES), POFR_EPERMISSION);
    assert_int_equal(fsio_code(ENOMEM), POFR_ENOMEM);
    assert_int_equal(fsio_code(EEXIST), POFR_EEXISTS);
}

static void folders_are_made_down_to_the_last(void **state)
{
    char path[TMPDIR_PATH_SIZE], file[TMPDIR_PATH_SIZE];
    struct pofr_err err = { 0 };
    struct stat st;

    assert_int_equal(fsio_mkdirs(tmpdir_join(*state, "a//b/c/", path), 0755, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(fsio_mkdirs(path, 0755, &err), 0);
    assert_int_equal(fsio_mkdirs("/", 0755, &err), 0);
    assert_int_equal(fsio_mkdirs("", 0755, &err), POFR_ETOOBIG);
    assert_int_equal(fsio_replace(tmpdir_join(*state, "a/file", file), SLICE_EMPTY, 0600, &err), 0);
    assert_int_equal(fsio_mkdirs(file, 0755, &err), POFR_EEXISTS);
    assert_int_equal(fsio_mkdirs(tmpdir_join(*state, "a/file/x", path), 0755, &err), POFR_EEXISTS);
}

static void a_lock_has_one_holder_who_is_named(void **state)
{
    char path[TMPDIR_PATH_SIZE], expected[64];
    struct pofr_err err = { 0 };
    int first = -1, second = -1;

    assert_int_equal(fsio_lock(tmpdir_join(*state, "lock", path), &first, &err), 0);
    assert_true(fcntl(first, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fsio_lock(path, &second, &err), POFR_EBUSY);
    assert_int_equal(second, -1);
    (void)snprintf(expected, sizeof(expected), "locked by process %d", (int)getpid());
    assert_non_null(strstr(err.text, expected));
    fsio_close(&first);
    assert_int_equal(first, -1);
    assert_int_equal(fsio_lock(path, &second, &err), 0);
    fsio_close(&second);
    fsio_close(&second);
}

static void a_lock_ends_with_its_process(void **state)
{
    char path[TMPDIR_PATH_SIZE];
    int fd = -1, status;
    pid_t child;

    tmpdir_join(*state, "lock", path);
    child = fork();
    if (child == 0) {
        _exit(fsio_lock(path, &fd, NULL) == 0 ? 7 : 8);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(fsio_lock(path, &fd, NULL), 0);
    fsio_close(&fd);
}

static void a_secret_that_everyone_can_read_is_refused(void **state)
{
    char path[TMPDIR_PATH_SIZE];
    struct buf b = BUF_INIT(100);
    struct pofr_err err = { 0 };

    assert_int_equal(fsio_replace(tmpdir_join(*state, "s", path), slice_str("word\n"), 0640, NULL), 0);
    assert_int_equal(fsio_read_secret(path, &b, &err), 0);
    assert_slice_str(buf_slice(&b), "word");
    assert_int_equal(chmod(path, 0644), 0);
    buf_reset(&b);
    assert_int_equal(fsio_read_secret(path, &b, &err), POFR_EPERMISSION);
    assert_null(strstr(err.text, "word"));
    assert_int_equal(fsio_read_secret(*state, &b, &err), POFR_EPERMISSION);
    assert_int_equal(fsio_read_secret("/dev/null", &b, &err), POFR_EPERMISSION);
    buf_free(&b);
}

static void a_credential_comes_from_the_service_managers_folder(void **state)
{
    char path[TMPDIR_PATH_SIZE];
    struct buf b = BUF_INIT(100);
    struct pofr_err err = { 0 };

    (void)unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(fsio_read_secret("credential:db", &b, &err), POFR_ENOTFOUND);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", *state, 1), 0);
    assert_int_equal(fsio_replace(tmpdir_join(*state, "db", path), slice_str("word"), 0400, NULL), 0);
    assert_int_equal(fsio_read_secret("credential:db", &b, &err), 0);
    assert_slice_str(buf_slice(&b), "word");
    assert_int_equal(fsio_read_secret("credential:../db", &b, &err), POFR_ENOTFOUND);
    assert_int_equal(fsio_read_secret("credential:", &b, &err), POFR_ENOTFOUND);
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    buf_free(&b);
}

static void pwrite_continues_after_a_short_write(void **state)
{
    char path[TMPDIR_PATH_SIZE];
    int fd = open(tmpdir_join(*state, "f", path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    short_writes = true;
    assert_int_equal(fsio_pwrite(fd, slice_str("0123456789"), 2, NULL), 0);
    assert_int_equal(fsio_pwrite(fd, slice_str("ab"), 0, NULL), 0);
    assert_file(path, "ab0123456789");
    fail_at = 1;
    assert_int_equal(fsio_pwrite(fd, slice_str("x"), 0, NULL), POFR_ENOSPACE);
    fsio_close(&fd);
}

static void random_bytes_fill_what_was_asked_for(void **state)
{
    uint8_t a[1000] = { 0 }, b[1000] = { 0 };

    (void)state;
    assert_int_equal(fsio_random(a, sizeof(a), NULL), 0);
    assert_int_equal(fsio_random(b, sizeof(b), NULL), 0);
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_not_equal(a + 900, (uint8_t[100]){ 0 }, 100);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, setup, tmpdir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(replace_makes_the_file_with_its_mode_and_leaves_nothing_else),
        IN_FOLDER(replace_leaves_the_old_file_whatever_fails),
        IN_FOLDER(reading_is_bounded_by_the_buffer),
        IN_FOLDER(a_buffer_used_as_text_before_reads_to_its_last_byte),
        IN_FOLDER(reading_appends_and_takes_files_of_unknown_size),
        IN_FOLDER(errors_name_the_path_and_the_reason),
        IN_FOLDER(folders_are_made_down_to_the_last),
        IN_FOLDER(a_lock_has_one_holder_who_is_named),
        IN_FOLDER(a_lock_ends_with_its_process),
        IN_FOLDER(a_secret_that_everyone_can_read_is_refused),
        IN_FOLDER(a_credential_comes_from_the_service_managers_folder),
        IN_FOLDER(pwrite_continues_after_a_short_write),
        IN_FOLDER(random_bytes_fill_what_was_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
