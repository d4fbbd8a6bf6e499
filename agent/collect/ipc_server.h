/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipc_server.h -- the collector's end of the unix socket (ipc.h): who may ask, and what. A thread of its own; capture
 * never waits for it.
 */
#pragma once

#include "agent/collect/recording.h"
#include "agent/collect/ipc.h"
#include "agent/collect/writer.h"
#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/evidence/sshsig.h"

struct ipc_server;

struct ipc_server_conf {
    const char *runtime_dir;
    const char *state_dir;
    const char *shipper_user; /* empty: our own uid */
    struct uuid host, boot;
    uint8_t run[16];
    const struct sshkey *key;      /* borrowed, as all that follow */
    const struct sshkey *next_key; /* the one that shall follow it; NULL: none */
    struct writer *writer;
    struct recording *recording; /* NULL: no figures of it */
};

POFR_MUST_USE int ipc_server_start(const struct ipc_server_conf *conf, struct ipc_server **out_server,
                                   struct pofr_err *err);
/*
 * The end, in two steps, because the writer's thread calls us and we call the writer: stop (nobody is answered any more), then
 * writer_stop(), then free. NULL is allowed.
 */
void ipc_server_stop(struct ipc_server *s);
/* A next key, where there was none, or another. Any thread. */
void ipc_server_next_key(struct ipc_server *s, const struct sshkey *key);
void ipc_server_free(struct ipc_server *s);
/* A bundle became durable: tell who wants to know. Any thread, until it is freed. */
void ipc_server_news(struct ipc_server *s);
