/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * collector_rig.h -- a real collector of this machine in a temporary folder, with short ticks and small bundles. Its log
 * is the file "log" there.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "spool_check.h"
#include "tests/support/tmpdir.h"

struct collector_rig {
    char dir[TMPDIR_PATH_SIZE], state[TMPDIR_PATH_SIZE], spool[TMPDIR_PATH_SIZE], conf[TMPDIR_PATH_SIZE];
    struct sshkey *key;
    uid_t uid; /* it runs as this one; 0: as whoever runs the test */
    gid_t gid;
    uint64_t last; /* sequence committed when it was looked at last */
};

/* cmocka setup and teardown: *state is the rig. */
int collector_rig_setup(void **state);
int collector_rig_teardown(void **state);

/* As an ordinary user, without any right. By root, before it is started for the first time. */
void collector_rig_run_as(struct collector_rig *h, const char *user);

/* stop_at: a stop point, or NULL. */
pid_t collector_rig_start(const struct collector_rig *h, const char *stop_at);
int collector_rig_end(pid_t pid, int signo);                     /* its status */
void collector_rig_wait_ms(unsigned ms);                         /* for random moments */
uint64_t collector_rig_committed(const struct collector_rig *h); /* the sequence */
/* Until it has stored so many bundles more, however slow the machine is; and then for a while. */
void collector_rig_wait_bundles(const struct collector_rig *h, uint64_t n, unsigned more_ms);
void collector_rig_print_log(const struct collector_rig *h);
/* Is what it left one valid chain, in which nothing contradicts and nothing that counted is gone? Fails the test. */
void collector_rig_look(struct collector_rig *h, struct spool_report *r);
