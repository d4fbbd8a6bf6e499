/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gateway_conf.h -- every option of pofr-gateway.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/kafka/client.h"
#include "common/os/conf.h"

struct gateway_conf {
    const char *name;
    struct conf_list listen;
    const char *host_key_file;
    const char *state_dir;
    uint32_t threads;
    int64_t drain_us;

    uint32_t sessions;
    uint32_t sessions_per_address;
    uint32_t unauthenticated;
    uint32_t unauthenticated_per_address;
    uint32_t connects_per_address;
    uint32_t connects_burst;
    int64_t auth_us;
    int64_t message_us;
    uint32_t window;
    uint64_t bundle_max;
    uint64_t session_memory;
    uint64_t memory;

    struct conf_list brokers;
    const char *topic;
    struct kafka_access kafka;
    int64_t start_wait_us;

    const char *catalog_address;
    const char *catalog_database;
    const char *catalog_user;
    const char *catalog_password_file;
    struct tls_files catalog_tls;
    int64_t refresh_us;

    const char *metrics_listen;
};

extern const struct conf_table gateway_conf_table;
