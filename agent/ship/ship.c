/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/ship/ship.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/collect/ipc.h"
#include "agent/commands.h"
#include "agent/identity.h"
#include "agent/ship/sandbox.h"
#include "agent/ship/ssh_client.h"
#include "agent/spool/format.h"
#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "common/os/loop.h"
#include "common/os/options.h"
#include "common/os/service.h"

/* The leak checker and the stop points of test builds need what the sandbox forbids. */
#if defined(POFR_STOP_POINTS) || defined(__SANITIZE_ADDRESS__)
#define SANDBOX 0
#else
#define SANDBOX 1
#endif

struct ship {
    struct options options;
    struct loop *loop;
    struct push *push;
    struct loop_timer watchdog;
    char state_dir[PATH_MAX];
    char spool_dir[PATH_MAX];
    char socket_path[PATH_MAX];
};

int ship_settings(const struct agent_conf *conf, struct push_settings *out, struct pofr_err *err)
{
    int rc;

    out->connect_us = conf->connect_timeout_us;
    out->retry_min_us = conf->retry_min_us;
    out->retry_max_us = conf->retry_max_us;
    rc = gateways_load(conf->gateway, conf->state_dir, &out->gateways, err);
    return rc == 0 ? pins_load(conf->state_dir, &out->pins, err) : rc;
}

/* --- while it runs -------------------------------------------------------------------------------- */

static void stopped(void *arg)
{
    struct ship *s = arg;

    loop_stop(s->loop);
}

/* Who changes the gateways' key writes the file, and need tell nobody. What is no list changes nothing. */
static void read_pins(void *arg, struct pins *pins)
{
    const struct ship *s = arg;
    struct pofr_err err;

    if (pins_load(s->state_dir, pins, &err) != 0) {
        log_error("ship", "pins_unreadable", "error=\"%s\"", err.text);
    }
}

static void on_stop(int signo, void *arg)
{
    struct ship *s = arg;

    log_info("ship", "stopping", "signal=%d", signo);
    service_stopping();
    push_stop(s->push);
}

static void changed(const char *section, const char *name, const char *before, const char *after, void *arg)
{
    (void)arg;
    log_info("ship", "option_changed", "option=%s.%s before=\"%s\" after=\"%s\"", section, name, before, after);
}

static void on_reload(int signo, void *arg)
{
    struct ship *s = arg;
    struct push_settings settings;
    struct pofr_err err;
    struct conf *conf = NULL;

    (void)signo;
    service_reloading();
    if (conf_reload(s->options.conf, changed, NULL, &conf, &err) != 0 ||
        ship_settings(conf_values(conf), &settings, &err) != 0) {
        log_error("ship", "reload_refused", "error=\"%s\"", err.text);
        conf_free(conf);
    } else {
        conf_free(s->options.conf);
        s->options.conf = conf;
        push_change(s->push, &settings);
        log_info("ship", "reloaded", "gateways=%u pins=%u", settings.gateways.len, settings.pins.len);
    }
    service_ready();
}

static void watchdog(void *arg)
{
    struct ship *s = arg;

    if (push_goes_on(s->push, clock_mono_us())) {
        service_watchdog();
    } else {
        log_error("ship", "stuck", "");
    }
    if (loop_timer_after(s->loop, &s->watchdog, service_watchdog_us() / 2, watchdog, s) != 0) {
        log_error("ship", "no_memory", "what=timer"); /* systemd will start us again */
    }
}

/* --- start ---------------------------------------------------------------------------------------- */

static int join(char out[PATH_MAX], const char *dir, const char *name, struct pofr_err *err)
{
    return snprintf(out, PATH_MAX, "%s/%s", dir, name) < PATH_MAX
               ? 0
               : pofr_err_set(err, POFR_ECONFIG, "%s: path too long", dir);
}

/* All that may need the rights that we start with. */
static int read_state(struct ship *s, const struct agent_conf *conf, struct push_settings *settings,
                      struct pofr_err *err)
{
    int rc = ship_settings(conf, settings, err);

    if (rc == POFR_ENOTFOUND) {
        rc = pofr_err_set(err, rc, "this host is not enrolled (pofr-agent enrol): no %s in %s", PINS_FILE,
                          conf->state_dir);
    }
    if (rc == 0) { /* the configuration's own strings go with a reload */
        rc = join(s->state_dir, conf->state_dir, "", err);
    }
    if (rc == 0) {
        rc = join(s->spool_dir, conf->state_dir, SPOOL_DIR, err);
    }
    if (rc == 0) {
        rc = join(s->socket_path, conf->runtime_dir, IPC_SOCKET, err);
    }
    return rc;
}

static int drop_rights(const struct agent_conf *conf, struct pofr_err *err)
{
    struct service_identity id = { .uid = getuid(), .gid = getgid() };
    int rc = 0;

    if (conf->shipper_user[0] != '\0') {
        rc = service_lookup_user(conf->shipper_user, &id, err);
    }
    return rc == 0 ? service_drop(&id, err) : rc;
}

static int confine(struct pofr_err *err)
{
    int rc = SANDBOX ? sandbox_enter(err) : 0;

    if (rc == POFR_EUNSUPPORTED) {
        log_warn("ship", "no_sandbox", "error=\"%s\"", err->text);
        rc = 0; /* an old kernel: uid and capabilities still hold it */
    }
    return rc;
}

static int set_up(struct ship *s, struct pofr_err *err)
{
    const struct agent_conf *conf = conf_values(s->options.conf);
    struct push_options push = { .read_pins = read_pins, .stopped = stopped, .arg = s };
    int rc = service_setup(err);

    if (rc == 0) {
        rc = read_state(s, conf, &push.settings, err);
    }
    if (rc == 0) {
        rc = drop_rights(conf, err);
    }
    if (rc == 0) {
        rc = ssh_client_library_init(err);
    }
    if (rc == 0) {
        rc = loop_new(&s->loop, err);
    }
    if (rc == 0) {
        rc = loop_signal_add(s->loop, SIGTERM, on_stop, s, err);
    }
    if (rc == 0) {
        rc = loop_signal_add(s->loop, SIGINT, on_stop, s, err);
    }
    if (rc == 0) {
        rc = loop_signal_add(s->loop, SIGHUP, on_reload, s, err);
    }
    if (rc == 0) {
        rc = confine(err);
    }
    if (rc == 0) {
        push.spool_dir = s->spool_dir;
        push.socket_path = s->socket_path;
        rc = push_new(s->loop, &push, &s->push, err);
    }
    return rc;
}

static void clean_up(struct ship *s)
{
    if (s->loop) {
        loop_timer_cancel(s->loop, &s->watchdog);
    }
    push_free(s->push);
    loop_free(s->loop);
    conf_free(s->options.conf);
    log_flush();
}

int ship_main(int argc, char **argv)
{
    static const char *libraries[3];
    static char ssh[40];
    const struct options_spec spec = {
        .program = "pofr-agent ship",
        .what = "Sends sealed bundles from the spool to a gateway.",
        .synopsis = "",
        .conf = &agent_conf_table,
        .libraries = libraries,
    };
    struct ship s = { 0 };
    struct pofr_err err = { 0 };
    int exit_code, rc;

    snprintf(ssh, sizeof(ssh), "libssh2 %s", ssh_client_library_version());
    libraries[0] = ssh;
    if (!options_parse(&spec, argc, argv, &s.options, &exit_code)) {
        return exit_code;
    }
    rc = set_up(&s, &err);
    if (rc == 0) {
        if (service_watchdog_us() > 0) {
            watchdog(&s);
        }
        log_info("ship", "started", "version=%s spool=%s", POFR_VERSION, s.spool_dir);
        service_ready();
        rc = loop_run(s.loop, &err);
    }
    if (rc != 0) {
        log_error("ship", "ended", "error=\"%s\"", err.text);
    }
    clean_up(&s);
    /* Not enrolled yet: that may come. */
    return rc == POFR_ENOTFOUND ? POFR_EXIT_RETRY : options_exit_of(rc);
}
