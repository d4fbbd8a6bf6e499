/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl_conf.h -- pofrctl's configuration, /etc/pofr/ctl.conf.
 */
#pragma once

#include "common/kafka/client.h"
#include "common/os/conf.h"

struct ctl_server {
    const char *address;
    const char *user;
    const char *password_file;
    struct tls_files tls;
};

enum ctl_require {
    CTL_REQUIRE_AS_IS,
    CTL_REQUIRE_NOTHING,
    CTL_REQUIRE_TLS,
    CTL_REQUIRE_CERTIFICATE
};

struct ctl_conf {
    struct ctl_server catalog;
    struct ctl_server head;
    struct tls_files spider; /* files of the head's machine; on and key_file are not used */
    const char *shard_user;
    const char *shard_password_file;
    struct tls_files shard_tls;
    const char *kafka_brokers;
    struct kafka_access kafka;
    const char *kafka_topic;
    const char *kafka_group;
    const char *kafka_deadletter;
    const char *kafka_gateway_principal;
    const char *kafka_worker_principal;
    const char *kafka_merger_principal;
    uint32_t kafka_partitions;
    uint32_t kafka_replication;
    struct conf_list gateway_addresses;
    const char *gateway_key_file;
    const char *analyst_password_file;
    const char *gateway_password_file;
    const char *worker_password_file;
    const char *merger_password_file;
    const char *spider_password_file;
    int require; /* enum ctl_require */
    int64_t analyst_max_statement;
    const char *sql_dir; /* see ctl_sql_dir() */
    const char *pki_dir;
};

extern const struct conf_table ctl_conf_table;

/* Where the schema's files are: as configured, else where they were installed. */
const char *ctl_sql_dir(const struct ctl_conf *conf);
