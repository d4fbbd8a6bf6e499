/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command in a child process. What becomes of the key that it makes: tests/suites/hostile.sh. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/tmpdir.h"

#include "agent/commands.h"
#include "agent/identity.h"
#include "common/base/compiler.h"
#include "common/os/fsio.h"
#include "common/os/options.h"

static int rekey(const char *state_dir)
{
    char name[] = "pofr-agent rekey", config[] = "--config", json[] = "--json", conf[TMPDIR_PATH_SIZE];
    char *argv[] = { name, config, conf, json, NULL };
    char text[TMPDIR_PATH_SIZE + 64];
    pid_t child;
    int status;

    tmpdir_join(state_dir, "agent.conf", conf);
    snprintf(text, sizeof(text), "[agent]\nstate_dir = %s\nruntime_dir = %s\n[ship]\ngateway = 127.0.0.1:1\n",
             state_dir, state_dir);
    assert_int_equal(fsio_replace(conf, slice_str(text), 0600, NULL), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
        _exit(rekey_main(4, argv));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void enrol(const char *state_dir, uint8_t out_public[32])
{
    struct uuid host = { { 0x42 } };
    struct sshkey *key = NULL;

    assert_int_equal(sshkey_generate(&key), 0);
    memcpy(out_public, sshkey_public(key), 32);
    assert_int_equal(identity_write_key(state_dir, IDENTITY_KEY, key, (uid_t)-1, (gid_t)-1, NULL), 0);
    assert_int_equal(identity_write_uuid(state_dir, &host, NULL), 0);
    sshkey_free(key);
}

static int public_of(const char *state_dir, const char *name, uint8_t out[32])
{
    struct sshkey *key = NULL;
    int rc = identity_read_key(state_dir, name, &key, NULL);

    if (rc == 0) {
        memcpy(out, sshkey_public(key), 32);
    }
    sshkey_free(key);
    return rc;
}

static void a_new_key_lies_beside_the_old_one_until_it_is_entered(void **state)
{
    const char *dir = (const char *)*state;
    uint8_t old[32], key[32], again[32];
    char path[TMPDIR_PATH_SIZE];
    struct stat st;

    enrol(dir, old);
    assert_int_equal(rekey(dir), POFR_EXIT_DONE);
    assert_int_equal(public_of(dir, IDENTITY_KEY, key), 0);
    assert_memory_equal(key, old, 32);
    assert_int_equal(public_of(dir, IDENTITY_KEY_NEXT, key), 0);
    assert_memory_not_equal(key, old, 32);
    assert_int_equal(stat(tmpdir_join(dir, IDENTITY_KEY_NEXT, path), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(rekey(dir), POFR_EXIT_DONE); /* no third key while the second one waits */
    assert_int_equal(public_of(dir, IDENTITY_KEY_NEXT, again), 0);
    assert_memory_equal(again, key, 32);
    assert_int_equal(identity_enter_key(dir, NULL), 0);
    assert_int_equal(public_of(dir, IDENTITY_KEY, again), 0);
    assert_memory_equal(again, key, 32);
    assert_int_equal(public_of(dir, IDENTITY_KEY_NEXT, again), POFR_ENOTFOUND);
}

static void a_host_that_is_not_enrolled_gets_no_key(void **state)
{
    const char *dir = (const char *)*state;
    uint8_t key[32];

    assert_int_equal(rekey(dir), POFR_EXIT_USAGE);
    assert_int_equal(public_of(dir, IDENTITY_KEY_NEXT, key), POFR_ENOTFOUND);
}

static void a_next_key_that_others_can_read_is_not_taken_for_one(void **state)
{
    const char *dir = (const char *)*state;
    char path[TMPDIR_PATH_SIZE];
    uint8_t old[32];

    enrol(dir, old);
    assert_int_equal(rekey(dir), POFR_EXIT_DONE);
    assert_int_equal(chmod(tmpdir_join(dir, IDENTITY_KEY_NEXT, path), 0644), 0);
    assert_int_equal(rekey(dir), POFR_EXIT_USAGE);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_new_key_lies_beside_the_old_one_until_it_is_entered),
        IN_FOLDER(a_host_that_is_not_enrolled_gets_no_key),
        IN_FOLDER(a_next_key_that_others_can_read_is_not_taken_for_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
