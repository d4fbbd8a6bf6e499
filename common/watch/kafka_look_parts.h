/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kafka_look_parts.h -- what the files of kafka_look share. Not for others. */
#pragma once

#include "common/kafka/client.h"
#include "common/watch/kafka_look.h"

struct kafka_look {
    struct rd_kafka_s *rk;
    struct kafka_notes notes;
};
