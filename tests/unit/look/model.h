/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * model.h -- what a caller of look_proc.h holds, done the simplest way; a folder of links that stands for /proc, so that a
 * look sees the test's own children alone; and a naive scan to compare with.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/look/look_proc.h"

struct model_process {
    struct rec_process p; /* text is owned */
    struct look_how how;  /* of the last reading */
    bool marked;
    unsigned delivered, held, attributes_held, blocked, ended_whole, ended_torn;
};

struct model_file {
    struct rec_file f; /* path is owned */
    bool marked;
    unsigned delivered, held;
};

struct model {
    struct model_process processes[64];
    size_t process_count;
    struct model_file *files; /* room for MODEL_FILES */
    size_t file_count;
    uint32_t pid; /* being delivered */
    uint32_t ended_threads[16];
    size_t ended_count;
    unsigned low_high[64][2];
    size_t ranges;
    struct look_result result;
    int64_t now_us;
    char root[64];
};

#define MODEL_FILES 20000u

void model_init(struct model *m);
void model_fini(struct model *m);
void model_add(struct model *m, pid_t pid);
void model_remove(struct model *m, pid_t pid);

/* One look 300 ms later than the last; asserts that it was complete. */
void model_look(struct model *m, struct look_proc *l, struct look_ask ask);

struct model_process *model_process(struct model *m, pid_t pid);
struct model_file *model_file(struct model *m, pid_t pid, uint32_t thread, uint32_t fd);
size_t model_files_of(struct model *m, pid_t pid, uint32_t thread);

/* Assert that what is held of pid's files is what opendir, readlink and stat say now. */
void model_equals_naive(struct model *m, pid_t pid);

/* A child that runs fn with its end of a socket pair, and then exits with what fn returns. */
struct child {
    pid_t pid;
    int fd; /* ours */
};
typedef int (*child_fn)(int fd, void *arg);
struct child child_start(child_fn fn, void *arg);
void child_expect(const struct child *c, char byte); /* wait for it */
void child_tell(const struct child *c, char byte);
void child_end(struct child *c); /* kill, wait, close */

/* In a child: say, and wait to be told. */
void child_say(int fd, char byte);
char child_hear(int fd);

/* Wait until all of its threads are asleep (or dead): its clock stands. */
void wait_asleep(pid_t pid);
