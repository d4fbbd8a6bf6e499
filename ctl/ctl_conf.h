/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl_conf.h -- pofrctl's configuration, /etc/pofr/ctl.conf.
 */
#pragma once

#include "common/os/conf.h"

struct ctl_server {
    const char *address;
    const char *user;
    const char *password_file;
};

struct ctl_conf {
    struct ctl_server catalog;
    struct ctl_server head;
    const char *shard_user;
    const char *shard_password_file;
    const char *kafka_brokers;
    const char *kafka_properties_file;
    const char *kafka_topic;
    const char *kafka_group;
    const char *kafka_deadletter;
    uint32_t kafka_partitions;
    uint32_t kafka_replication;
    struct conf_list gateway_addresses;
    const char *gateway_key_file;
    const char *analyst_password_file;
    const char *gateway_password_file;
    const char *worker_password_file;
    const char *merger_password_file;
    const char *spider_password_file;
    int64_t analyst_max_statement;
    const char *sql_dir; /* see ctl_sql_dir() */
    const char *pki_dir;
};

extern const struct conf_table ctl_conf_table;

/* Where the schema's files are: as configured, else where they were installed. */
const char *ctl_sql_dir(const struct ctl_conf *conf);
