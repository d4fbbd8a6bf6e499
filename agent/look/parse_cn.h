/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * parse_cn.h -- one datagram of the proc connector -> what the kernel told. Pure.
 */
#pragma once

#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/slice.h"

enum cn_what {   /* linux/cn_proc.h, whose enum differs between versions */
    CN_NONE = 0, /* the answer to a subscription */
    CN_FORK = 0x1,
    CN_EXEC = 0x2,
    CN_UID = 0x4,
    CN_GID = 0x40,
    CN_SID = 0x80,
    CN_PTRACE = 0x100,
    CN_COMM = 0x200,
    CN_COREDUMP = 0x40000000,
};
#define CN_EXIT UINT32_C(0x80000000)

struct cn_message {
    uint32_t what; /* others than those above: nothing but cpu, sequence and timestamp are set */
    uint32_t cpu;
    uint32_t sequence;        /* counts per cpu */
    uint64_t timestamp_ns;    /* CLOCK_MONOTONIC */
    uint32_t error;           /* CN_NONE: 0 or an errno */
    uint32_t tid, pid;        /* whom it is about: the task and its thread group (CN_FORK: the child) */
    uint32_t parent;          /* CN_FORK, CN_EXIT: thread group; 0 where the kernel does not tell */
    uint32_t real, effective; /* CN_UID, CN_GID */
    uint32_t exit_code;       /* CN_EXIT: as wait(2) gives it */
    uint8_t name[16];         /* CN_COMM */
};

/* POFR_ETRUNCATED, POFR_EFORMAT: not a connector message of the process events. */
POFR_MUST_USE int cn_parse(struct slice datagram, struct cn_message *out);
