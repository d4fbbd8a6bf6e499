/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command in a child process, against a real SSH server in a thread that plays the gateway. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/enrol/enrolment.h"
#include "agent/identity.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/fsio.h"
#include "common/os/options.h"
#include "common/wire/token.h"
#include "tests/support/check.h"
#include "tests/support/ssh_peer.h"
#include "tests/support/tmpdir.h"

struct world {
    const char *dir;
    bool pipe; /* the token comes through standard input */
    char conf[TMPDIR_PATH_SIZE], state[TMPDIR_PATH_SIZE], token_file[TMPDIR_PATH_SIZE], out[TMPDIR_PATH_SIZE];
    struct ssh_peer *gateway;
    struct token token;
    pthread_mutex_t lock; /* protects plan and seen, which the gateway's thread reads and writes */
    struct plan {
        uint64_t refuse; /* code; 0: ENROLLED */
        unsigned busy;   /* so many are told to come again */
        bool hang_up, pending, last_words;
    } plan;
    struct seen {
        unsigned enrols;
        uint8_t public_key[32];
        char hostname[256], secret[128], user[64];
    } seen;
};

static void set_plan(struct world *w, struct plan plan)
{
    pthread_mutex_lock(&w->lock);
    w->plan = plan;
    pthread_mutex_unlock(&w->lock);
}

static struct plan plan_of(struct world *w)
{
    struct plan plan;

    pthread_mutex_lock(&w->lock);
    plan = w->plan;
    pthread_mutex_unlock(&w->lock);
    return plan;
}

static struct seen seen_by(struct world *w)
{
    struct seen seen;

    pthread_mutex_lock(&w->lock);
    seen = w->seen;
    pthread_mutex_unlock(&w->lock);
    return seen;
}

static void refuse(struct ssh_peer_session *s, uint64_t code)
{
    struct message m = { .type = MESSAGE_REFUSE };

    m.refuse.code = code;
    m.refuse.reason = slice_str("so it is");
    ssh_peer_send(s, &m);
}

/* Of a host that was enrolled before. */
static void serve_hello(struct ssh_peer_session *s, const struct plan *plan)
{
    struct message m = { .type = MESSAGE_WELCOME };

    m.welcome.version = MESSAGE_VERSION;
    if (plan->refuse != 0) {
        refuse(s, plan->refuse);
    } else {
        ssh_peer_send(s, &m);
    }
}

static void serve(struct ssh_peer_session *s, void *arg)
{
    struct world *w = arg;
    const struct plan plan = plan_of(w);
    struct message m;

    if (plan.hang_up || !ssh_peer_receive(s, &m)) {
        return;
    }
    if (m.type == MESSAGE_HELLO) {
        serve_hello(s, &plan);
        return;
    }
    if (m.type != MESSAGE_ENROL) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->seen.enrols++;
    memcpy(w->seen.public_key, m.enrol.public_key.data, 32);
    snprintf(w->seen.hostname, sizeof(w->seen.hostname), "%.*s", SLICE_FMT(m.enrol.hostname));
    snprintf(w->seen.secret, sizeof(w->seen.secret), "%.*s", SLICE_FMT(m.enrol.token));
    snprintf(w->seen.user, sizeof(w->seen.user), "%s", ssh_peer_user(s));
    pthread_mutex_unlock(&w->lock);
    if (plan.last_words) {
        ssh_peer_cork(s);
    }
    if (seen_by(w).enrols <= plan.busy) {
        refuse(s, MESSAGE_REFUSE_UNAVAILABLE);
        return;
    }
    if (plan.refuse != 0) {
        refuse(s, plan.refuse);
        return;
    }
    memset(&m, 0, sizeof(m));
    m.type = MESSAGE_ENROLLED;
    m.enrolled.version = 1;
    memset(&m.enrolled.host, 0x42, sizeof(m.enrolled.host));
    m.enrolled.name = slice_str("web\"1");
    m.enrolled.approved = !plan.pending;
    ssh_peer_send(s, &m);
}

static void write_file(const char *path, struct slice text, mode_t mode)
{
    assert_int_equal(fsio_replace(path, text, mode, NULL), 0);
}

static void write_token(struct world *w, mode_t mode)
{
    struct buf b = BUF_INIT(TOKEN_TEXT_MAX);

    assert_int_equal(token_format(&w->token, &b), 0);
    write_file(w->token_file, buf_slice(&b), mode);
    buf_free(&b);
}

static struct world *begin(const char *dir)
{
    struct world *w = calloc(1, sizeof(*w));
    struct ssh_peer_options o = { .serve = serve, .arg = w };
    uint8_t random[TOKEN_SECRET_MIN] = { 1, 2, 3 };
    char text[2 * TMPDIR_PATH_SIZE + 200];

    assert_non_null(w);
    w->dir = dir;
    pthread_mutex_init(&w->lock, NULL);
    w->gateway = ssh_peer_start(&o);
    w->token.gateways_len = 1;
    snprintf(w->token.gateways[0].host, HOSTPORT_HOST_SIZE, "127.0.0.1");
    w->token.gateways[0].port = ssh_peer_port(w->gateway);
    memcpy(w->token.fingerprint, ssh_peer_fingerprint(w->gateway), 32);
    assert_int_equal(token_set_secret(&w->token, random, sizeof(random)), 0);
    tmpdir_join(dir, "state", w->state);
    tmpdir_join(dir, "token", w->token_file);
    tmpdir_join(dir, "out", w->out);
    write_token(w, 0600);
    snprintf(text, sizeof(text), "[agent]\nstate_dir = %s\nruntime_dir = %s\n[ship]\nconnect_timeout = 20s\n", w->state,
             dir);
    write_file(tmpdir_join(dir, "agent.conf", w->conf), slice_str(text), 0644);
    return w;
}

static void end(struct world *w)
{
    ssh_peer_stop(w->gateway);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/*
 * The exit code; what was printed is in w->out. Another program, which is this one with other arguments: the gateway's
 * thread may hold the sanitizer's locks at the moment of the fork.
 */
static int run(struct world *w, const char *more, const char *value)
{
    char name[] = "pofr-agent enrol", config[] = "--config", file[] = "--token-file", more_copy[64], value_copy[64];
    char self[] = "test_enrol";
    char standard_input[] = "-";
    char *argv[] = { self, name, config, w->conf, file, w->pipe ? standard_input : w->token_file, NULL, NULL, NULL };
    pid_t child;
    int status;

    snprintf(more_copy, sizeof(more_copy), "%s", more ? more : "");
    snprintf(value_copy, sizeof(value_copy), "%s", value ? value : "");
    argv[6] = more ? more_copy : NULL;
    argv[7] = value ? value_copy : NULL;
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int fd = open(w->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (w->pipe) {
            (void)dup2(open(w->token_file, O_RDONLY | O_CLOEXEC), STDIN_FILENO);
        }
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
        (void)execv("/proc/self/exe", argv);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect_output(struct world *w, const char *part)
{
    struct buf b = BUF_INIT(65536);
    const char *text;

    assert_int_equal(fsio_read(w->out, &b, NULL), 0);
    text = buf_cstr(&b);
    if (!strstr(text, part)) {
        fail_msg("\"%s\" is not in: %s", part, text);
    }
    assert_null(strstr(text, w->token.secret));
    buf_free(&b);
}

static bool is_enrolled(struct world *w)
{
    struct enrolment e;

    return enrolment_read(w->state, &e, NULL) == 0;
}

static mode_t mode_of(struct world *w, const char *name)
{
    char path[TMPDIR_PATH_SIZE];
    struct stat st;

    assert_int_equal(stat(tmpdir_join(w->state, name, path), &st), 0);
    return st.st_mode & 07777;
}

static void a_token_becomes_an_identity(void **state)
{
    struct world *w = begin(*state);
    struct enrolment e;
    struct gateways g;
    struct sshkey *key = NULL;
    struct pins pins;

    assert_int_equal(run(w, "--name", "web1"), POFR_EXIT_DONE);
    expect_output(w, "enrolled as web_1 (42424242-");
    assert_int_equal(enrolment_read(w->state, &e, NULL), 0);
    assert_int_equal(e.host.b[7], 0x42);
    assert_string_equal(e.name, "web_1");
    assert_int_equal(gateways_load("", w->state, &g, NULL), 0);
    assert_int_equal(g.len, 1);
    assert_int_equal(g.list[0].port, ssh_peer_port(w->gateway));
    assert_int_equal(pins_load(w->state, &pins, NULL), 0);
    assert_int_equal(pins.len, 1);
    assert_memory_equal(pins.list[0], ssh_peer_fingerprint(w->gateway), 32);
    assert_int_equal(identity_read_key(w->state, IDENTITY_KEY, &key, NULL), 0);
    assert_memory_equal(sshkey_public(key), seen_by(w).public_key, 32);
    assert_int_equal(mode_of(w, IDENTITY_KEY), 0600);
    assert_int_equal(mode_of(w, IDENTITY_UUID), 0644);
    assert_string_equal(seen_by(w).hostname, "web1");
    assert_string_equal(seen_by(w).secret, w->token.secret);
    assert_string_equal(seen_by(w).user, MESSAGE_ENROL_USER);
    sshkey_free(key);
    end(w);
}

static void repeating_it_changes_nothing(void **state)
{
    struct world *w = begin(*state);
    struct seen before;
    char path[TMPDIR_PATH_SIZE];

    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_DONE);
    assert_int_equal(unlink(w->token_file), 0); /* not needed any more */
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_DONE);
    expect_output(w, "already enrolled as web_1");
    assert_int_equal(run(w, "--json", NULL), POFR_EXIT_DONE);
    expect_output(w, "{\"state\": \"already\", \"host_uuid\": \"42424242-4242-4242-4242-424242424242\", \"host\": "
                     "\"web_1\", \"token_used\": false, \"refused\": null}");
    assert_int_equal(seen_by(w).enrols, 1);
    /* A crash before the uuid was written: the same key asks again. */
    assert_int_equal(unlink(tmpdir_join(w->state, IDENTITY_UUID, path)), 0);
    write_token(w, 0600);
    before = seen_by(w);
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_DONE);
    assert_int_equal(seen_by(w).enrols, 2);
    assert_memory_equal(before.public_key, seen_by(w).public_key, 32);
    end(w);
}

static void a_token_for_a_host_that_is_enrolled_is_not_used(void **state)
{
    struct world *w = begin(*state);

    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_DONE);
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_DONE);
    expect_output(w, "the token was not used");
    set_plan(w, (struct plan){ .hang_up = true }); /* nothing for good */
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_DONE);
    expect_output(w, "is not known");
    set_plan(w, (struct plan){ .refuse = MESSAGE_REFUSE_PENDING });
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_DONE);
    expect_output(w, "pofr-agent enrol: the gateway refuses: pending");
    assert_int_equal(seen_by(w).enrols, 1);
    end(w);
}

static void a_host_that_the_gateway_refuses_is_told_how_to_come_back(void **state)
{
    struct world *w = begin(*state);

    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_DONE);
    set_plan(w, (struct plan){ .refuse = MESSAGE_REFUSE_REVOKED });
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_REFUSED);
    expect_output(w, "the token was not used");
    expect_output(w, "revoked: so it is. To record this machine again, as a new host: stop its agent, move ");
    expect_output(w, w->state);
    assert_int_equal(run(w, "--json", NULL), POFR_EXIT_REFUSED);
    expect_output(w, "\"token_used\": false, \"refused\": \"revoked\"}");
    assert_int_equal(seen_by(w).enrols, 1);
    end(w);
}

static void the_answer_is_heard_though_the_gateway_hangs_up_with_it(void **state)
{
    struct world *w = begin(*state);

    set_plan(w, (struct plan){ .last_words = true });
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_DONE);
    assert_true(is_enrolled(w));
    end(w);
}

static void waiting_for_approval_is_said(void **state)
{
    struct world *w = begin(*state);

    set_plan(w, (struct plan){ .pending = true });
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_DONE);
    expect_output(w, "waits for approval");
    assert_true(is_enrolled(w));
    end(w);
}

static void a_refused_token_is_final(void **state)
{
    struct world *w = begin(*state);

    set_plan(w, (struct plan){ .refuse = MESSAGE_REFUSE_TOKEN });
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_REFUSED);
    expect_output(w, "so it is");
    assert_false(is_enrolled(w));
    end(w);
}

static void a_gateway_that_can_not_now_means_later(void **state)
{
    struct world *w = begin(*state);

    set_plan(w, (struct plan){ .refuse = MESSAGE_REFUSE_UNAVAILABLE });
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_RETRY);
    expect_output(w, "try again later");
    set_plan(w, (struct plan){ .hang_up = true });
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_RETRY);
    assert_false(is_enrolled(w));
    end(w);
}

static void who_may_wait_tries_again(void **state)
{
    struct world *w = begin(*state);

    set_plan(w, (struct plan){ .busy = 1 });
    assert_int_equal(run(w, "--wait", "60"), POFR_EXIT_DONE);
    expect_output(w, "trying again for ");
    assert_int_equal(seen_by(w).enrols, 2);
    assert_true(is_enrolled(w));
    end(w);
}

static void a_refused_token_is_not_tried_again(void **state)
{
    struct world *w = begin(*state);

    set_plan(w, (struct plan){ .refuse = MESSAGE_REFUSE_TOKEN });
    assert_int_equal(run(w, "--wait", "60"), POFR_EXIT_REFUSED);
    assert_int_equal(seen_by(w).enrols, 1);
    assert_int_equal(run(w, "--wait", "soon"), POFR_EXIT_USAGE);
    end(w);
}

static void the_token_goes_once_the_host_is_enrolled(void **state)
{
    struct world *w = begin(*state);

    set_plan(w, (struct plan){ .refuse = MESSAGE_REFUSE_TOKEN });
    assert_int_equal(run(w, "--remove-token", NULL), POFR_EXIT_REFUSED);
    assert_int_equal(access(w->token_file, F_OK), 0);
    set_plan(w, (struct plan){ 0 });
    assert_int_equal(run(w, "--remove-token", NULL), POFR_EXIT_DONE);
    assert_int_not_equal(access(w->token_file, F_OK), 0);
    assert_int_equal(run(w, "--remove-token", NULL), POFR_EXIT_DONE); /* and so may everybody repeat it */
    write_token(w, 0600);
    assert_int_equal(run(w, "--remove-token", NULL), POFR_EXIT_DONE);
    expect_output(w, "the token was not used");
    assert_int_not_equal(access(w->token_file, F_OK), 0);
    end(w);
}

static void a_token_may_come_through_a_pipe(void **state)
{
    struct world *w = begin(*state);

    w->pipe = true;
    assert_int_equal(run(w, "--remove-token", NULL), POFR_EXIT_DONE);
    assert_true(is_enrolled(w));
    assert_int_equal(access(w->token_file, F_OK), 0);
    assert_string_equal(seen_by(w).secret, w->token.secret);
    write_file(w->token_file, slice_str("no token"), 0600);
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_DONE); /* it is not looked at */
    end(w);
}

static void a_gateway_with_another_key_gets_no_token(void **state)
{
    struct world *w = begin(*state);

    w->token.fingerprint[5] ^= 1;
    write_token(w, 0600);
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_REFUSED);
    expect_output(w, "not the pinned one");
    assert_int_equal(seen_by(w).enrols, 0);
    assert_false(is_enrolled(w));
    end(w);
}

static void the_next_gateway_is_tried(void **state)
{
    struct world *w = begin(*state);

    w->token.gateways_len = 2;
    w->token.gateways[1] = w->token.gateways[0];
    w->token.gateways[0].port = 1; /* nobody listens there */
    write_token(w, 0600);
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_DONE);
    expect_output(w, "trying the next");
    assert_true(is_enrolled(w));
    end(w);
}

static void wrong_use_is_told(void **state)
{
    struct world *w = begin(*state);

    write_token(w, 0644);
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_USAGE);
    assert_int_equal(chmod(w->token_file, 0600), 0);
    write_file(w->token_file, slice_str("pofr1.gw:22.short"), 0600);
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_USAGE);
    assert_int_equal(unlink(w->token_file), 0);
    assert_int_equal(run(w, NULL, NULL), POFR_EXIT_USAGE);
    assert_int_equal(run(w, "--nonsense", NULL), POFR_EXIT_USAGE);
    assert_int_equal(seen_by(w).enrols, 0);
    end(w);
}

int main(int argc, char **argv)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, tmpdir_setup, tmpdir_teardown)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_token_becomes_an_identity),
        IN_FOLDER(repeating_it_changes_nothing),
        IN_FOLDER(a_token_for_a_host_that_is_enrolled_is_not_used),
        IN_FOLDER(a_host_that_the_gateway_refuses_is_told_how_to_come_back),
        IN_FOLDER(the_answer_is_heard_though_the_gateway_hangs_up_with_it),
        IN_FOLDER(waiting_for_approval_is_said),
        IN_FOLDER(a_refused_token_is_final),
        IN_FOLDER(a_gateway_that_can_not_now_means_later),
        IN_FOLDER(who_may_wait_tries_again),
        IN_FOLDER(a_refused_token_is_not_tried_again),
        IN_FOLDER(the_token_goes_once_the_host_is_enrolled),
        IN_FOLDER(a_token_may_come_through_a_pipe),
        IN_FOLDER(a_gateway_with_another_key_gets_no_token),
        IN_FOLDER(the_next_gateway_is_tried),
        IN_FOLDER(wrong_use_is_told),
    };

    if (argc > 1) { /* run() wants it */
        return enrol_main(argc - 1, argv + 1);
    }
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
