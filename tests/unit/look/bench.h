/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench.h -- what the tests of look_proc.h begin with: a look, the model of what its caller holds, a folder for files.
 */
#pragma once

#include "tests/unit/look/model.h"

struct bench {
    struct model m;
    struct look_proc_conf conf;
    /* Made at the first look: a child that is forked while its thread starts may find locks of malloc held. */
    struct look_proc *l;
    char dir[64];
};

void bench_begin_with(struct bench *b, struct look_proc_conf conf);
void bench_begin(struct bench *b);
void bench_end(struct bench *b);

void bench_look_asking(struct bench *b, struct look_ask ask);
void bench_look(struct bench *b);
void bench_reconcile_all(struct bench *b);
/* A child that says when it is ready is to be seen by the looks. */
void bench_watch(struct bench *b, const struct child *c);

/* In a child: the file is at that number from now on; files of its folder. */
void bench_put(int fd, int at);
int bench_open(const struct bench *b, const char *name, int flags);
void bench_unlink(const struct bench *b, const char *name);
void bench_rename(const struct bench *b, const char *from, const char *to);

void bench_check_file(struct bench *b, pid_t pid, uint32_t fd, uint64_t kind, uint64_t access, uint64_t deleted,
                      const char *name);

/* For child_start(), arg: the bench. Opens old at 50; told: new at 51; told: closes 51, other at 50. */
int bench_opener(int fd, void *arg);
