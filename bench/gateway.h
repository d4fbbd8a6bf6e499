/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gateway.h -- what the files of bench_gateway share.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <libssh2.h>

#include "common/base/buf.h"
#include "common/base/uuid.h"
#include "common/wire/message.h"

#define KEY_TEXT_SIZE 1024u /* of the file of keys, per host: the private key, filled up with zeros */

struct link {
    int fd;
    struct sockaddr_in to;
    LIBSSH2_SESSION *ssh;
    LIBSSH2_CHANNEL *channel;
    struct buf in;
};

/* Or the end. */
static inline void must(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench_gateway: %s\n", what);
        exit(1);
    }
}

struct uuid host_of(unsigned n);
void key_text(const char *file, unsigned n, char out[KEY_TEXT_SIZE + 1]);

/* A socket, and where it shall go to; flags: SOCK_NONBLOCK. */
void link_start(struct link *l, const char *address, int flags);
/* It is connected: what an agent asks for. */
void link_session(struct link *l);
void hello_of(unsigned n, struct message *m);

/* gateway_storm.c: arg: ADDRESS FILE. Stops itself before the first connection, and when all have their WELCOME. */
void storm_open(void); /* before the processes are made */
void storm_child(char **arg, unsigned process, unsigned times);
unsigned storm_tries(void);
