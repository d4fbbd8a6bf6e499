/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/tls/tls_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/err.h"
#include "tests/support/check.h"

static char dir[32];
static char ca[64], pair[64], key[64];

static void put(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int make_files(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/pofr-tls-XXXXXX");
    if (!mkdtemp(dir)) {
        return -1;
    }
    snprintf(ca, sizeof(ca), "%s/ca.crt", dir);
    snprintf(pair, sizeof(pair), "%s/pair.pem", dir);
    snprintf(key, sizeof(key), "%s/key", dir);
    put(ca, "ca", 0644);
    put(pair, "pair", 0600);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    (void)unlink(ca);
    (void)unlink(pair);
    (void)unlink(key);
    return rmdir(dir);
}

static void without_tls_no_file_is_looked_for(void **state)
{
    const struct tls_files f = { .ca_file = "/nonexistent", .certificate_file = "/nonexistent", .key_file = "" };
    const struct tls_files zero = { 0 };
    struct tls_paths paths;
    struct tls_watch watch;

    (void)state;
    assert_int_equal(tls_files_find(&f, &paths, NULL), 0);
    assert_string_equal(paths.ca, "");
    assert_string_equal(paths.certificate, "");
    assert_int_equal(tls_files_find(&zero, &paths, NULL), 0);
    tls_watch_init(&watch, &zero);
    assert_false(tls_watch_changed(&watch, &zero));
}

static void one_file_may_hold_certificate_and_key(void **state)
{
    const struct tls_files f = { .on = true, .ca_file = ca, .certificate_file = pair, .key_file = "" };
    struct tls_paths paths;

    (void)state;
    assert_int_equal(tls_files_find(&f, &paths, NULL), 0);
    assert_string_equal(paths.ca, ca);
    assert_string_equal(paths.certificate, pair);
    assert_string_equal(paths.key, pair);
}

static void a_key_apart_is_found_and_its_certificate_may_be_public(void **state)
{
    const struct tls_files f = { .on = true, .ca_file = ca, .certificate_file = pair, .key_file = key };
    struct tls_paths paths;
    struct pofr_err err;

    (void)state;
    assert_int_equal(chmod(pair, 0644), 0);
    assert_int_equal(tls_files_find(&f, &paths, &err), POFR_ENOTFOUND);
    assert_non_null(strstr(err.text, key));
    put(key, "key", 0640);
    assert_int_equal(tls_files_find(&f, &paths, NULL), 0);
    assert_string_equal(paths.key, key);
}

static void a_key_that_all_can_read_is_refused(void **state)
{
    const struct tls_files f = { .on = true, .ca_file = ca, .certificate_file = pair, .key_file = "" };
    struct tls_paths paths;
    struct pofr_err err;

    (void)state;
    assert_int_equal(chmod(pair, 0644), 0);
    assert_int_equal(tls_files_find(&f, &paths, &err), POFR_EPERMISSION);
    assert_non_null(strstr(err.text, "0644"));
}

static void a_ca_must_be_there(void **state)
{
    const struct tls_files f = { .on = true, .ca_file = "/nonexistent/ca.crt", .certificate_file = "", .key_file = "" };
    struct tls_paths paths;
    struct pofr_err err;

    (void)state;
    assert_int_equal(tls_files_find(&f, &paths, &err), POFR_ENOTFOUND);
    assert_non_null(strstr(err.text, "/nonexistent/ca.crt"));
}

static void a_change_is_told_once_and_a_missing_file_never(void **state)
{
    const struct tls_files f = { .on = true, .ca_file = ca, .certificate_file = pair, .key_file = "" };
    struct tls_watch watch;

    (void)state;
    tls_watch_init(&watch, &f);
    assert_false(tls_watch_changed(&watch, &f));
    put(key, "another pair", 0600);
    assert_int_equal(rename(key, pair), 0);
    assert_true(tls_watch_changed(&watch, &f));
    assert_false(tls_watch_changed(&watch, &f));
    assert_int_equal(unlink(ca), 0);
    assert_false(tls_watch_changed(&watch, &f));
    put(ca, "another ca", 0644);
    assert_true(tls_watch_changed(&watch, &f));
    put(pair, "longer than it was before", 0600);
    assert_true(tls_watch_changed(&watch, &f));
    assert_false(tls_watch_changed(&watch, &f));
}

#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, make_files, remove_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_tls_no_file_is_looked_for),
        WITH_FILES(one_file_may_hold_certificate_and_key),
        WITH_FILES(a_key_apart_is_found_and_its_certificate_may_be_public),
        WITH_FILES(a_key_that_all_can_read_is_refused),
        cmocka_unit_test(a_ca_must_be_there),
        WITH_FILES(a_change_is_told_once_and_a_missing_file_never),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
