/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rekey.c -- pofr-agent rekey: a new key for this host, beside the old one. The collector announces it in the host's
 * chain, signed by the old key, and goes on with that until a gateway names the new one as entered. Only then is the old
 * one gone: a crash at any point leaves a key that the cluster knows.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent_conf.h"
#include "agent/commands.h"
#include "agent/enrol/enrolment.h"
#include "agent/identity.h"
#include "common/base/err.h"
#include "common/os/fsio.h"
#include "common/os/options.h"
#include "common/os/service.h"

#define FINGERPRINT_SIZE 64

enum {
    OPTION_JSON
};

static void say(const struct options *o, const char *state, const struct sshkey *key)
{
    char fingerprint[FINGERPRINT_SIZE];

    sshkey_fingerprint(sshkey_public(key), fingerprint, sizeof(fingerprint));
    if (o->extra[OPTION_JSON]) {
        printf("{\"state\": \"%s\", \"key\": \"%s\"}\n", state, fingerprint);
    } else {
        printf("%s %s\n", fingerprint,
               strcmp(state, "made") == 0
                   ? "follows this host's key. It is announced when the collector is sent SIGHUP or started"
                   : "waits to be entered already");
    }
}

/* With the owner that the old one has. Again where it is there: a crash may have left it without. */
static int write_next(const char *state_dir, const struct sshkey *key, struct pofr_err *err)
{
    char path[PATH_MAX];
    struct stat old;

    if (snprintf(path, sizeof(path), "%s/%s", state_dir, IDENTITY_KEY) >= (int)sizeof(path)) {
        return pofr_err_set(err, POFR_ECONFIG, "%s: path too long", state_dir);
    }
    if (stat(path, &old) != 0) {
        return pofr_err_sys(err, POFR_EPERMISSION, "%s", path);
    }
    return identity_write_key(state_dir, IDENTITY_KEY_NEXT, key, old.st_uid, old.st_gid, err);
}

static int rekey(const struct options *o, const struct agent_conf *conf, struct pofr_err *err)
{
    struct sshkey *key = NULL;
    const char *state = "waiting";
    struct uuid host;
    int lock = -1, rc;

    rc = identity_read_uuid(conf->state_dir, &host, err);
    if (rc == 0) {
        rc = enrolment_lock(conf->state_dir, &lock, err);
    }
    if (rc == 0) {
        rc = identity_read_key(conf->state_dir, IDENTITY_KEY_NEXT, &key, err);
    }
    if (rc == POFR_ENOTFOUND && lock >= 0) {
        state = "made";
        rc = sshkey_generate(&key);
        if (rc != 0) {
            (void)pofr_err_set(err, rc, "no key could be made"); /* returns rc */
        }
    }
    if (rc == 0) {
        rc = write_next(conf->state_dir, key, err);
    }
    if (rc == 0) {
        say(o, state, key);
    }
    sshkey_free(key);
    fsio_close(&lock);
    return rc;
}

int rekey_main(int argc, char **argv)
{
    static const struct options_extra extra[] = {
        [OPTION_JSON] = { "json", NULL, "the result as JSON" },
    };
    const struct options_spec spec = {
        .program = "pofr-agent rekey",
        .what = "Makes a new key for this host, which takes the place of the old one when the cluster has entered it. "
                "Repeating it is harmless.",
        .synopsis = "",
        .conf = &agent_conf_table,
        .extra = extra,
        .extra_count = pofr_countof(extra),
    };
    struct pofr_err err = { 0 };
    struct options options;
    int exit_code, rc;

    if (!options_parse(&spec, argc, argv, &options, &exit_code)) {
        return exit_code;
    }
    rc = service_setup(&err);
    if (rc == 0) {
        rc = rekey(&options, conf_values(options.conf), &err);
    }
    if (rc != 0) {
        fprintf(stderr, "pofr-agent rekey: %s\n", err.text);
    }
    conf_free(options.conf);
    return rc == 0                                                                ? POFR_EXIT_DONE
           : rc == POFR_ENOTFOUND || rc == POFR_EPERMISSION || rc == POFR_ECONFIG ? POFR_EXIT_USAGE
                                                                                  : POFR_EXIT_RETRY;
}
