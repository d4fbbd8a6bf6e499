/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "merger/merger_conf.h"

#include "common/base/compiler.h"
#include "common/base/err.h"

static const struct conf_option options[] = {
    CONF_SECTION("merger", "The process."),
    CONF_STRING(struct merger_conf, name, "name", "merger", CONF_NONEMPTY, "Its name in logs."),
    CONF_LIST(struct merger_conf, shards, "shards", "", CONF_RELOAD,
              "Names of the shards to look after; empty: every shard of the catalog. Several mergers may name the same "
              "shard: a lock on the shard lets one work."),
    CONF_USEC(struct merger_conf, period, "period", "30s", "1s", "1h", CONF_RELOAD,
              "How often each shard is looked at. Shorter shows renamed and new hosts sooner."),
    CONF_SECTION("catalog", "The server that holds hosts, slots and shards."),
    CONF_STRING(struct merger_conf, catalog_address, "address", "127.0.0.1:3306", CONF_NONEMPTY | CONF_HOST,
                "host:port."),
    CONF_STRING(struct merger_conf, catalog_user, "user", "pofr_merger", CONF_NONEMPTY, "Account."),
    CONF_SECRET_FILE(struct merger_conf, catalog_password_file, "password_file", "", 0,
                     "File whose first line is its password; empty: none."),
    TLS_OPTIONS(struct merger_conf, catalog_tls),
    CONF_SECTION("shard", "How to log in to every shard; their addresses are in the catalog."),
    CONF_STRING(struct merger_conf, shard_user, "user", "pofr_merger", CONF_NONEMPTY, "Account."),
    CONF_SECRET_FILE(struct merger_conf, shard_password_file, "password_file", "", 0,
                     "File whose first line is its password; empty: none."),
    TLS_OPTIONS(struct merger_conf, shard_tls),
    CONF_SECTION("kafka", "Where the slots' logs are looked at: for figures alone, nothing is taken from there."),
    CONF_LIST(struct merger_conf, kafka_brokers, "brokers", "127.0.0.1:9092", CONF_NONEMPTY | CONF_HOST,
              "Bootstrap list, host:port."),
    KAFKA_ACCESS_OPTIONS(struct merger_conf, kafka),
    CONF_STRING(struct merger_conf, kafka_topic, "topic", "pofr.snapshots", CONF_NONEMPTY, "The topic of the slots."),
    CONF_STRING(struct merger_conf, kafka_group, "group", "pofr-ingest", CONF_NONEMPTY, "The workers' consumer group."),
    CONF_SECTION("watch", "What is where, how far behind, and which hosts are silent: metrics and SQL's conservation."),
    CONF_USEC(struct merger_conf, watch_period, "period", "10s", "1s", "1h", 0,
              "Time between two rounds. Each reads a row per host on every shard."),
    CONF_SECTION("retention", "How long what ended is kept. Days are dropped whole."),
    CONF_UINT(struct merger_conf, keep_days, "days", "365", "1", "36500", "days", CONF_RELOAD,
              "Days of processes, files, sockets, facts and coverage that are kept, counted from the day of the end."),
    CONF_UINT(struct merger_conf, keep_bundle_days, "bundle_days", "1825", "8", "36500", "days", CONF_RELOAD,
              "Days of the ledger. Must outlive Kafka's retention and the largest spool: a bundle that comes again "
              "later than this is stored again."),
    CONF_UINT(struct merger_conf, ahead_days, "ahead_days", "7", "2", "60", "days", CONF_RELOAD,
              "Days whose partitions are made ahead."),
    CONF_SECTION("metrics", "OpenMetrics, /healthz and /readyz."),
    CONF_STRING(struct merger_conf, metrics_listen, "listen", "127.0.0.1:9466", CONF_HOST | CONF_PORT,
                "host:port; empty: none."),
};

const struct conf_table merger_conf_table =
    CONF_TABLE("pofr-merger", "/etc/pofr/merger.conf", struct merger_conf, options, NULL);
