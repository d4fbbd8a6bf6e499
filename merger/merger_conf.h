/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * merger_conf.h -- pofr-merger's configuration, /etc/pofr/merger.conf.
 */
#pragma once

#include "common/kafka/client.h"
#include "common/os/conf.h"

struct merger_conf {
    const char *name;
    struct conf_list shards;
    int64_t period;
    const char *catalog_address;
    const char *catalog_user;
    const char *catalog_password_file;
    struct tls_files catalog_tls;
    const char *shard_user;
    const char *shard_password_file;
    struct tls_files shard_tls;
    struct conf_list kafka_brokers;
    struct kafka_access kafka;
    const char *kafka_topic;
    const char *kafka_group;
    int64_t watch_period;
    uint32_t keep_days;
    uint32_t keep_bundle_days;
    uint32_t ahead_days;
    const char *metrics_listen;
};

extern const struct conf_table merger_conf_table;
