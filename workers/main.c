/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pofr-worker: takes bundles from Kafka, checks them, and stores their rows and the slot's offset in one transaction. */
#include <stdio.h>

#include "common/base/err.h"
#include "common/db/db.h"
#include "common/os/conf.h"
#include "common/os/log.h"
#include "common/os/options.h"
#include "common/os/service.h"
#include "workers/kafka.h"
#include "workers/worker.h"
#include "workers/worker_conf.h"

static int fail(int code, const struct pofr_err *err)
{
    if (code == POFR_ECLOSED) { /* as it was told: no failure */
        log_info("worker", "stopped", "reason=\"%s\"", err->text);
        log_flush();
        return POFR_EXIT_DONE;
    }
    log_error("worker", "not_started", "error=\"%s\"", err->text);
    log_flush();
    /* a topic that is wrong or missing can be put right while we are tried again */
    return code == POFR_ECONFLICT || code == POFR_ENOTFOUND ? POFR_EXIT_RETRY : options_exit_of(code);
}

int main(int argc, char **argv)
{
    const char *const lines[] = { kafka_library(), db_library(), NULL };
    const struct options_spec spec = {
        .program = "pofr-worker",
        .what = "Takes bundles from Kafka, checks them, and stores their rows and the offset in one transaction.",
        .synopsis = "",
        .conf = &worker_conf_table,
        .libraries = lines,
    };
    struct options options;
    struct worker *w = NULL;
    struct pofr_err err = { 0 };
    int code, exit_code;

    if (!options_parse(&spec, argc, argv, &options, &exit_code)) {
        return exit_code;
    }
    code = service_setup(&err);
    if (code == 0) {
        code = worker_start(options.conf, &w, &err);
    }
    if (code) {
        conf_free(options.conf);
        return fail(code, &err);
    }
    code = worker_run(w, &err);
    worker_free(w);
    if (code) {
        return fail(code, &err);
    }
    log_flush();
    return POFR_EXIT_DONE;
}
