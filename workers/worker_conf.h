/* SPDX-License-Identifier: GPL-2.0-or-later */
/* worker_conf.h -- the options of pofr-worker. */
#pragma once

#include "common/kafka/client.h"
#include "common/os/conf.h"

struct worker_conf {
    const char *name, *state_dir, *instance_id;
    int64_t drain_us;
    struct conf_list brokers;
    const char *topic, *group, *deadletter;
    struct kafka_access kafka;
    int64_t start_wait_us;
    const char *catalog_address, *catalog_database, *catalog_user, *catalog_password_file;
    struct tls_files catalog_tls, shard_tls;
    int64_t refresh_us;
    const char *shard_user, *shard_password_file, *shard_database;
    uint32_t batch_records, bundle_records;
    uint64_t batch_bytes, queue_bytes, slot_queue_bytes, strings_bytes;
    int64_t batch_us;
    const char *metrics_listen;
};

extern const struct conf_table worker_conf_table;
