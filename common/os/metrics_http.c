/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * THREADS  libmicrohttpd runs one thread, which calls answer(); it only reads what struct metrics_http holds.
 *          The thread is started with all signals blocked, so that they reach the program's own loop.
 */
#include "common/os/metrics_http.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/hostport.h"
#include "common/os/stat.h"

#define CONNECTIONS_MAX   16U
#define CONNECTION_S      10U
#define CONNECTION_MEMORY 16384U
#define BODY_MAX          (4U * 1024U * 1024U)
#define REASON_SIZE       512U

struct metrics_http {
    struct MHD_Daemon *daemon;
    struct stat_set *stats;
    metrics_http_check_fn healthy;
    metrics_http_check_fn ready;
    void *arg;
    uint16_t port;
};

static enum MHD_Result respond(struct MHD_Connection *c, unsigned status, const char *type, struct slice body)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.data, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_NO;

    if (r) {
        if (MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES) {
            result = MHD_queue_response(c, status, r);
        }
        MHD_destroy_response(r);
    }
    return result;
}

static enum MHD_Result respond_text(struct MHD_Connection *c, unsigned status, const char *text)
{
    return respond(c, status, "text/plain; charset=utf-8", slice_str(text));
}

static enum MHD_Result respond_metrics(const struct metrics_http *m, struct MHD_Connection *c)
{
    struct buf text = BUF_INIT(BODY_MAX);
    enum MHD_Result result;

    stat_write(m->stats, &text);
    if (text.err != 0) {
        result = respond_text(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "the metrics do not fit\n");
    } else {
        result =
            respond(c, MHD_HTTP_OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", buf_slice(&text));
    }
    buf_free(&text);
    return result;
}

static enum MHD_Result respond_check(const struct metrics_http *m, struct MHD_Connection *c, metrics_http_check_fn fn)
{
    char reason[REASON_SIZE] = "";
    size_t len;

    if (!fn || fn(m->arg, reason, sizeof(reason) - 1)) {
        return respond_text(c, MHD_HTTP_OK, "ok\n");
    }
    reason[sizeof(reason) - 2] = '\0';
    len = strlen(reason);
    reason[len] = '\n';
    reason[len + 1] = '\0';
    return respond_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, reason);
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *body, size_t *body_len, void **state)
{
    const struct metrics_http *m = arg;

    (void)version;
    (void)body;
    (void)state;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        *body_len = 0;
        return respond_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    }
    if (strcmp(url, "/metrics") == 0) {
        return respond_metrics(m, c);
    }
    if (strcmp(url, "/healthz") == 0) {
        return respond_check(m, c, m->healthy);
    }
    if (strcmp(url, "/readyz") == 0) {
        return respond_check(m, c, m->ready);
    }
    return respond_text(c, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz\n");
}

/* A numeric address: a name could mean another machine tomorrow. */
static int parse_address(const char *text, struct sockaddr_storage *out, struct pofr_err *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    struct hostport hp;

    memset(out, 0, sizeof(*out));
    if (hostport_parse(slice_str(text), -1, &hp) == 0) {
        if (inet_pton(AF_INET, hp.host, &v4->sin_addr) == 1) {
            v4->sin_family = AF_INET;
            v4->sin_port = htons(hp.port);
            return 0;
        }
        if (inet_pton(AF_INET6, hp.host, &v6->sin6_addr) == 1) {
            v6->sin6_family = AF_INET6;
            v6->sin6_port = htons(hp.port);
            return 0;
        }
    }
    return pofr_err_set(err, POFR_ECONFIG, "\"%s\" is no address:port", text);
}

static struct MHD_Daemon *start_daemon(struct metrics_http *m, const struct sockaddr_storage *at)
{
    unsigned flags = MHD_USE_AUTO_INTERNAL_THREAD | (at->ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    struct MHD_Daemon *d;
    sigset_t all, before;

    (void)sigfillset(&all); /* these can't fail */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    d = MHD_start_daemon(flags, 0, NULL, NULL, answer, m, MHD_OPTION_SOCK_ADDR, at, MHD_OPTION_CONNECTION_LIMIT,
                         CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_S,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return d;
}

int metrics_http_start(const struct metrics_http_options *o, struct metrics_http **out, struct pofr_err *err)
{
    struct sockaddr_storage at;
    const union MHD_DaemonInfo *info;
    struct metrics_http *m;
    int rc = parse_address(o->address, &at, err);

    if (rc != 0) {
        return rc;
    }
    m = calloc(1, sizeof(*m));
    if (!m) {
        return pofr_err_set(err, POFR_ENOMEM, "metrics: out of memory");
    }
    *m = (struct metrics_http){ .stats = o->stats, .healthy = o->healthy, .ready = o->ready, .arg = o->arg };
    m->daemon = start_daemon(m, &at);
    info = m->daemon ? MHD_get_daemon_info(m->daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info) {
        rc = pofr_err_sys(err, POFR_ESYSTEM, "metrics on %s", o->address);
        metrics_http_stop(m);
        return rc;
    }
    m->port = info->port;
    *out = m;
    return 0;
}

uint16_t metrics_http_port(const struct metrics_http *m)
{
    return m->port;
}

void metrics_http_stop(struct metrics_http *m)
{
    if (m) {
        if (m->daemon) {
            MHD_stop_daemon(m->daemon);
        }
        free(m);
    }
}
