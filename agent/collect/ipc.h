/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ipc.h -- what shipper (and `pofr-agent status`) and collector say to each other over the unix socket
 * <runtime_dir>/collector.sock, SOCK_SEQPACKET: one packet, one message. Pure: only the bytes.
 *
 * The collector checks the peer by SO_PEERCRED: root and its own uid may ask STATE and STATUS; the shipper's uid and
 * root may send everything. Others are cut off. A packet is u8 type and fields (little-endian; bytes as u32 length and bytes).
 * A packet that does not parse ends the connection.
 *
 *   ask               answer
 *   STATE             STATE_IS     who and where we are; what is in the spool
 *   KEY               KEY_IS       the public key that signs and logs in
 *   SIGN blob         SIGNED, or ERROR  (blob: below; at most once a second, else ERROR LATER)
 *   REFUSED           DONE, or ERROR    a bundle was refused finally; after DONE the shipper goes on behind it
 *   STATUS            TEXT
 *   ACKED             (none)       sequence and all before it are acked
 *   WANTED            (none)       ranges that the gateway wants again: kept from removal; none: forget them
 *   ENTERED           (none)       the key that WELCOME named
 *   SHIPPER           (none)       the shipper's own figures, for status and the recorder record; every few seconds
 *                     NEW          pushed to who asked STATE, after each bundle that became durable
 *
 * Answers come in the order of the questions of one connection; NEW may stand between them.
 *
 * SIGN signs exactly this and nothing else (RFC 4252 part 7), the whole blob checked byte for byte:
 *   string session id (20 to 64 bytes) | byte 50 | string host uuid as text | string "ssh-connection" |
 *   string "publickey" | boolean 1 | string "ssh-ed25519" | string own public key blob
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/slice.h"
#include "common/base/uuid.h"

#define IPC_SOCKET     "collector.sock" /* in the runtime folder */
#define IPC_PACKET_MAX (128u * 1024u)
#define IPC_BLOB_MAX   1024u
#define IPC_RANGES_MAX 64u
#define IPC_TEXT_MAX   (120u * 1024u)

enum ipc_type {
    IPC_STATE = 1,
    IPC_KEY = 2,
    IPC_SIGN = 3,
    IPC_ACKED = 4,
    IPC_REFUSED = 5,
    IPC_WANTED = 6,
    IPC_STATUS = 7,
    IPC_ENTERED = 8,
    IPC_SHIPPER = 9,

    IPC_STATE_IS = 65,
    IPC_KEY_IS = 66,
    IPC_SIGNED = 67,
    IPC_DONE = 68,
    IPC_ERROR = 69,
    IPC_TEXT = 70,
    IPC_NEW = 71,
};

enum ipc_status_form {
    IPC_STATUS_JSON = 0,    /* one object */
    IPC_STATUS_METRICS = 1, /* OpenMetrics */
    IPC_STATUS_PEOPLE = 2,
};

enum ipc_error {
    IPC_ERROR_LATER = 1,   /* more than one SIGN a second, or too much at once: ask again after retry_ms */
    IPC_ERROR_BLOB = 2,    /* SIGN: not the blob that we sign */
    IPC_ERROR_UNKNOWN = 3, /* no such bundle, or another digest */
    IPC_ERROR_DISK = 4,    /* could not be written: ask again after retry_ms */
    IPC_ERROR_RIGHTS = 5,  /* this peer may not */
};

struct ipc_range {
    uint64_t first, last;
};

struct ipc_message {
    enum ipc_type type;
    union {
        struct {
            struct uuid host;
            struct uuid boot;
            uint8_t run[16];
            uint64_t oldest; /* first sequence in the spool, acked or not; 0: none */
            uint64_t newest; /* last durable one; 0: none */
            uint64_t acked;  /* all up to here are acked or finally refused: begin at acked + 1 */
        } state_is;
        struct {
            uint8_t public_key[32];
            uint8_t next_key[32]; /* a new key that is not entered yet; all zero: none */
        } key_is;
        struct {
            struct slice blob;
        } sign;
        struct {
            uint8_t signature[64];
        } is_signed;
        struct {
            uint64_t sequence;
            uint8_t digest[32];
        } acked;
        struct {
            uint64_t sequence;
            uint8_t digest[32];
            uint64_t code; /* enum message_refuse */
            struct slice reason;
        } refused;
        struct {
            unsigned len;
            struct ipc_range ranges[IPC_RANGES_MAX];
        } wanted;
        struct {
            uint8_t public_key[32];
        } entered;
        struct {
            bool connected;
            uint64_t since_wall_us; /* connected, or not, since then */
            uint64_t sent_bytes;    /* since the shipper's start */
            uint64_t bundles_acked;
            uint64_t sessions;
            uint64_t failures;
            struct slice gateway;    /* address */
            struct slice last_error; /* empty: none */
        } shipper;
        struct {
            uint64_t form;
        } status; /* enum ipc_status_form */
        struct {
            struct slice text;
        } text;
        struct {
            uint64_t code;
            uint64_t retry_ms;
        } error; /* enum ipc_error */
        struct {
            uint64_t oldest, newest, acked;
        } news;
    };
};

/* Append the packet to out. POFR_ETOOBIG: a part is over its limit. */
POFR_MUST_USE int ipc_put(const struct ipc_message *m, struct buf *out);
/* Slices borrow from packet. POFR_EFORMAT, POFR_ETRUNCATED, POFR_ETOOBIG, POFR_EUNSUPPORTED (unknown type). */
POFR_MUST_USE int ipc_get(struct slice packet, struct ipc_message *out_message);
const char *ipc_type_name(unsigned type);
