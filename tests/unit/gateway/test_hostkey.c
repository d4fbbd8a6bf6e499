/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/evidence/sshsig.h"
#include "common/os/fsio.h"
#include "gateway/hostkey.h"
#include "tests/support/tmpdir.h"

static char path[TMPDIR_PATH_SIZE], public_path[TMPDIR_PATH_SIZE];

static int set_up(void **state)
{
    int rc = tmpdir_setup(state);

    tmpdir_join((const char *)*state, "host_key", path);
    tmpdir_join((const char *)*state, "host_key.pub", public_path);
    return rc;
}

static void a_missing_key_is_made_once(void **state)
{
    struct buf first = BUF_INIT(16384), second = BUF_INIT(16384), line = BUF_INIT(4096);
    char fingerprint[64], again[64];
    struct stat st;
    uint8_t key[32];

    (void)state;
    assert_int_equal(hostkey_open(path, &first, fingerprint, NULL), 0);
    assert_memory_equal(fingerprint, "SHA256:", 7);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(hostkey_open(path, &second, again, NULL), 0);
    assert_string_equal(fingerprint, again);
    assert_true(slice_eq(buf_slice(&first), buf_slice(&second)));
    assert_int_equal(fsio_read(public_path, &line, NULL), 0);
    assert_int_equal(sshkey_public_parse(buf_slice(&line), key), 0);
    sshkey_fingerprint(key, again, sizeof(again));
    assert_string_equal(fingerprint, again);
    buf_free(&first);
    buf_free(&second);
    buf_free(&line);
}

static void a_lost_public_half_is_written_again(void **state)
{
    struct buf out = BUF_INIT(16384);
    char fingerprint[64];

    (void)state;
    assert_int_equal(hostkey_open(path, &out, fingerprint, NULL), 0);
    assert_int_equal(unlink(public_path), 0);
    buf_reset(&out);
    assert_int_equal(hostkey_open(path, &out, fingerprint, NULL), 0);
    assert_int_equal(access(public_path, R_OK), 0);
    buf_free(&out);
}

static void a_key_that_others_can_read_is_refused(void **state)
{
    struct buf out = BUF_INIT(16384);
    char fingerprint[64];

    (void)state;
    assert_int_equal(hostkey_open(path, &out, fingerprint, NULL), 0);
    assert_int_equal(chmod(path, 0644), 0);
    buf_reset(&out);
    assert_int_equal(hostkey_open(path, &out, fingerprint, NULL), POFR_EPERMISSION);
    buf_free(&out);
}

static void what_is_no_key_is_refused_and_left_as_it_is(void **state)
{
    struct buf out = BUF_INIT(16384), after = BUF_INIT(16384);
    char fingerprint[64];
    struct pofr_err err;

    (void)state;
    assert_int_equal(fsio_replace(path, slice_str("not a key\n"), 0600, NULL), 0);
    assert_int_not_equal(hostkey_open(path, &out, fingerprint, &err), 0);
    assert_non_null(strstr(err.text, "host_key"));
    assert_int_equal(fsio_read(path, &after, NULL), 0);
    assert_slice_str(buf_slice(&after), "not a key\n");
    buf_free(&out);
    buf_free(&after);
}

static void where_no_key_can_be_made_it_says_so(void **state)
{
    struct buf out = BUF_INIT(16384);
    char fingerprint[64];

    (void)state;
    assert_int_not_equal(hostkey_open("/nonexistent/host_key", &out, fingerprint, NULL), 0);
    buf_free(&out);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tmpdir_teardown)
    const struct CMUnitTest tests[] = {
        T(a_missing_key_is_made_once),
        T(a_lost_public_half_is_written_again),
        T(a_key_that_others_can_read_is_refused),
        T(what_is_no_key_is_refused_and_left_as_it_is),
        T(where_no_key_can_be_made_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
