/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "collector_rig.h"

#include "tests/support/check.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/identity.h"
#include "agent/spool/format.h"
#include "common/os/fsio.h"

/* Of its own, where we may: as it is installed. Two users that every Debian has and nothing else runs as. */
static void users(const struct collector_rig *h, char *out, size_t size)
{
    const struct passwd *pw = geteuid() == 0 ? getpwnam("sys") : NULL;
    char key[TMPDIR_PATH_SIZE];

    if (pw != NULL && getpwnam("daemon") != NULL) {
        pw = getpwnam("sys");
        assert_int_equal(chmod(h->dir, 0755), 0);
        assert_int_equal(chown(h->state, pw->pw_uid, pw->pw_gid), 0);
        assert_int_equal(chown(tmpdir_join(h->state, IDENTITY_KEY, key), pw->pw_uid, pw->pw_gid), 0);
        snprintf(out, size, "collector_user = sys\nshipper_user = daemon\n");
    }
}

int collector_rig_setup(void **state)
{
    struct collector_rig *h = calloc(1, sizeof(*h));
    struct uuid uuid;
    char text[3 * TMPDIR_PATH_SIZE], user[64] = "";

    assert_non_null(h);
    (void)tmpdir_make(h->dir);
    (void)tmpdir_join(h->dir, "state", h->state);
    (void)tmpdir_join(h->dir, "state/spool", h->spool);
    (void)tmpdir_join(h->dir, "agent.conf", h->conf);
    assert_int_equal(fsio_mkdirs(h->state, 0755, NULL), 0);
    assert_int_equal(sshkey_generate(&h->key), 0);
    assert_int_equal(uuid_random(&uuid), 0);
    assert_int_equal(identity_write_key(h->state, IDENTITY_KEY, h->key, (uid_t)-1, (gid_t)-1, NULL), 0);
    assert_int_equal(identity_write_uuid(h->state, &uuid, NULL), 0);
    users(h, user, sizeof(user));
    snprintf(text, sizeof(text),
             "[agent]\nstate_dir = %s\nruntime_dir = %s/run\n%s[collect]\ntick = 20ms\nbundle_age = 100ms\n"
             "keyframe_every = 10s\nbundle_size = 64K\n[spool]\nsegment_size = 256K\nlimit = 64M\n",
             h->state, h->dir, user);
    assert_int_equal(fsio_replace(h->conf, slice_str(text), 0644, NULL), 0);
    *state = h;
    return 0;
}

int collector_rig_teardown(void **state)
{
    struct collector_rig *h = *state;

    tmpdir_remove(h->dir);
    sshkey_free(h->key);
    free(h);
    return 0;
}

/* It is to run as a user that has no rights at all. */
void collector_rig_run_as(struct collector_rig *h, const char *user)
{
    const struct passwd *pw = getpwnam(user);
    char text[3 * TMPDIR_PATH_SIZE], key[TMPDIR_PATH_SIZE], uuid[TMPDIR_PATH_SIZE];

    assert_non_null(pw);
    snprintf(text, sizeof(text),
             "[agent]\nstate_dir = %s\nruntime_dir = %s/run\n[collect]\ntick = 20ms\nbundle_age = 100ms\n"
             "[spool]\nsegment_size = 256K\nlimit = 64M\n",
             h->state, h->dir);
    assert_int_equal(fsio_replace(h->conf, slice_str(text), 0644, NULL), 0);
    assert_int_equal(chown(h->dir, pw->pw_uid, pw->pw_gid), 0);
    assert_int_equal(chown(h->state, pw->pw_uid, pw->pw_gid), 0);
    assert_int_equal(chown(tmpdir_join(h->state, IDENTITY_KEY, key), pw->pw_uid, pw->pw_gid), 0);
    assert_int_equal(chown(tmpdir_join(h->state, IDENTITY_UUID, uuid), pw->pw_uid, pw->pw_gid), 0);
    h->uid = pw->pw_uid;
    h->gid = pw->pw_gid;
}

/* No way to the program need be open to that user: it is opened before. */
static void become(const struct collector_rig *h)
{
    if (h->uid != 0 &&
        (setgroups(0, NULL) != 0 || setresgid(h->gid, h->gid, h->gid) != 0 || setresuid(h->uid, h->uid, h->uid) != 0)) {
        _exit(126);
    }
}

pid_t collector_rig_start(const struct collector_rig *h, const char *stop_at)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        char log[TMPDIR_PATH_SIZE];
        int null = open(tmpdir_join(h->dir, "log", log), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        int program = open(POFR_AGENT, O_RDONLY | O_CLOEXEC);
        const char *const argv[] = { "pofr-agent", "collect", "--config", h->conf, NULL };

        if (stop_at != NULL && (setenv("POFR_STOP_AT", stop_at, 1) != 0)) {
            _exit(126);
        }
        (void)setenv("ASAN_OPTIONS", "detect_leaks=0",
                     1); /* its memory is hidden from tracers, so leaks can't be looked for */
        (void)dup2(null, 2);
        become(h);
        (void)fexecve(program, (char *const *)(uintptr_t)argv, environ);
        _exit(127);
    }
    return pid;
}

int collector_rig_end(pid_t pid, int signo)
{
    int status;

    assert_int_equal(kill(pid, signo), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

void collector_rig_wait_ms(unsigned ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

    (void)nanosleep(&t, NULL); /* allowed: the moment of the kill is random, nothing is waited for */
}

uint64_t collector_rig_committed(const struct collector_rig *h)
{
    struct buf b = BUF_INIT(SPOOL_HEAD_SIZE);
    char path[TMPDIR_PATH_SIZE];
    struct spool_head head = { 0 };
    unsigned slot;

    if (fsio_read(tmpdir_join(h->spool, SPOOL_HEAD, path), &b, NULL) == 0 &&
        spool_head_pick(buf_slice(&b), &head, &slot) != 0) {
        head.sequence = 0;
    }
    buf_free(&b);
    return head.sequence;
}

/* Until it has stored so many bundles more, however slow the machine is; and then for a while. */
void collector_rig_wait_bundles(const struct collector_rig *h, uint64_t n, unsigned more_ms)
{
    uint64_t until = h->last + n;

    for (int i = 0; i < 6000 && collector_rig_committed(h) < until; i++) {
        collector_rig_wait_ms(10);
    }
    collector_rig_wait_ms(more_ms);
}

void collector_rig_print_log(const struct collector_rig *h)
{
    struct buf log = BUF_INIT(1u << 20);
    char path[TMPDIR_PATH_SIZE];

    if (fsio_read(tmpdir_join(h->dir, "log", path), &log, NULL) == 0) {
        print_error("%s", buf_cstr(&log));
    }
    buf_free(&log);
}

void collector_rig_look(struct collector_rig *h, struct spool_report *r)
{
    bool good = spool_check(h->spool, sshkey_public(h->key), true, r);

    snapshot_free(r->snapshot);
    if (!good || r->states_lost > 0) { /* each run goes on where the one before was */
        collector_rig_print_log(h);
        fail_msg("%s, %lu states lost", r->problem, (unsigned long)r->states_lost);
    }
    assert_true(r->committed >= h->last); /* nothing that counted is gone */
    assert_int_equal(r->first, 1);
    h->last = r->committed;
}
