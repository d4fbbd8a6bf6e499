/* SPDX-License-Identifier: GPL-2.0-or-later */
/* enrol.c -- pofr-agent enrol: a token becomes an identity in the state folder. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent_conf.h"
#include "agent/commands.h"
#include "agent/doctor/ask.h"
#include "agent/doctor/probe.h"
#include "agent/enrol/enrolment.h"
#include "agent/enrol/facts.h"
#include "agent/enrol/register.h"
#include "agent/identity.h"
#include "agent/machine.h"
#include "agent/ship/ssh_client.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/parse_num.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/options.h"
#include "common/os/retry.h"
#include "common/os/service.h"
#include "common/wire/token.h"

#define WAIT_MAX_S  (7 * 86400)
#define WAIT_MIN_US CLOCK_US_PER_S
#define WAIT_CAP_US (30 * CLOCK_US_PER_S)

enum {
    OPTION_TOKEN_FILE,
    OPTION_REMOVE_TOKEN,
    OPTION_NAME,
    OPTION_WAIT,
    OPTION_JSON
};

struct enrol {
    struct options options;
    const struct agent_conf *conf;
    int64_t wait_us; /* how long to try again where nobody can be asked */
    uid_t owner;     /* of the key */
    gid_t group;
    struct token token;
    struct sshkey *key;
    struct facts facts;
    struct enrolment result;
    bool approved;
    struct probe_answer answer; /* of a gateway, where the host was enrolled before */
    int lock;
};

static void say(const struct enrol *e, const char *state)
{
    char uuid[UUID_TEXT_SIZE];

    uuid_format(&e->result.host, uuid);
    if (e->options.extra[OPTION_JSON]) { /* a name holds nothing that JSON escapes */
        const char *refused = e->answer.refused ? message_refuse_name(e->answer.code) : NULL;

        printf(
            "{\"state\": \"%s\", \"host_uuid\": \"%s\", \"host\": \"%s\", \"token_used\": %s, \"refused\": %s%s%s}\n",
            state, uuid, e->result.name, strcmp(state, "already") == 0 ? "false" : "true", refused ? "\"" : "",
            refused ? refused : "null", refused ? "\"" : "");
    } else if (strcmp(state, "pending") == 0) {
        printf("enrolled as %s (%s); it waits for approval: pofrctl host approve %s\n", e->result.name, uuid,
               e->result.name);
    } else if (strcmp(state, "already") == 0) {
        printf("already enrolled as %s (%s)%s\n", e->result.name, uuid,
               e->options.extra[OPTION_TOKEN_FILE] ? "; the token was not used: it is as valid as before" : "");
    } else {
        printf("enrolled as %s (%s)\n", e->result.name, uuid);
    }
}

/* A crash or a full disk must not leave a key that only root can read where another user collects. */
static int find_owner(struct enrol *e, struct pofr_err *err)
{
    struct service_identity id;
    int rc;

    e->owner = (uid_t)-1;
    e->group = (gid_t)-1;
    if (e->conf->collector_user[0] == '\0') {
        return 0;
    }
    rc = service_lookup_user(e->conf->collector_user, &id, err);
    if (rc == 0 && (geteuid() == 0 || id.uid == geteuid())) {
        e->owner = id.uid;
        e->group = id.gid;
    } else if (rc == 0) {
        rc = pofr_err_set(err, POFR_EPERMISSION, "run this as root or as %s, whose the key will be",
                          e->conf->collector_user);
    }
    return rc;
}

/* So that a token need not be in any file of this machine. */
static bool is_standard_input(const char *path)
{
    return strcmp(path, "-") == 0;
}

static int read_token(struct enrol *e, struct pofr_err *err)
{
    struct buf text = BUF_INIT(TOKEN_TEXT_MAX + 64);
    int rc;

    if (!e->options.extra[OPTION_TOKEN_FILE]) {
        return pofr_err_set(err, POFR_EUSAGE, "this host is not enrolled yet: --token-file FILE is needed");
    }
    if (is_standard_input(e->options.extra[OPTION_TOKEN_FILE])) {
        rc = fsio_read_fd(STDIN_FILENO, "standard input", &text, err);
    } else {
        rc = fsio_read_secret(e->options.extra[OPTION_TOKEN_FILE], &text, err);
    }
    if (rc == 0) {
        rc = token_parse(buf_slice(&text), &e->token, err);
        if (rc != 0) {
            (void)pofr_err_prefix(err, "%s", e->options.extra[OPTION_TOKEN_FILE]);
        }
    }
    if (text.data) {
        explicit_bzero(text.data, text.cap);
    }
    buf_free(&text);
    return rc;
}

/* One gateway after the other, until one says yes or no. */
static int ask_gateways(struct enrol *e, struct pofr_err *err)
{
    int rc = POFR_EUSAGE;

    for (unsigned i = 0; i < e->token.gateways_len; i++) {
        struct register_request r = {
            .gateway = e->token.gateways[i],
            .key = e->key,
            .pins = pins_of(e->token.fingerprint),
            .secret = e->token.secret,
            .facts = &e->facts,
            .connect_us = e->conf->connect_timeout_us,
        };

        rc = register_host(&r, &e->result, &e->approved, err);
        if (rc == 0 || rc == POFR_EREFUSED || (rc == POFR_ECONFLICT && i + 1 == e->token.gateways_len)) {
            return rc == 0 ? 0 : pofr_err_prefix(err, "%s:%u", r.gateway.host, (unsigned)r.gateway.port);
        }
        if (i + 1 < e->token.gateways_len) {
            fprintf(stderr, "pofr-agent enrol: %s:%u: %s; trying the next\n", r.gateway.host, (unsigned)r.gateway.port,
                    err->text);
        }
    }
    return rc;
}

static int exit_of(int rc)
{
    switch (rc) {
    case POFR_ECONFLICT: /* of the gateway's key */
    case POFR_EREFUSED:
        return POFR_EXIT_REFUSED;
    case POFR_EPERMISSION:
    case POFR_ECONFIG:
    case POFR_EUSAGE:
    case POFR_ENOTFOUND: /* the token's file, a user */
        return POFR_EXIT_USAGE;
    default:
        return rc == 0 ? POFR_EXIT_DONE : POFR_EXIT_RETRY;
    }
}

/* A machine that starts for the first time may have its network later than us, and so may the gateways. */
static int ask_until(struct enrol *e, struct pofr_err *err)
{
    const int64_t end_us = clock_mono_us() + e->wait_us;
    uint64_t seed = 0;
    struct retry again;
    int rc = fsio_random(&seed, sizeof(seed), err);

    if (rc != 0) {
        return rc;
    }
    retry_init(&again, WAIT_MIN_US, WAIT_CAP_US, seed);
    for (;;) {
        int64_t left_us, next_us;

        rc = ask_gateways(e, err);
        left_us = end_us - clock_mono_us();
        if (exit_of(rc) != POFR_EXIT_RETRY || left_us <= 0) {
            return rc;
        }
        next_us = retry_next_us(&again);
        next_us = next_us < left_us ? next_us : left_us;
        fprintf(stderr, "pofr-agent enrol: %s; trying again for %lld s\n", err->text,
                (long long)(left_us / CLOCK_US_PER_S));
        POFR_IGNORE(poll(NULL, 0, (int)(next_us / 1000) + 1));
    }
}

static int enrol(struct enrol *e, struct pofr_err *err)
{
    struct gateways g = { 0 };
    struct pins pins;
    bool made = false;
    int rc = read_token(e, err);

    if (rc == 0) {
        rc = find_owner(e, err);
    }
    if (rc == 0) {
        rc = enrolment_folder(e->conf->state_dir, e->owner, e->group, err);
    }
    if (rc == 0) {
        rc = enrolment_lock(e->conf->state_dir, &e->lock, err);
    }
    if (rc == 0) {
        rc = enrolment_key(e->conf->state_dir, e->owner, e->group, &e->key, &made, err);
    }
    if (rc == 0) {
        rc = ssh_client_library_init(err);
    }
    if (rc != 0) {
        return rc;
    }
    facts_read(machine_root(e->conf->container), &e->facts);
    if (e->options.extra[OPTION_NAME]) {
        snprintf(e->facts.hostname, sizeof(e->facts.hostname), "%s", e->options.extra[OPTION_NAME]);
    }
    rc = ask_until(e, err);
    if (rc == 0) {
        g.len = e->token.gateways_len;
        memcpy(g.list, e->token.gateways, g.len * sizeof(g.list[0]));
        pins = pins_of(e->token.fingerprint);
        rc = enrolment_write(e->conf->state_dir, &e->result, &g, &pins, err);
    }
    return rc;
}

/* One gateway after the other, until one says yes or no. */
static int ask_standing(struct enrol *e, struct pofr_err *err)
{
    struct probe p = { .host = e->result.host, .connect_us = e->conf->connect_timeout_us };
    struct gateways g;
    int rc = identity_read_key(e->conf->state_dir, IDENTITY_KEY, &e->key, err);

    if (rc == 0) {
        rc = pins_load(e->conf->state_dir, &p.pins, err);
    }
    if (rc == 0) {
        rc = gateways_load(e->conf->gateway, e->conf->state_dir, &g, err);
    }
    if (rc == 0) {
        rc = ssh_client_library_init(err);
    }
    if (rc != 0) {
        return rc;
    }
    p.key = e->key;
    for (unsigned i = 0; i < g.len; i++) {
        p.gateway = g.list[i];
        rc = probe_gateway(&p, &e->answer, err);
        if (rc == 0 || probe_is_ended(&e->answer)) {
            break;
        }
    }
    return rc;
}

/*
 * Who brings a token to a host that is enrolled may have retired it: so the gateway is asked whether it takes the host still,
 * unless the agent is connected right now. Only a no for good is an error.
 */
static int check_standing(struct enrol *e, struct pofr_err *err)
{
    struct shipping s;
    int rc;

    if (ask_shipping(e->conf->runtime_dir, &s, NULL) == 0 && s.connected) {
        return 0;
    }
    rc = ask_standing(e, err);
    if (rc != 0 && !probe_is_ended(&e->answer)) {
        fprintf(stderr, "pofr-agent enrol: %s%s\n",
                e->answer.refused ? "" : "whether a gateway takes this host is not known: ", err->text);
        return 0;
    }
    if (rc != 0) {
        fprintf(stderr,
                "pofr-agent enrol: %s. To record this machine again, as a new host: stop its agent, move %s away, and "
                "repeat this command\n",
                err->text, e->conf->state_dir);
    }
    return rc;
}

/* The exit code. */
static int say_already(struct enrol *e)
{
    struct pofr_err err = { 0 };
    int rc = e->options.extra[OPTION_TOKEN_FILE] ? check_standing(e, &err) : 0;

    say(e, "already");
    return rc == 0 ? POFR_EXIT_DONE : POFR_EXIT_REFUSED;
}

/* The key is all that stays. Where the file can't be removed the host is enrolled nevertheless. */
static void remove_token(const struct enrol *e)
{
    const char *path = e->options.extra[OPTION_TOKEN_FILE];

    if (e->options.extra[OPTION_REMOVE_TOKEN] && path && !is_standard_input(path) && unlink(path) != 0 &&
        errno != ENOENT) {
        struct pofr_err err;

        (void)pofr_err_sys(&err, POFR_EPERMISSION, "%s is still there", path);
        fprintf(stderr, "pofr-agent enrol: %s\n", err.text);
    }
}

/* The token itself is what is wrong: no use to try again. */
static int exit_of_token(int rc)
{
    return rc == POFR_EFORMAT || rc == POFR_ETOOBIG || rc == POFR_EUNSUPPORTED ? POFR_EXIT_USAGE : exit_of(rc);
}

static int read_wait(struct enrol *e, struct pofr_err *err)
{
    const char *text = e->options.extra[OPTION_WAIT];
    uint64_t seconds = 0;

    if (text && parse_u64(slice_str(text), WAIT_MAX_S, &seconds) != 0) {
        return pofr_err_set(err, POFR_EUSAGE, "--wait is a number of seconds, at most %d", WAIT_MAX_S);
    }
    e->wait_us = (int64_t)seconds * CLOCK_US_PER_S;
    return 0;
}

int enrol_main(int argc, char **argv)
{
    static const struct options_extra extra[] = {
        [OPTION_TOKEN_FILE] = { "token-file", "FILE",
                                "the token of pofrctl token create; nobody else may read it. -: standard input" },
        [OPTION_REMOVE_TOKEN] = { "remove-token", NULL, "remove that file once the host is enrolled" },
        [OPTION_NAME] = { "name", "NAME", "the name to ask for (default: what this host calls itself)" },
        [OPTION_WAIT] = { "wait", "SECONDS", "try again for so long where no gateway answers; else once" },
        [OPTION_JSON] = { "json", NULL, "the result as JSON" },
    };
    const struct options_spec spec = {
        .program = "pofr-agent enrol",
        .what = "Makes this host's key, registers it with a token, and pins the gateways' key. Repeating it is "
                "harmless; exit "
                "code 4: the gateways refuse the token, or this host.",
        .synopsis = "",
        .conf = &agent_conf_table,
        .extra = extra,
        .extra_count = pofr_countof(extra),
    };
    struct enrol e = { .lock = -1 };
    struct pofr_err err = { 0 };
    int exit_code, rc;

    if (!options_parse(&spec, argc, argv, &e.options, &exit_code)) {
        return exit_code;
    }
    e.conf = conf_values(e.options.conf);
    rc = read_wait(&e, &err);
    if (rc == 0) {
        rc = service_setup(&err);
    }
    if (rc == 0) {
        rc = enrolment_read(e.conf->state_dir, &e.result, &err);
        if (rc == 0) {
            exit_code = say_already(&e);
            if (exit_code == POFR_EXIT_DONE) {
                remove_token(&e);
            }
            goto out;
        }
        if (rc == POFR_ENOTFOUND) {
            rc = enrol(&e, &err);
        }
        if (rc == 0) {
            say(&e, e.approved ? "enrolled" : "pending");
            remove_token(&e);
        }
    }
    exit_code = e.token.secret[0] == '\0' ? exit_of_token(rc) : exit_of(rc);
    if (rc != 0) {
        fprintf(stderr, "pofr-agent enrol: %s%s\n", err.text, exit_code == POFR_EXIT_RETRY ? " (try again later)" : "");
    }
out:
    token_wipe(&e.token);
    sshkey_free(e.key);
    fsio_close(&e.lock);
    conf_free(e.options.conf);
    return exit_code;
}
