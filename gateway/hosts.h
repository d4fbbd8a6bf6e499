/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hosts.h -- which session has a host. One at a time, for as long as a message of it has no report from
 * Kafka: else two sessions' bundles could overtake each other.
 *
 * The newest wins: who claims a host that another has makes the older one give it up, and waits for it. Of
 * those who wait only the newest stays.
 *
 * Threads: any. A claim belongs to one thread, which gets the news through its mailbox.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/compiler.h"
#include "common/base/uuid.h"
#include "gateway/mailbox.h"

struct hosts;
struct pofr_err;

enum host_claim_state {
    CLAIM_NONE,
    CLAIM_WAITS,
    CLAIM_HOLDS
};

struct host_claim { /* zeroed, then host, mailbox and note.deliver set by the claimant; the rest is ours */
    struct uuid host;
    struct mailbox *mailbox;
    struct note note; /* posted when the state changed or it was superseded */
    enum host_claim_state state;
    bool superseded; /* a newer session is there: give it up */
};

POFR_MUST_USE int hosts_new(struct hosts **out, struct pofr_err *err);
void hosts_free(struct hosts *h); /* NULL is allowed */

/* 0 and *out_state is CLAIM_HOLDS or CLAIM_WAITS; POFR_ENOMEM, POFR_EFULL. */
POFR_MUST_USE int hosts_claim(struct hosts *h, struct host_claim *c, enum host_claim_state *out_state);
/* What has become of it: for the note's delivery. */
enum host_claim_state hosts_news(struct hosts *h, struct host_claim *c, bool *out_superseded);
/* Harmless where nothing is claimed. Afterwards c is no longer known, and its note in no list. */
void hosts_release(struct hosts *h, struct host_claim *c);
size_t hosts_count(struct hosts *h);
