/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl_conf.h"

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/base/hostport.h"
#include "common/base/slice.h"

#ifndef POFR_SQL_DIR
#define POFR_SQL_DIR "/usr/share/pofr/sql"
#endif

#define SERVER(field, what_server)                                                                                     \
    CONF_STRING(struct ctl_conf, field.address, "address", "127.0.0.1:3306", CONF_NONEMPTY | CONF_HOST,                \
                "host:port of " what_server "."),                                                                      \
        CONF_STRING(struct ctl_conf, field.user, "user", "pofr_admin", CONF_NONEMPTY,                                  \
                    "Account; it must be able to create databases, accounts and (head) servers."),                     \
        CONF_SECRET_FILE(struct ctl_conf, field.password_file, "password_file", "", 0,                                 \
                         "File whose first line is its password; empty: none."),                                       \
        TLS_OPTIONS(struct ctl_conf, field.tls)

static const char *const requirements[] = { "as_is", "nothing", "tls", "certificate", NULL }; /* enum ctl_require */

static const struct conf_option options[] = {
    CONF_SECTION("catalog", "The server that holds hosts, keys, tokens and slots."),
    SERVER(catalog, "the catalog's server"),
    CONF_SECTION("head", "The server that analysts use."),
    SERVER(head, "the head"),
    CONF_PATH(
        struct ctl_conf, spider.ca_file, "shards_ca_file", "/etc/pofr/tls/ca.crt", CONF_NONEMPTY,
        "Where [shard] has tls: how the head knows its shards, too. The certificates of the CAs that it trusts, a file "
        "on the head's machine that mariadbd can read."),
    CONF_PATH(struct ctl_conf, spider.certificate_file, "shards_certificate_file", "", 0,
              "And there the certificate that it shows them, with its key. Empty: none."),
    CONF_SECTION("shard", "How to log in to every shard; their addresses are in the catalog."),
    CONF_STRING(struct ctl_conf, shard_user, "user", "pofr_admin", CONF_NONEMPTY, "Account on every shard."),
    CONF_SECRET_FILE(struct ctl_conf, shard_password_file, "password_file", "", 0,
                     "File whose first line is its password; empty: none."),
    TLS_OPTIONS(struct ctl_conf, shard_tls),
    CONF_SECTION("kafka", "The topics."),
    CONF_STRING(struct ctl_conf, kafka_brokers, "brokers", "127.0.0.1:9092", CONF_NONEMPTY,
                "Bootstrap list, host:port with commas between."),
    KAFKA_ACCESS_OPTIONS(struct ctl_conf, kafka),
    CONF_STRING(struct ctl_conf, kafka_topic, "topic", "pofr.snapshots", CONF_NONEMPTY,
                "The topic that gateways write and workers read."),
    CONF_STRING(struct ctl_conf, kafka_group, "group", "pofr-ingest", CONF_NONEMPTY, "The workers' consumer group."),
    CONF_STRING(struct ctl_conf, kafka_deadletter, "deadletter_topic", "pofr.deadletter", CONF_NONEMPTY,
                "Where workers copy what was set aside."),
    CONF_UINT(struct ctl_conf, kafka_partitions, "partitions", "256", "1", "1024", "slots", 0,
              "Partitions of the topic when it is made: one slot each."),
    CONF_UINT(struct ctl_conf, kafka_replication, "replication", "1", "1", "7", "brokers", 0,
              "Replicas of each partition when the topics are made; 3 where the loss of a machine must lose nothing."),
    CONF_STRING(
        struct ctl_conf, kafka_gateway_principal, "gateway_principal", "", 0,
        "Who gateways are to the brokers: topic create lets it write the topic, and nothing else. "
        "\"User:CN=pofr-gateway\" for certificates of pofrctl pki, \"User:NAME\" for an account. Empty: no rule is "
        "made. Needs brokers with an authorizer."),
    CONF_STRING(struct ctl_conf, kafka_worker_principal, "worker_principal", "", 0,
                "The same of workers: it may read the topic with their group, and write deadletter_topic."),
    CONF_STRING(struct ctl_conf, kafka_merger_principal, "merger_principal", "", 0,
                "The same of mergers: it may read the topic and look at the group."),
    CONF_SECTION("gateway", "What goes into enrolment tokens."),
    CONF_LIST(struct ctl_conf, gateway_addresses, "addresses", "", CONF_HOST,
              "host:port of the gateways, as agents reach them."),
    CONF_PATH(struct ctl_conf, gateway_key_file, "host_key_file", "", 0,
              "The gateways' public host key (one line, as ssh-keygen writes it)."),
    CONF_SECTION("accounts", "Passwords that `pofrctl migrate` gives to the accounts it makes."),
    CONF_SECRET_FILE(struct ctl_conf, analyst_password_file, "analyst_password_file", "", 0,
                     "Of pofr_analyst: reads the views on head and shards."),
    CONF_SECRET_FILE(struct ctl_conf, gateway_password_file, "gateway_password_file", "", 0,
                     "Of pofr_gateway: reads keys in the catalog, calls enrol_host."),
    CONF_SECRET_FILE(struct ctl_conf, worker_password_file, "worker_password_file", "", 0,
                     "Of pofr_worker: writes the shards' tables, reads keys, calls enter_key."),
    CONF_SECRET_FILE(struct ctl_conf, merger_password_file, "merger_password_file", "", 0,
                     "Of pofr_merger: partitions, retention, unused strings."),
    CONF_SECRET_FILE(struct ctl_conf, spider_password_file, "spider_password_file", "", 0,
                     "Of pofr_spider: with it the head reads the shards' views."),
    CONF_ENUM(
        struct ctl_conf, require, "require", "as_is", requirements, 0,
        "What migrate asks of connections of these accounts: nothing, tls, a certificate (beside the password; of "
        "pofr_analyst tls is asked then), or as_is: it changes nothing about it."),
    CONF_USEC(struct ctl_conf, analyst_max_statement, "analyst_max_statement", "60s", "1s", "1h", 0,
              "The longest that one statement of an analyst may run, on head and shards."),
    CONF_SECTION("files", "Where things are."),
    CONF_PATH(struct ctl_conf, sql_dir, "sql_dir", "", 0,
              "The folder of the schema's files (sql/). Empty: those that were installed with this program."),
    CONF_PATH(struct ctl_conf, pki_dir, "pki_dir", "/etc/pofr/pki", CONF_NONEMPTY,
              "The folder of the cluster's CA: its key, its certificate, and what it has issued (pofrctl pki)."),
};

static int check(const void *values, struct pofr_err *err)
{
    const struct ctl_conf *c = values;
    struct slice rest = slice_str(c->kafka_brokers);
    struct hostport at;

    while (!slice_empty(rest)) {
        struct slice one = slice_trim(slice_split(&rest, ','));

        if (hostport_parse(one, 9092, &at) != 0) {
            return pofr_err_set(err, POFR_ECONFIG, "[kafka] brokers: %.*s is not host:port", SLICE_FMT(one));
        }
    }
    return 0;
}

const struct conf_table ctl_conf_table = CONF_TABLE("pofrctl", "/etc/pofr/ctl.conf", struct ctl_conf, options, check);

const char *ctl_sql_dir(const struct ctl_conf *conf)
{
    return conf->sql_dir[0] ? conf->sql_dir : POFR_SQL_DIR;
}
