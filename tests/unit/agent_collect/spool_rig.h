/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spool_rig.h -- a spool in a temporary folder, with a key and made-up drafts.
 */
#pragma once

#include "agent/collect/spool.h"
#include "spool_check.h"
#include "tests/support/tmpdir.h"

struct spool_rig {
    char dir[TMPDIR_PATH_SIZE];
    char spool_dir[TMPDIR_PATH_SIZE];
    struct sshkey *key;
    struct spool_conf conf;
    uint64_t next_tick; /* of the drafts */
    struct uuid boot;
};

/* cmocka setup and teardown: *state is the rig. */
int spool_rig_setup(void **state);
int spool_rig_teardown(void **state);

/* Another run begins. */
void spool_rig_new_run(struct spool_rig *g);
/* A draft of some ticks with some findings, whose payload has about so many incompressible bytes more. */
struct draft *spool_rig_draft(struct spool_rig *g, unsigned ticks, size_t bytes);
/* Open the spool, or fail the test. */
void spool_rig_open(struct spool_rig *g, struct spool *out, struct spool_start *start);
/* Is what lies there one valid chain with last as its last sequence? Fails the test with the reason. */
void spool_rig_expect_chain(struct spool_rig *g, uint64_t last);
bool spool_rig_chain(struct spool_rig *g, struct spool_report *out);
/* The whole state folder copied to another (made anew). */
void spool_rig_copy(const struct spool_rig *g, const char *to);

/* A file of the spool: all of its bytes; and written back, cut to len. */
void spool_rig_read(const struct spool_rig *g, const char *name, struct buf *out);
void spool_rig_write(const struct spool_rig *g, const char *name, struct slice bytes);
