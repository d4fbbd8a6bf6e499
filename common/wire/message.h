/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * message.h -- what agent and gateway say to each other inside the SSH channel (docs/PROTOCOL.md).
 * A frame is u32 big-endian length of what follows, u8 type, body. Bodies are fields: tag (varint number *
 * 4 + wire type) and value, the same as in records; unknown fields are skipped. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/base/uuid.h"

#define MESSAGE_VERSION    1
#define MESSAGE_SUBSYSTEM  "pofr"
#define MESSAGE_ENROL_USER "enrol" /* SSH user of a peer whose key is not known yet */

enum message_type {
    MESSAGE_ENROL = 1,     /* agent -> gateway, the only message of an unknown key */
    MESSAGE_ENROLLED = 2,  /* the answer */
    MESSAGE_HELLO = 3,     /* agent -> gateway, first message of a session */
    MESSAGE_WELCOME = 4,   /* the answer */
    MESSAGE_BUNDLE = 5,    /* agent -> gateway */
    MESSAGE_ACK = 6,       /* gateway -> agent: Kafka has it */
    MESSAGE_REFUSE = 7,    /* gateway -> agent: final, or later */
    MESSAGE_SLOW_DOWN = 8, /* gateway -> agent */
    MESSAGE_PING = 9,      /* both ways; answered by PONG with the same token */
    MESSAGE_PONG = 10,
    MESSAGE_IGNORABLE = 128 /* types from here on are skipped by who does not know them */
};

enum message_refuse {
    MESSAGE_REFUSE_SIGNATURE = 1,    /* final */
    MESSAGE_REFUSE_HOST = 2,         /* final: statement's host is not the key's */
    MESSAGE_REFUSE_SIZE = 3,         /* final */
    MESSAGE_REFUSE_STATEMENT = 4,    /* final: unreadable, or a version this gateway does not know */
    MESSAGE_REFUSE_BUSY = 16,        /* later */
    MESSAGE_REFUSE_REVOKED = 17,     /* later: the host is retired; session ends */
    MESSAGE_REFUSE_PENDING = 18,     /* later: enrolment waits for approval */
    MESSAGE_REFUSE_TOKEN = 19,       /* ENROL: token unknown, used up or expired */
    MESSAGE_REFUSE_PROTOCOL = 20,    /* the peer broke the protocol; session ends */
    MESSAGE_REFUSE_UNAVAILABLE = 21, /* later: catalog or Kafka out of reach */
    MESSAGE_REFUSE_ORDER = 22,       /* later: bundle out of sequence within the session */
};

struct message_range {
    uint64_t first, last;
};
#define MESSAGE_WANTED_MAX 64

struct message {
    enum message_type type;
    union {
        struct {
            uint64_t version;
            struct slice token;      /* text */
            struct slice public_key; /* 32 bytes: must be the session's */
            struct slice hostname, machine_id, os, kernel, agent_version;
        } enrol;
        struct {
            uint64_t version;
            struct uuid host;
            struct slice name;
            bool approved;
        } enrolled;
        struct {
            uint64_t version;
            struct uuid host;
            struct uuid boot;
            uint64_t boot_us, wall_us; /* the host's clocks when it wrote this */
            uint8_t run[16];
            uint64_t oldest, newest; /* sequences in the spool that are not acked; 0 0: none */
            struct slice agent_version;
        } hello;
        struct {
            uint64_t version;
            struct slice gateway;
            uint64_t bundle_max; /* bytes */
            uint64_t window;     /* bundles that may be unacked */
            uint64_t wall_us;    /* the gateway's clock */
            uint8_t key[32];     /* the key that the catalog has for the host now */
            unsigned wanted_len; /* send these again, oldest first, before anything else */
            struct message_range wanted[MESSAGE_WANTED_MAX];
        } welcome;
        struct {
            uint64_t sequence;
            struct slice block;
        } bundle;
        struct {
            uint64_t sequence;
            uint8_t digest[32]; /* the statement's */
        } ack;
        struct {
            uint64_t sequence;  /* 0: not about a bundle */
            uint8_t digest[32]; /* of the statement if it could be read, else of the block */
            bool final;
            uint64_t code;       /* enum message_refuse */
            struct slice reason; /* for people */
            uint64_t retry_ms;
        } refuse;
        struct {
            uint64_t wait_ms;
        } slow_down;
        struct {
            uint64_t token;
        } ping; /* and pong */
    };
};

#define MESSAGE_HEADER 5 /* bytes before the body */

/* Append the frame to out. */
POFR_MUST_USE int message_put(const struct message *m, struct buf *out);
/*
 * Look at the front of what has come in. 1: *out is a message, *out_used bytes are its; slices borrow from in.
 * 0: more bytes are needed (*out_used tells how many in all, once the length is known, else MESSAGE_HEADER).
 * POFR_ETOOBIG: length over max; POFR_EFORMAT: the peer broke the form; POFR_EUNSUPPORTED: a type that is
 * neither known nor ignorable. An ignorable one comes out with its type and nothing else.
 */
POFR_MUST_USE int message_get(struct slice in, size_t max, struct message *out, size_t *out_used);
const char *message_refuse_name(uint64_t code);
