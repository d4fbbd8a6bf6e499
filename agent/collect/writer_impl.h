/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writer_impl.h -- the inside of writer.h: writer.c is the thread, writer_queue.c what others hand to it.
 */
#pragma once

#include <pthread.h>

#include "agent/collect/untold.h"
#include "agent/collect/writer.h"

enum job_kind {
    JOB_JOURNAL,
    JOB_SEAL,
    JOB_ACKED, /* from here on: of the socket */
    JOB_WANTED,
    JOB_REFUSED,
    JOB_KEY
};

struct job {
    struct job *next;
    enum job_kind kind;
    size_t bytes;
    struct draft *draft; /* SEAL; JOURNAL: identity or NULL */
    uint64_t sequence;
    uint8_t digest[32];
    char reason[256];
    writer_done_fn done;
    void *ctx;
    uint64_t cookie;
    unsigned ranges_len;
    struct ipc_range *ranges;
    const struct sshkey *key;
    size_t len;
    uint8_t data[];
};

struct writer {
    struct writer_conf conf;
    struct spool spool;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct job *first, **last;
    uint64_t queue_bytes;
    unsigned controls;
    bool stopping, stopped;
    int64_t stop_at_us, last_tries_us;
    bool refused_any;
    bool limits_set; /* other limits wait for the thread */
    struct writer_limits limits;
    struct waiting {
        struct writer_refusal refusal;
        bool given;                  /* to the capture thread */
    } refusals[DRAFT_NOTES_MAX * 4]; /* until their gap records are durable */
    unsigned refusals_len;
    struct writer_figures figures;

    /* the thread's own */
    struct untold untold;
    int64_t gap_told_us; /* from the reserve */
    bool disk_full;
};

void job_free(struct job *j);
