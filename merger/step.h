/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * step.h -- what the merger does on one shard. Every step looks first whether it is needed, is harmless
 * when repeated, and can be killed at any moment: the next pass goes on. What may last tells the service manager between
 * its statements (service_watchdog()) that it goes on; one statement may take ten minutes.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/db/db.h"
#include "common/os/stat.h"
#include "merger/merger_conf.h"

struct shard {
    char name[65];
    char address[256];
    uint16_t port;
    uint64_t shard_id;
    bool listed;            /* the catalog has it; one that was removed keeps its place and is passed over */
    struct db *db;          /* holds the shard's lock while it is open */
    uint64_t hosts_changed; /* change number up to which hosts were copied */
    uint64_t map[3];        /* its slots when they were: how many, generations, how many are on their way */
    bool slots_known;       /* since this connection was made */
    bool ours;              /* we have its lock, or had it when it went down and nobody else took it */
    int32_t days_ahead;     /* partitions made ahead, of the table that has least */
    int32_t strings_day;    /* day on which unused strings were last looked for; 0: never */
};

struct pass {
    const struct merger_conf *conf;
    struct stat_set *stats;
    struct db *catalog;
    int32_t today; /* days since 1970, UTC */
};

/* Partitions ahead and retention, table by table; a table that is locked is tried again at the next pass. */
POFR_MUST_USE int step_partitions(const struct pass *p, struct shard *s, struct pofr_err *err);
/* A server that came back with slots that were moved since does not show them any more. */
POFR_MUST_USE int step_slots(const struct pass *p, struct shard *s, struct pofr_err *err);
/* The catalog's hosts of this shard's slots, as analysts see them. */
POFR_MUST_USE int step_hosts(const struct pass *p, struct shard *s, struct pofr_err *err);
/* Close the open rows of retired hosts at the end of their newest bundle. */
POFR_MUST_USE int step_retired(const struct pass *p, struct shard *s, struct pofr_err *err);
/* Missing bundles are asked of their hosts again, and no longer than that makes sense. */
POFR_MUST_USE int step_wanted(const struct pass *p, struct shard *s, struct pofr_err *err);
/* Once a day: strings that open rows use are marked used; those that no row can refer to any more go. */
POFR_MUST_USE int step_strings(const struct pass *p, struct shard *s, struct pofr_err *err);
