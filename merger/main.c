/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pofr-merger: keeps the shards' tables in shape. */
#include <stdio.h>

#include "common/db/db.h"
#include "common/os/options.h"
#include "merger/merger_conf.h"
#include "merger/program.h"

int main(int argc, char **argv)
{
    const char *libraries[] = { db_library(), NULL };
    const struct options_spec spec = {
        .program = "pofr-merger",
        .what = "Keeps the shards' tables in shape: days ahead, retention, names of hosts, unused strings.",
        .synopsis = "",
        .conf = &merger_conf_table,
        .libraries = libraries,
    };
    struct options options = { 0 };
    struct pofr_err err = { 0 };
    int code, rc;

    if (!options_parse(&spec, argc, argv, &options, &rc)) {
        return rc;
    }
    code = program_run(options.conf, &err);
    if (code) {
        fprintf(stderr, "pofr-merger: %s\n", err.text[0] ? err.text : pofr_err_text(code));
    }
    return options_exit_of(code);
}
