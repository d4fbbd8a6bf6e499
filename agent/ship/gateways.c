/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/ship/gateways.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/os/fsio.h"

#define FILE_MAX 8192u

static bool is_separator(uint8_t c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int gateways_parse(struct slice text, struct gateways *out, struct pofr_err *err)
{
    struct gateways g = { 0 };
    size_t at = 0;

    while (at < text.len) {
        size_t from = at;
        struct slice one;

        while (at < text.len && !is_separator(text.data[at])) {
            at++;
        }
        one = slice_sub(text, from, at - from);
        at++;
        if (one.len == 0) {
            continue;
        }
        if (g.len == GATEWAYS_MAX) {
            return pofr_err_set(err, POFR_ETOOBIG, "more than %u gateways", GATEWAYS_MAX);
        }
        if (hostport_parse(one, -1, &g.list[g.len]) != 0 || g.list[g.len].port == 0) {
            return pofr_err_set(err, POFR_EFORMAT, "gateway %u is not host:port", g.len + 1);
        }
        g.len++;
    }
    if (g.len == 0) {
        return pofr_err_set(err, POFR_EFORMAT, "no gateway is named");
    }
    *out = g;
    return 0;
}

int gateways_load(const char *configured, const char *state_dir, struct gateways *out, struct pofr_err *err)
{
    struct buf text = BUF_INIT(FILE_MAX);
    char path[PATH_MAX];
    int rc;

    if (configured[0] != '\0') {
        rc = gateways_parse(slice_str(configured), out, err);
        return rc == 0 ? 0 : pofr_err_prefix(err, "[ship] gateway");
    }
    if (snprintf(path, sizeof(path), "%s/%s", state_dir, GATEWAYS_FILE) >= (int)sizeof(path)) {
        return pofr_err_set(err, POFR_ETOOBIG, "%s: path too long", state_dir);
    }
    rc = fsio_read(path, &text, err);
    if (rc == 0) {
        rc = gateways_parse(buf_slice(&text), out, err);
        if (rc != 0) {
            (void)pofr_err_prefix(err, "%s", path); /* returns rc again */
        }
    }
    buf_free(&text);
    return rc;
}

int gateways_store(const char *state_dir, const struct gateways *g, struct pofr_err *err)
{
    struct buf text = BUF_INIT(FILE_MAX);
    char path[PATH_MAX];
    int rc;

    if (snprintf(path, sizeof(path), "%s/%s", state_dir, GATEWAYS_FILE) >= (int)sizeof(path)) {
        return pofr_err_set(err, POFR_ETOOBIG, "%s: path too long", state_dir);
    }
    for (unsigned i = 0; i < g->len; i++) {
        bool v6 = strchr(g->list[i].host, ':') != NULL;

        buf_printf(&text, v6 ? "[%s]:%u\n" : "%s:%u\n", g->list[i].host, (unsigned)g->list[i].port);
    }
    rc = text.err != 0 ? pofr_err_set(err, text.err, "%s: too long", path)
                       : fsio_replace(path, buf_slice(&text), 0644, err);
    buf_free(&text);
    return rc;
}

/* Fisher and Yates, with a small generator: which gateway comes first is no secret. */
POFR_WRAPS void gateways_shuffle(struct gateways *g, uint64_t seed)
{
    for (unsigned i = g->len; i > 1; i--) {
        struct hostport one = g->list[i - 1];
        unsigned j;

        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        j = (unsigned)((seed >> 33) % i);
        g->list[i - 1] = g->list[j];
        g->list[j] = one;
    }
}

unsigned gateways_find(const struct gateways *g, const struct hostport *one)
{
    unsigned at = 0;

    while (at < g->len && (g->list[at].port != one->port || strcmp(g->list[at].host, one->host) != 0)) {
        at++;
    }
    return at;
}
