/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mailbox.h -- how other threads tell a lane's thread something: a list of notes, and the loop woken.
 *
 * Any thread posts. The owner of the loop opens, cancels and closes; notes are delivered on its thread,
 * in the order in which they came.
 */
#pragma once

#include <stdbool.h>

#include "common/base/compiler.h"

struct loop;
struct mailbox;
struct pofr_err;

struct note { /* inside of what it is about; zeroed before its first use */
    struct note *next;
    void (*deliver)(struct note *n, void *arg); /* arg: that of mailbox_open() */
    bool posted;                                /* in a list now; guarded by the mailbox */
};

POFR_MUST_USE int mailbox_open(struct loop *l, void *arg, struct mailbox **out, struct pofr_err *err);
/* Nobody posts any more; what was posted is delivered first. NULL is allowed. */
void mailbox_close(struct mailbox *m);

/* A note that is posted already stays where it is. */
void mailbox_post(struct mailbox *m, struct note *n);
/* Afterwards n is in no list. */
void mailbox_cancel(struct mailbox *m, struct note *n);
