/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/gateway_conf.h"

#include "common/kafka/topic_rules.h"
#include "common/record/limits.h"

static const struct conf_option options[] = {
    CONF_SECTION("gateway", "Who this gateway is, and where agents reach it."),
    CONF_STRING(struct gateway_conf, name, "name", "", 0,
                "The name that stands in each message's header pofr-gateway and in WELCOME. Empty: the "
                "machine's host name."),
    CONF_LIST(struct gateway_conf, listen, "listen", "0.0.0.0:2222", CONF_NONEMPTY | CONF_HOST | CONF_PORT,
              "Addresses and ports to listen on, numbers, no names. Not used where systemd passes the sockets."),
    CONF_SECRET_FILE(
        struct gateway_conf, host_key_file, "host_key_file", "/var/lib/pofr/gateway/host_key", CONF_NONEMPTY,
        "The Ed25519 key by which agents know the gateway, in OpenSSH's format. All gateways that agents may "
        "reach under one token have the same. Where the file is missing it is made, with its public half "
        "beside it (.pub)."),
    CONF_PATH(struct gateway_conf, state_dir, "state_dir", "/var/lib/pofr/gateway", CONF_NONEMPTY,
              "Holds the copy of the catalog's keys, with which the gateway starts and serves while the "
              "catalog is down."),
    CONF_UINT(struct gateway_conf, threads, "threads", "0", "0", "64", "threads", 0,
              "Threads that serve sessions. 0: one per CPU, at most 8. A thread on a core of its own takes "
              "about 600 new sessions a second, each with a bundle of 50 KB (bench/run gateway)."),
    CONF_USEC(struct gateway_conf, drain_us, "drain_time", "20s", "0", "10min", CONF_RELOAD,
              "How long SIGTERM waits for Kafka's reports on what was taken in. What is not reported then is "
              "not acked, so agents send it again."),

    CONF_SECTION("limits", "What peers may take. Each limit is per gateway process."),
    CONF_UINT(struct gateway_conf, sessions, "sessions", "20000", "1", "1000000", "sessions", CONF_RELOAD,
              "Connections at once. The limit of open files must be above it."),
    CONF_UINT(struct gateway_conf, sessions_per_address, "sessions_per_address", "4096", "1", "1000000", "sessions",
              CONF_RELOAD,
              "Connections at once from one IPv4 address or one IPv6 /64 network. Raise it where a whole "
              "fleet comes through one NAT."),
    CONF_UINT(struct gateway_conf, unauthenticated, "unauthenticated", "1024", "1", "1000000", "sessions", CONF_RELOAD,
              "Connections at once that have not yet shown a known key."),
    CONF_UINT(struct gateway_conf, unauthenticated_per_address, "unauthenticated_per_address", "256", "1", "1000000",
              "sessions", CONF_RELOAD,
              "The same, from one IPv4 address or one IPv6 /64 network: what one stranger can take from others."),
    CONF_UINT(
        struct gateway_conf, connects_per_address, "connects_per_address", "10", "0", "1000000", "connections a second",
        CONF_RELOAD,
        "From one IPv4 address or one IPv6 /64 network; more are closed before the first byte. One that shows a "
        "known key counts a sixteenth, so hosts behind one NAT may come ten times as often and more. 0: no limit."),
    CONF_UINT(struct gateway_conf, connects_burst, "connects_burst", "512", "1", "1000000", "connections", CONF_RELOAD,
              "How many of them at once, after a time without any."),
    CONF_USEC(struct gateway_conf, auth_us, "auth_time", "10s", "1s", "5min", CONF_RELOAD,
              "From the connection to the end of the login, and from there to the first message."),
    CONF_USEC(struct gateway_conf, message_us, "message_time", "60s", "5s", "30min", CONF_RELOAD,
              "From the first to the last byte of one message."),
    CONF_UINT(struct gateway_conf, window, "window", "16", "1", "1024", "bundles", CONF_RELOAD,
              "Bundles of one host that may be unacked. More hides Kafka's latency while an agent catches "
              "up, and costs memory."),
    CONF_SIZE(struct gateway_conf, bundle_max, "bundle_max", "9M", "1M", "9M", CONF_RELOAD,
              "A larger bundle is refused finally. Agents make bundles of some 100 KB; keyframes of large "
              "hosts are larger."),
    CONF_SIZE(struct gateway_conf, session_memory, "session_memory", "16M", "1M", "1G", CONF_RELOAD,
              "Unacked bytes of one session beyond which nothing more is read from it. One bundle is always "
              "taken."),
    CONF_SIZE(struct gateway_conf, memory, "memory", "512M", "32M", "64G", 0,
              "Unacked bytes of all sessions, divided among the threads. Beyond it agents are told to slow down."),

    CONF_SECTION("kafka", "Where bundles go."),
    CONF_LIST(struct gateway_conf, brokers, "brokers", NULL, CONF_REQUIRED | CONF_NONEMPTY | CONF_HOST,
              "host:port of some brokers of the cluster."),
    CONF_STRING(struct gateway_conf, topic, "topic", TOPIC_SNAPSHOTS, CONF_NONEMPTY,
                "The topic. pofrctl topic create makes it."),
    KAFKA_ACCESS_OPTIONS(struct gateway_conf, kafka),
    CONF_USEC(struct gateway_conf, start_wait_us, "start_wait", "60s", "0", "1h", 0,
              "How long a start waits for Kafka and its topic, before it ends with exit code 3."),

    CONF_SECTION("catalog", "The MariaDB database that knows hosts, keys and tokens."),
    CONF_STRING(struct gateway_conf, catalog_address, "address", NULL, CONF_REQUIRED | CONF_NONEMPTY | CONF_HOST,
                "host:port"),
    CONF_STRING(struct gateway_conf, catalog_database, "database", "pofr_catalog", CONF_NONEMPTY, "Its name."),
    CONF_STRING(struct gateway_conf, catalog_user, "user", "pofr_gateway", CONF_NONEMPTY,
                "The account: it reads keys and the list of wanted bundles, and calls one procedure."),
    CONF_SECRET_FILE(struct gateway_conf, catalog_password_file, "password_file", "", 0,
                     "Its password, alone in a file. Empty: none."),
    TLS_OPTIONS(struct gateway_conf, catalog_tls),
    CONF_USEC(struct gateway_conf, refresh_us, "refresh", "5s", "100ms", "8s", 0,
              "How often the gateway asks for changes of keys. A retired host is cut off within this time."),

    CONF_SECTION("metrics", "Figures for Prometheus, and health."),
    CONF_STRING(struct gateway_conf, metrics_listen, "listen", "127.0.0.1:9464", CONF_HOST | CONF_PORT,
                "Address and port of /metrics, /healthz and /readyz. Empty: none."),
};

const struct conf_table gateway_conf_table =
    CONF_TABLE("pofr-gateway", "/etc/pofr/gateway.conf", struct gateway_conf, options, NULL);
