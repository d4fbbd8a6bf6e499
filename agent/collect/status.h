/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status.h -- the agent's figures as text: for people, as JSON, as OpenMetrics. Pure.
 */
#pragma once

#include "agent/collect/recording.h"
#include "agent/collect/ipc.h"
#include "agent/collect/writer.h"
#include "common/base/buf.h"

struct status_shipper {
    bool told, connected;
    uint64_t since_wall_us, sent_bytes, bundles_acked, sessions, failures;
    char gateway[256];
    char last_error[512];
};

struct status_in {
    struct uuid host, boot;
    uint8_t run[16];
    struct writer_figures writer;
    struct recording_figures recording;
    struct status_shipper shipper;
};

void status_text(const struct status_in *in, enum ipc_status_form form, struct buf *out);
