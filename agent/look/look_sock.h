/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * look_sock.h -- one look at the sockets of network namespaces.
 *
 * sock_diag where the kernel lets us (TCP, UDP, UDPLITE, RAW of both families, UNIX, PACKET, NETLINK; without
 * TIME_WAIT), else the text of /proc/PID/net/ (then cookie_kind is 1). The own namespace is looked at each time
 * (but see own_apart_us), others in turn within a budget of time, by a thread that enters the namespace, opens, asks, closes: no socket of ours
 * keeps a namespace alive. The caller remembers when each was looked at last: that is its age.
 *
 * Owners are not known here: a socket is delivered once, with pid 0; who holds it is who has a file "socket:[inode]"
 * of kind REC_FILE_SOCKET. inode 0: nobody can hold it (it is closed, or not accepted yet).
 *
 * Slices are valid during the call of the sink function. The sink's functions are called in the caller's thread,
 * or while it waits. One owner.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/record/record.h"

struct look_sock;

struct look_sock_conf {    /* 0 or NULL: the default */
    const char *root;      /* "/proc" */
    uint32_t sockets_max;  /* 1048576 of one namespace: more are counted as unseen */
    int64_t own_apart_us;  /* the own namespace too waits until its last look is so long ago; 0: each time */
    uint32_t netns_max;    /* 65536 namespaces besides our own: more are not looked at, and counted */
    int64_t netns_wait_us; /* 10 s: one that waits longer for its first look is counted as unseen */
    bool text_only;        /* never sock_diag (for tests) */
};

struct look_netns {
    uint64_t inode; /* as in rec_process.ns_net */
    uint32_t pid;   /* a living process in it; ignored for the own namespace */
};

struct look_sock_unseen { /* network namespaces */
    uint32_t over_limit;  /* beyond netns_max: never looked at */
    uint32_t waiting;     /* for their first look, for longer than netns_wait_us */
};

/* look_netns_result.reason */
#define LOOK_SOCK_REFUSED     "a family of sockets could not be read"
#define LOOK_SOCK_LIMIT       "more sockets than the limit"
#define LOOK_SOCK_INTERRUPTED "sockets changed while they were read"
#define LOOK_SOCK_TEXT        "sock_diag is refused: text of procfs"
#define LOOK_SOCK_DOUBTFUL                                                                                             \
    "text of procfs: rows that may be part of a unix socket's name, which may have newlines, are lost"
#define LOOK_SOCK_SOME_TEXT "the kernel's sock_diag lacks a family: text of procfs"

struct look_netns_result {
    uint64_t inode;
    /* Families, as 1u << enum look_sock_family: */
    uint32_t
        whole; /* what was not delivered is not there any more (of texts: if the next look does not show it either) */
    uint32_t
        texts; /* from /proc/PID/net: the kernel tells a page at a time, and one row may be missing where another went */
    uint32_t refused;     /* could be read in neither way */
    uint32_t interrupted; /* changed under the look twice: something may have been missed */
    uint32_t sockets;     /* delivered */
    uint32_t over_limit;
    uint32_t doubtful;  /* rows of the text of unix sockets that may be part of a name: not delivered */
    const char *reason; /* why not better; NULL: nothing to say. Static text */
};

enum look_sock_family {
    LOOK_SOCK_TCP,
    LOOK_SOCK_UDP,
    LOOK_SOCK_UDPLITE,
    LOOK_SOCK_RAW,
    LOOK_SOCK_UNIX,
    LOOK_SOCK_PACKET,
    LOOK_SOCK_NETLINK,
    LOOK_SOCK_FAMILIES
};

#define LOOK_SOCK_ALL ((1u << LOOK_SOCK_FAMILIES) - 1)

/* Which of them a socket is of, by AF_*, IPPROTO_* and SOCK_*; LOOK_SOCK_FAMILIES: of none. */
enum look_sock_family look_sock_family(uint64_t family, uint64_t protocol, uint64_t type);

struct look_sock_sink {
    void (*socket)(void *ctx, const struct rec_socket *s);
    /* After the sockets of a namespace. One that was not named in a look was not looked at. */
    void (*netns_end)(void *ctx, const struct look_netns_result *result);
};

POFR_MUST_USE int look_sock_new(const struct look_sock_conf *conf, struct look_sock **out_look, struct pofr_err *err);
void look_sock_free(struct look_sock *l);

/* After a look: of which namespaces none has told anything. */
void look_sock_unseen(const struct look_sock *l, struct look_sock_unseen *out);

/* Inode of the network namespace that we are in. */
uint64_t look_sock_own(const struct look_sock *l);

/*
 * The own namespace (where it is due), then of list (in any order, the own one may be in it) those not looked at for longest, until
 * budget_us have gone by (at least one of them, at most all).
 */
POFR_MUST_USE int look_sock_run(struct look_sock *l, const struct look_netns *list, size_t count, int64_t budget_us,
                                const struct look_sock_sink *sink, void *ctx, struct pofr_err *err);
