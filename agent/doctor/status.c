/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status.c -- pofr-agent status: what the running agent says about itself. */
#include <stdio.h>

#include "agent/agent_conf.h"
#include "agent/commands.h"
#include "agent/doctor/ask.h"
#include "common/base/err.h"
#include "common/os/options.h"

enum {
    OPTION_JSON,
    OPTION_METRICS,
    OPTION_CONNECTED
};

static int exit_of(int rc)
{
    return rc == 0 ? POFR_EXIT_DONE : rc == POFR_EPERMISSION ? POFR_EXIT_REFUSED : POFR_EXIT_RETRY;
}

/* The exit code, which alone is asked for: one line says the same to people. */
static int say_connected(const char *runtime_dir)
{
    struct pofr_err err = { 0 };
    struct shipping s;
    int rc = ask_shipping(runtime_dir, &s, &err);

    if (rc != 0) {
        fprintf(stderr, "pofr-agent status: %s\n", err.text);
        return exit_of(rc);
    }
    printf("%s%s%s%s%s\n", s.connected ? "connected" : "not connected", s.gateway[0] != '\0' ? " " : "", s.gateway,
           s.connected || s.last_error[0] == '\0' ? "" : ": ", s.connected ? "" : s.last_error);
    return s.connected ? POFR_EXIT_DONE : POFR_EXIT_NO;
}

int status_main(int argc, char **argv)
{
    static const struct options_extra extra[] = {
        [OPTION_JSON] = { "json", NULL, "one JSON object" },
        [OPTION_METRICS] = { "metrics", NULL, "OpenMetrics text" },
        [OPTION_CONNECTED] = { "connected", NULL,
                               "only whether a session with a gateway is open; exit code 1: none is" },
    };
    const struct options_spec spec = {
        .program = "pofr-agent status",
        .what = "Says what the running agent is doing. Exit code 3: no collector is running here.",
        .synopsis = "",
        .conf = &agent_conf_table,
        .extra = extra,
        .extra_count = pofr_countof(extra),
    };
    struct ipc_message question = { .type = IPC_STATUS }, answer;
    struct buf packet = BUF_INIT(IPC_PACKET_MAX);
    struct options options;
    struct pofr_err err = { 0 };
    int exit_code, rc;

    if (!options_parse(&spec, argc, argv, &options, &exit_code)) {
        return exit_code;
    }
    if (options.extra[OPTION_CONNECTED]) {
        exit_code = say_connected(((const struct agent_conf *)conf_values(options.conf))->runtime_dir);
        goto out;
    }
    question.status.form = options.extra[OPTION_METRICS] ? IPC_STATUS_METRICS
                           : options.extra[OPTION_JSON]  ? IPC_STATUS_JSON
                                                         : IPC_STATUS_PEOPLE;
    rc = ask_collector(((const struct agent_conf *)conf_values(options.conf))->runtime_dir, &question, IPC_TEXT,
                       &packet, &answer, &err);
    if (rc == 0) {
        (void)fwrite(answer.text.text.data, 1, answer.text.text.len, stdout); /* a closed pipe is its reader's wish */
    } else {
        fprintf(stderr, "pofr-agent status: %s\n", err.text);
    }
    exit_code = exit_of(rc);
out:
    buf_free(&packet);
    conf_free(options.conf);
    return exit_code;
}
