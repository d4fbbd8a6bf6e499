/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * merger.h -- all shards that this process looks after, pass after pass. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/os/stat.h"
#include "merger/merger_conf.h"

struct merger;
struct watch_shard;

POFR_MUST_USE int merger_new(const struct merger_conf *conf, struct stat_set *stats, struct merger **out,
                             struct pofr_err *err);
void merger_free(struct merger *m); /* lets go of the shards' locks */
void merger_set_conf(struct merger *m, const struct merger_conf *conf);

/*
 * One pass over every shard: connect and take its lock where that is not done, then each step. A shard that
 * fails is logged, counted and tried again at the next pass; it stops no other. stop() is asked between steps.
 */
void merger_pass(struct merger *m, bool (*stop)(void));

/* The shards whose lock is ours, by the newest pass; one that went down meanwhile stays until somebody else has it. Any thread. */
size_t merger_shards_held(struct merger *m, struct watch_shard *out, size_t max);

/* Did the newest pass reach the catalog and hold every shard that nobody else holds? For /readyz. */
bool merger_is_ready(const struct merger *m, char *reason, size_t size);
