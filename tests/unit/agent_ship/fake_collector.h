/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_collector.h -- the collector's end of the socket, on the test's loop, with a spool of made-up bundles.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect/ipc.h"
#include "agent/spool/format.h"
#include "common/evidence/sshsig.h"
#include "tests/support/tmpdir.h"

struct loop;

#define FAKE_REFUSED_MAX 16

struct fake_collector {
    struct loop *loop;
    char socket_path[TMPDIR_PATH_SIZE];
    char spool_dir[TMPDIR_PATH_SIZE];
    int listen_fd, fd;
    struct sshkey *key;
    struct uuid host;
    uint64_t oldest, newest, acked;
    uint8_t acked_digest[32];
    unsigned connections, asked_state, asked_sign, asked_wanted, entered, shipper;
    unsigned sign_later; /* so many times SIGN is answered with "later" */
    bool sign_refuse;
    unsigned refuse_later; /* so many times REFUSED is answered with "later" */
    uint64_t refused[FAKE_REFUSED_MAX];
    unsigned refused_len;
    struct ipc_message wanted;
    uint8_t blob[IPC_BLOB_MAX]; /* last one signed */
    size_t blob_len;
    uint64_t failures;       /* as SHIPPER said last */
    bool connected;          /* what SHIPPER said last */
    bool ack_before_refusal; /* an ack overtook a refusal that was not answered: never */
    bool refusal_open;
};

/* dir: an empty folder. */
void fake_collector_open(struct fake_collector *f, struct loop *loop, const char *dir);
void fake_collector_close(struct fake_collector *f);
/* Cut the shipper off; it may come again. */
void fake_collector_cut(struct fake_collector *f);
/* Bundles newest+1 … newest+count of size bytes each, in one segment; announced. */
void fake_collector_seal(struct fake_collector *f, unsigned count, size_t size);
/* The digest of a made-up bundle. */
void fake_digest(uint64_t sequence, uint8_t out[32]);
