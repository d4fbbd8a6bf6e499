/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gateway_stat.h -- the gateway's figures: gateway_stat.def as ids and as a table. The enums beside them are
 * the labels' words in the order of the .def; a test compares the two.
 */
#pragma once

#include <stddef.h>

#include "common/os/stat.h"

#define STAT_DEF "gateway/gateway_stat.def"
enum gateway_stat {
#include "common/os/stat_ids.inc"
    GATEWAY_STAT_COUNT
};

extern const struct stat_def gateway_stats[GATEWAY_STAT_COUNT];

enum refusal {
    REFUSAL_SESSIONS,
    REFUSAL_ADDRESS,
    REFUSAL_UNAUTHENTICATED,
    REFUSAL_FILES,
    REFUSAL_MEMORY,
    REFUSAL_RATE
};

enum handshake {
    HANDSHAKE_HOST,
    HANDSHAKE_UNKNOWN,
    HANDSHAKE_ENROL,
    HANDSHAKE_REFUSED,
    HANDSHAKE_DENIED,
    HANDSHAKE_TIMEOUT,
    HANDSHAKE_BROKEN
};

enum denial {
    DENIAL_METHOD,
    DENIAL_KEY_TYPE,
    DENIAL_USER,
    DENIAL_OTHER_HOST,
    DENIAL_SIGNATURE
};

enum request_refused {
    REQUEST_CHANNEL,
    REQUEST_SUBSYSTEM,
    REQUEST_EXEC,
    REQUEST_SHELL,
    REQUEST_PTY,
    REQUEST_ENV,
    REQUEST_GLOBAL,
    REQUEST_OTHER
};

enum peer_cut {
    CUT_PACKETS,
    CUT_BYTES,
    CUT_OUTPUT,
    CUT_KEYS,
    CUT_PIECES
};

enum session_end {
    END_PEER,
    END_SILENCE,
    END_SLOW,
    END_PROTOCOL,
    END_SUPERSEDED,
    END_REFUSED,
    END_DELIVERY,
    END_STUCK,
    END_DRAIN,
    END_BROKEN,
    END_ORDER,
    END_DONE,
    END_RESOURCES,
    END_WANTED /* so that the next answer to HELLO names what is wanted again */
};

enum enrolment {
    ENROLMENT_NEW,
    ENROLMENT_AGAIN,
    ENROLMENT_TOKEN,
    ENROLMENT_KEY,
    ENROLMENT_UNAVAILABLE,
    ENROLMENT_MALFORMED
};

enum bundle_result {
    BUNDLE_ACKED,
    BUNDLE_SIGNATURE,
    BUNDLE_HOST,
    BUNDLE_SIZE,
    BUNDLE_STATEMENT,
    BUNDLE_ORDER,
    BUNDLE_UNDELIVERED,
    BUNDLE_UNASKED
};

enum delivery_error {
    DELIVERY_PURGED,
    DELIVERY_FATAL,
    DELIVERY_TOPIC,
    DELIVERY_SIZE,
    DELIVERY_AUTHORIZATION,
    DELIVERY_TIMEOUT,
    DELIVERY_OTHER
};

enum lookup_result {
    LOOKUP_FOUND,
    LOOKUP_UNKNOWN,
    LOOKUP_UNAVAILABLE
};

const char *session_end_name(enum session_end why); /* the word of the .def */
