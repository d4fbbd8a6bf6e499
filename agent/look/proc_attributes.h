/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proc_attributes.h -- all of a process but its files, so that it is of one program and one moment.
 *
 * Part of proc_reader; runs on the look's thread. Slices of the record point into the reader's buffers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/look/parse_proc.h"
#include "agent/look/proc_reader.h"

struct proc_reading {
    struct rec_process p;
    struct proc_stat stat; /* the leader's; comm points into comm[] */
    uint8_t comm[PROC_COMM_MAX];
    struct file_id exe;
    uint64_t attributes, quick_hash; /* as in struct gate_entry */
    bool held;                       /* attributes are as they were, and the caller holds them */
    bool quick;                      /* ... and stat was not read */
};

static inline bool proc_is_dead(const struct proc_stat *s)
{
    return s->state == 'Z' || s->state == 'X' || s->state == 'x';
}

/* stat through an open directory. 0, PROC_LEFT, or negative: not there (or not to be parsed, which is the same to us). */
POFR_MUST_USE int proc_attributes_stat(struct proc_context *c, int dir, struct proc_reading *g);
/* The same of any task; out->comm is valid until the next. */
POFR_MUST_USE int proc_attributes_any_stat(struct proc_context *c, int dir, struct proc_stat *out);

/* After proc_attributes_stat(): the rest, or g->held. enum proc_outcome, or PROC_LEFT. */
POFR_MUST_USE int proc_attributes_read(struct proc_context *c, struct gate_entry *e, const struct proc_target *x,
                                       struct proc_reading *g);

/*
 * Where events tell of the rest: is it the same process, with the arguments, directory and ids of the last reading, and the
 * caller holds it? 0: yes, g->held and g->quick. 1: not sure; read it. PROC_LEFT.
 */
POFR_MUST_USE int proc_attributes_quick(struct proc_context *c, const struct gate_entry *e, const struct proc_target *x,
                                        struct proc_reading *g);

/* What a zombie still shows. 0, PROC_LEFT, or negative: not there any more. */
POFR_MUST_USE int proc_attributes_exited(struct proc_context *c, const struct gate_entry *e, int dir,
                                         struct proc_reading *g);

/* Something was not there. 0: the process is, its memory is not. PROC_GONE, PROC_TORN, PROC_LEFT. */
POFR_MUST_USE int proc_attributes_what_now(struct proc_context *c, const struct gate_entry *e,
                                           const struct proc_target *x);
