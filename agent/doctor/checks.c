/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/doctor/checks.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "agent/doctor/ask.h"
#include "agent/doctor/probe.h"
#include "agent/enrol/enrolment.h"
#include "agent/identity.h"
#include "agent/look/rights.h"
#include "agent/ship/gateways.h"
#include "agent/ship/ssh_client.h"
#include "agent/spool/format.h"
#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/service.h"

#define DETAIL_SIZE      512
#define WALL_EARLIEST_US INT64_C(1704067200000000) /* 2024: nobody ran this before */
#define WALL_LATEST_US   INT64_C(4102444800000000) /* 2100 */
#define GATEWAY_US       INT64_C(10000000)

struct checks {
    const struct agent_conf *conf;
    check_fn say;
    void *arg;
    struct enrolment identity;
    bool enrolled, has_key, has_pin;
    bool connected;     /* the running agent, to a gateway */
    struct sshkey *key; /* NULL: we may not read it */
    uint8_t public_key[32];
    struct pins pins;
};

const char *check_level_name(enum check_level level)
{
    static const char *const names[] = { "ok", "note", "warn", "bad" };

    return names[level];
}

static void say(struct checks *c, const char *name, enum check_level level, const char *fmt, ...) POFR_PRINTF(4, 5);

static void say(struct checks *c, const char *name, enum check_level level, const char *fmt, ...)
{
    char detail[DETAIL_SIZE];
    va_list values;

    va_start(values, fmt);
    vsnprintf(detail, sizeof(detail), fmt, values);
    va_end(values);
    c->say(c->arg, name, level, detail);
}

/* --- who we are ----------------------------------------------------------------------------------- */

static void check_key(struct checks *c)
{
    struct ipc_message answer;
    struct buf packet = BUF_INIT(IPC_PACKET_MAX);
    struct pofr_err err;
    char print[80];
    int rc = identity_read_key(c->conf->state_dir, IDENTITY_KEY, &c->key, &err);

    if (rc == 0) {
        memcpy(c->public_key, sshkey_public(c->key), 32);
        c->has_key = true;
    } else if (err.sys == EACCES || err.sys == EPERM) { /* as it should be: the collector knows the public half */
        if (ask_collector(c->conf->runtime_dir, &(struct ipc_message){ .type = IPC_KEY }, IPC_KEY_IS, &packet, &answer,
                          NULL) == 0) {
            memcpy(c->public_key, answer.key_is.public_key, 32);
            c->has_key = true;
        } else {
            say(c, "key", CHECK_NOTE, "this user can't read it: run doctor as root");
        }
    } else {
        say(c, "key", CHECK_BAD, "%s", err.text);
    }
    if (c->has_key) {
        sshkey_fingerprint(c->public_key, print, sizeof(print));
        say(c, "key", CHECK_OK, "%s", print);
    }
    buf_free(&packet);
}

static void check_identity(struct checks *c)
{
    struct pofr_err err;
    char uuid[UUID_TEXT_SIZE];
    int rc = enrolment_read(c->conf->state_dir, &c->identity, &err);

    if (rc == POFR_ENOTFOUND) {
        say(c, "enrolled", CHECK_BAD, "no: nothing is sent before pofr-agent enrol --token-file FILE");
        return;
    }
    if (rc != 0) {
        say(c, "enrolled", CHECK_BAD, "%s", err.text);
        return;
    }
    c->enrolled = true;
    say(c, "enrolled", CHECK_OK, "as %s (%s)", c->identity.name[0] ? c->identity.name : "-",
        uuid_format(&c->identity.host, uuid));
    check_key(c);
    rc = pins_load(c->conf->state_dir, &c->pins, &err);
    c->has_pin = rc == 0;
    if (rc != 0) {
        say(c, "gateway pin", CHECK_BAD, "%s", err.text);
    }
}

/* --- what runs ------------------------------------------------------------------------------------ */

static void check_collector(struct checks *c)
{
    struct ipc_message answer;
    struct buf packet = BUF_INIT(IPC_PACKET_MAX);
    struct pofr_err err;
    int rc = ask_collector(c->conf->runtime_dir, &(struct ipc_message){ .type = IPC_STATE }, IPC_STATE_IS, &packet,
                           &answer, &err);

    if (rc == 0) {
        uint64_t waiting =
            answer.state_is.newest -
            (answer.state_is.acked < answer.state_is.newest ? answer.state_is.acked : answer.state_is.newest);

        say(c, "collector", CHECK_OK, "runs; newest bundle %" PRIu64 ", %" PRIu64 " waiting for the gateway",
            answer.state_is.newest, waiting);
    } else {
        say(c, "collector", rc == POFR_EPERMISSION ? CHECK_NOTE : CHECK_BAD, "%s", err.text);
    }
    buf_free(&packet);
}

/* What the gateway answers to the agent that runs. */
static void check_shipper(struct checks *c)
{
    struct shipping s;
    int rc = ask_shipping(c->conf->runtime_dir, &s, NULL);

    if (rc == POFR_EFORMAT) {
        say(c, "shipper", CHECK_WARN, "the collector's status is not to be understood");
    } else if (rc != 0) {
        say(c, "shipper", CHECK_NOTE, "not known: only the collector could say");
    } else if (s.connected) {
        c->connected = true;
        say(c, "shipper", CHECK_OK, "connected to %s", s.gateway);
    } else if (s.last_error[0] != '\0') {
        say(c, "shipper", CHECK_BAD, "not connected: %.400s", s.last_error);
    } else {
        say(c, "shipper", CHECK_WARN, s.gateway[0] ? "not connected to %s yet" : "does not run, or has just begun%s",
            s.gateway);
    }
}

/* --- disk ----------------------------------------------------------------------------------------- */

/* May the collector's user make files there? By the mode bits, since root may everything. */
static bool may_write(const struct stat *st, const struct agent_conf *conf)
{
    struct service_identity id = { .uid = geteuid(), .gid = getegid() };

    if (conf->collector_user[0] != '\0' && service_lookup_user(conf->collector_user, &id, NULL) != 0) {
        return false;
    }
    return id.uid == 0 || (st->st_uid == id.uid && (st->st_mode & S_IWUSR) != 0) ||
           (st->st_gid == id.gid && (st->st_mode & S_IWGRP) != 0);
}

static void check_disk(struct checks *c)
{
    char path[PATH_MAX];
    struct statvfs fs;
    struct stat st;
    uint64_t free_bytes;

    if (snprintf(path, sizeof(path), "%s/%s", c->conf->state_dir, SPOOL_DIR) >= (int)sizeof(path) ||
        stat(path, &st) != 0) { /* made at the collector's first start */
        snprintf(path, sizeof(path), "%s", c->conf->state_dir);
    }
    if (stat(path, &st) != 0 || statvfs(path, &fs) != 0) {
        struct pofr_err err;

        (void)pofr_err_sys(&err, fsio_code(errno), "%s", path);
        say(c, "spool", CHECK_BAD, "%s", err.text);
        return;
    }
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if ((fs.f_flag & ST_RDONLY) != 0) {
        say(c, "spool", CHECK_BAD, "%s is mounted read-only: nothing can be kept", path);
    } else if (!may_write(&st, c->conf)) {
        say(c, "spool", CHECK_BAD, "%s can't be written by the collector's user %s", path, c->conf->collector_user);
    } else if (free_bytes < 16u << 20) {
        say(c, "spool", CHECK_BAD, "%s: %" PRIu64 " MiB free; what does not fit is lost, counted", path,
            free_bytes >> 20);
    } else if (free_bytes < c->conf->spool_limit / 10) {
        say(c, "spool", CHECK_WARN,
            "%s: %" PRIu64 " MiB free, less than a tenth of the spool's limit of %" PRIu64 " MiB", path,
            free_bytes >> 20, c->conf->spool_limit >> 20);
    } else {
        say(c, "spool", CHECK_OK, "%s: %" PRIu64 " MiB free, limit %" PRIu64 " MiB", path, free_bytes >> 20,
            c->conf->spool_limit >> 20);
    }
}

/* --- time ----------------------------------------------------------------------------------------- */

static void check_clock(struct checks *c)
{
    char now[CLOCK_TEXT_SIZE];
    int64_t wall_us = clock_wall_us();
    struct timex t;
    int state;

    memset(&t, 0, sizeof(t));
    state = adjtimex(&t);
    clock_format(wall_us, now);
    if (wall_us < WALL_EARLIEST_US || wall_us > WALL_LATEST_US) {
        say(c, "clock", CHECK_WARN, "%s can't be right; rows get the gateway's time, and a finding", now);
    } else if (state < 0) {
        say(c, "clock", CHECK_NOTE, "%s; whether it is synchronised can't be asked here", now);
    } else if (state == TIME_ERROR || (t.status & STA_UNSYNC) != 0) {
        say(c, "clock", CHECK_WARN, "%s, not synchronised (says the kernel): a drift is a finding, order stays right",
            now);
    } else {
        say(c, "clock", CHECK_OK, "%s, synchronised, at most %ld ms off", now, t.maxerror / 1000);
    }
}

/* --- gateways ------------------------------------------------------------------------------------- */

/*
 * Where the agent is not connected, the gateway is asked as the shipper asks it. Where it is, not: a second session of
 * this host would end the first, and what the first one hears is said above.
 */
static void check_gateway(struct checks *c, const struct hostport *g)
{
    struct probe p = { .gateway = *g, .host = c->identity.host, .connect_us = GATEWAY_US };
    struct probe_answer answer;
    char name[HOSTPORT_HOST_SIZE + 16];
    struct pofr_err err;
    int rc;

    snprintf(name, sizeof(name), "gateway %s:%u", g->host, (unsigned)g->port);
    p.key = c->connected ? NULL : c->key;
    memcpy(p.public_key, c->public_key, 32);
    p.pins = c->pins;
    rc = probe_gateway(&p, &answer, &err);
    if (rc == 0 && p.key) {
        say(c, name, CHECK_OK, "%s has the pinned key and takes this host", answer.peer);
    } else if (rc == 0 && c->connected) {
        say(c, name, CHECK_OK, "%s has the pinned key", answer.peer);
    } else if (rc == 0) {
        say(c, name, CHECK_NOTE, "%s has the pinned key; whether it takes this host is not known: run doctor as root",
            answer.peer);
    } else if (probe_is_ended(&answer)) {
        say(c, name, CHECK_BAD,
            "%s; to record this machine again, as a new host: stop its agent, move %s away, and "
            "pofr-agent enrol --token-file FILE",
            err.text, c->conf->state_dir);
    } else if (rc == POFR_EREFUSED && !answer.refused) {
        say(c, name, CHECK_BAD, "%s does not let this host's key log in", answer.peer);
    } else {
        say(c, name, CHECK_BAD, "%s", err.text);
    }
}

static void check_gateways(struct checks *c)
{
    struct gateways g;
    struct pofr_err err;
    int rc = gateways_load(c->conf->gateway, c->conf->state_dir, &g, &err);

    if (rc != 0) {
        say(c, "gateways", CHECK_BAD,
            rc == POFR_ENOTFOUND ? "none: [ship] gateway is empty, and enrolment named none%s" : "%s",
            rc == POFR_ENOTFOUND ? "" : err.text);
        return;
    }
    if (!c->has_pin || !c->has_key) {
        say(c, "gateways", CHECK_NOTE, "not tried without key and pin");
        return;
    }
    for (unsigned i = 0; i < g.len; i++) {
        check_gateway(c, &g.list[i]);
    }
}

/* --- sources -------------------------------------------------------------------------------------- */

static void check_right(void *arg, const struct rights_row *row)
{
    struct checks *c = arg;

    say(c, row->name, row->available ? CHECK_OK : row->needed_for_all ? CHECK_WARN : CHECK_NOTE, "%s", row->detail);
}

void checks_run(const struct agent_conf *conf, check_fn fn, void *arg)
{
    struct checks c = { .conf = conf, .say = fn, .arg = arg };
    struct pofr_err err;

    check_identity(&c);
    check_collector(&c);
    check_shipper(&c);
    check_disk(&c);
    check_clock(&c);
    if (ssh_client_library_init(&err) == 0) {
        check_gateways(&c);
    } else {
        say(&c, "gateways", CHECK_BAD, "%s", err.text);
    }
    rights_each(check_right, &c);
    sshkey_free(c.key);
}
