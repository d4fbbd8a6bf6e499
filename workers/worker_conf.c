/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/worker_conf.h"

#include "common/base/err.h"
#include "common/kafka/topic_rules.h"

static const struct conf_option options[] = {
    CONF_SECTION("worker", "Who this worker is."),
    CONF_STRING(struct worker_conf, name, "name", "", 0,
                "Stands in ingest_offset beside what this worker stored last. Empty: the machine's host name and the "
                "process id."),
    CONF_PATH(struct worker_conf, state_dir, "state_dir", "/var/lib/pofr/worker", CONF_NONEMPTY,
              "Holds the copy of the catalog, with which the worker starts and goes on while the catalog is down. "
              "Workers on one "
              "machine may not share it."),
    CONF_STRING(struct worker_conf, instance_id, "instance_id", "", 0,
                "A name that is this worker's alone and outlives its restarts (systemd's %i): a restart within 10 s "
                "then moves no "
                "slot. Empty: the worker leaves the group when it ends, and the others take its slots at once."),
    CONF_USEC(struct worker_conf, drain_us, "drain_time", "20s", "1s", "10min", CONF_RELOAD,
              "How long SIGTERM waits for the transactions at hand. What is not stored then is stored by whoever has "
              "the slot "
              "next."),

    CONF_SECTION("kafka", "Where bundles come from."),
    CONF_LIST(struct worker_conf, brokers, "brokers", NULL, CONF_REQUIRED | CONF_NONEMPTY | CONF_HOST,
              "host:port of some brokers of the cluster."),
    CONF_STRING(struct worker_conf, topic, "topic", TOPIC_SNAPSHOTS, CONF_NONEMPTY, "The topic that gateways write."),
    CONF_STRING(struct worker_conf, group, "group", "pofr-ingest", CONF_NONEMPTY,
                "The consumer group. All workers of a cluster have the same."),
    CONF_STRING(struct worker_conf, deadletter, "deadletter", TOPIC_DEADLETTER, CONF_NONEMPTY,
                "Where messages that were set aside are copied to."),
    KAFKA_ACCESS_OPTIONS(struct worker_conf, kafka),
    CONF_USEC(struct worker_conf, start_wait_us, "start_wait", "60s", "0", "1h", 0,
              "How long a start waits for Kafka and its topic, before it ends with exit code 3."),

    CONF_SECTION("catalog", "The MariaDB database that knows hosts, keys, slots and shards."),
    CONF_STRING(struct worker_conf, catalog_address, "address", NULL, CONF_REQUIRED | CONF_NONEMPTY | CONF_HOST,
                "host:port"),
    CONF_STRING(struct worker_conf, catalog_database, "database", "pofr_catalog", CONF_NONEMPTY, "Its name."),
    CONF_STRING(
        struct worker_conf, catalog_user, "user", "pofr_worker", CONF_NONEMPTY,
        "The account: it reads hosts, keys, slots and shards, and calls the procedure that enters a host's next key."),
    CONF_SECRET_FILE(struct worker_conf, catalog_password_file, "password_file", "", 0,
                     "Its password, alone in a file. Empty: none."),
    TLS_OPTIONS(struct worker_conf, catalog_tls),
    CONF_USEC(struct worker_conf, refresh_us, "refresh", "5s", "100ms", "8s", 0,
              "How often the worker asks for changes of hosts, keys and slots."),

    CONF_SECTION("shard", "How to log in to the shards. Their addresses come from the catalog."),
    CONF_STRING(struct worker_conf, shard_user, "user", "pofr_worker", CONF_NONEMPTY, "The account."),
    CONF_SECRET_FILE(struct worker_conf, shard_password_file, "password_file", "", 0,
                     "Its password, alone in a file. Empty: none."),
    CONF_STRING(struct worker_conf, shard_database, "database", "pofr_store", CONF_NONEMPTY,
                "The database of the tables."),
    TLS_OPTIONS(struct worker_conf, shard_tls),

    CONF_SECTION("limits", "How much is stored at once, and what may wait in memory."),
    CONF_UINT(
        struct worker_conf, batch_records, "batch_records", "10000", "1", "1000000", "records", 0,
        "A transaction is made when its bundles hold as many records. More per transaction costs less for each, and "
        "more to do again when a shard fails in the middle of it."),
    CONF_SIZE(struct worker_conf, batch_bytes, "batch_bytes", "4M", "64K", "256M", 0,
              "Or when its messages are as large."),
    CONF_USEC(struct worker_conf, batch_us, "batch_time", "50ms", "0", "10s", 0,
              "Or when the first of them has waited that long. It is the least delay of a host that is alone."),
    CONF_UINT(
        struct worker_conf, bundle_records, "bundle_records", "262144", "1000", "1048576", "records", 0,
        "A bundle with more records is set aside (form). A thousand records take about half a megabyte of memory while "
        "they are stored."),
    CONF_SIZE(struct worker_conf, queue_bytes, "queue", "64M", "16M", "16G", 0,
              "Messages in memory that wait to be stored, of all slots; the same again may wait in librdkafka. Beyond "
              "it fetching "
              "pauses."),
    CONF_SIZE(struct worker_conf, slot_queue_bytes, "slot_queue", "16M", "1M", "4G", 0,
              "The same, of one slot: so that the slots of a shard that is down leave room for the others."),
    CONF_SIZE(struct worker_conf, strings_bytes, "strings", "64M", "1M", "16G", 0,
              "Cache of texts that have an id on a shard, per shard. A text that is not in it costs a look-up."),

    CONF_SECTION("metrics", "Figures for Prometheus, and health."),
    CONF_STRING(struct worker_conf, metrics_listen, "listen", "127.0.0.1:9465", CONF_HOST | CONF_PORT,
                "Address and port of /metrics, /healthz and /readyz. Empty: none."),
};

static int check(const void *values, struct pofr_err *err)
{
    const struct worker_conf *c = values;

    if (c->slot_queue_bytes > c->queue_bytes) {
        return pofr_err_set(err, POFR_ECONFIG, "[limits] slot_queue is larger than queue");
    }
    return 0;
}

const struct conf_table worker_conf_table =
    CONF_TABLE("pofr-worker", "/etc/pofr/worker.conf", struct worker_conf, options, check);
