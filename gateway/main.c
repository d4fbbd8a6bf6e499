/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pofr-gateway: takes bundles from agents over SSH, checks them, gives them to Kafka, and acks what Kafka
 * has. */
#include <stdio.h>

#include "common/base/err.h"
#include "common/os/conf.h"
#include "common/os/log.h"
#include "common/os/options.h"
#include "common/os/service.h"
#include "gateway/gateway.h"
#include "gateway/gateway_conf.h"
#include "gateway/lane.h"
#include "gateway/publish.h"

static int fail(int code, const struct pofr_err *err)
{
    if (code == POFR_ECLOSED) { /* as it was told: no failure */
        log_info("gateway", "ended", "reason=\"%s\"", err->text);
        log_flush();
        return POFR_EXIT_DONE;
    }
    log_error("gateway", "not_started", "error=\"%s\"", err->text);
    log_flush();
    /* a topic that is wrong or missing can be put right while we are tried again */
    return code == POFR_ECONFLICT || code == POFR_ENOTFOUND ? POFR_EXIT_RETRY : options_exit_of(code);
}

int main(int argc, char **argv)
{
    char libraries[2][64];
    const char *const lines[] = { libraries[0], libraries[1], NULL };
    const struct options_spec spec = {
        .program = "pofr-gateway",
        .what = "Takes bundles from agents over SSH, checks them, gives them to Kafka, and acks what Kafka has.",
        .synopsis = "",
        .conf = &gateway_conf_table,
        .libraries = lines,
    };
    struct options options;
    struct gateway *g = NULL;
    struct pofr_err err = { 0 };
    int rc, code;

    snprintf(libraries[0], sizeof(libraries[0]), "libssh %s", lane_library_version());
    snprintf(libraries[1], sizeof(libraries[1]), "librdkafka %s", publisher_library_version());
    if (!options_parse(&spec, argc, argv, &options, &code)) {
        return code;
    }
    rc = service_setup(&err);
    if (rc == 0) {
        rc = lane_library_open(&err);
    }
    if (rc == 0) {
        rc = gateway_start(options.conf, &g, &err);
    }
    if (rc != 0) {
        conf_free(options.conf);
        return fail(rc, &err);
    }
    rc = gateway_run(g, &err);
    gateway_free(g);
    lane_library_close();
    if (rc != 0) {
        return fail(rc, &err);
    }
    log_flush();
    return POFR_EXIT_DONE;
}
