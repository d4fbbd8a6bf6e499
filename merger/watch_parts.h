/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch_parts.h -- what the files of watch share: what a round sees. Not for others. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/kafka/client.h"
#include "common/kafka/topic_rules.h"
#include "common/watch/health.h"
#include "common/watch/totals.h"
#include "merger/watch.h"

struct db;
struct db_result;

enum watch_place { /* of a bundle; the order of the columns that are asked for */
    PLACE_SPOOL,
    PLACE_KAFKA,
    PLACE_STORED,
    PLACE_ASIDE,
    PLACE_LOST,
    PLACE_UNACCOUNTED,
    PLACES
};

enum watch_hosts { /* the order of the columns that are asked for */
    HOSTS_REPORTING,
    HOSTS_SILENT,
    HOSTS_NEVER,
    HOSTS_PENDING,
    HOSTS_RETIRED,
    HOSTS_STATES,
    HOSTS_DISCONNECTED = HOSTS_STATES,
    HOSTS_GAPS,
    HOSTS_SPOOL,
    HOSTS_CLOCK,
    HOSTS_UNACCOUNTED,
    HOSTS_KINDS
};

#define WATCH_REASONS_MAX   16u
#define WATCH_TOTALS_ROUNDS 20u /* a row of the ledger per host is more than the rest of a round */

struct watch_slot {
    struct health_slot facts;
    struct health_result result;
    char owner[192]; /* worker of the group that has it, by its own word; "": none */
    uint32_t shard;  /* index of shards; only where ours */
    bool ours;       /* of a shard that is */
    uint64_t hosts;
    int64_t places[PLACES];
    int64_t report_s; /* since the oldest word of its active hosts; -1: there is none */
};

struct watch_shard_view {
    struct watch_shard at;
    bool up;      /* it answered in this round */
    bool counted; /* it ever did: hosts and so on are filled */
    uint64_t hosts[HOSTS_KINDS];
    uint64_t redo_age, redo_limit, history; /* of its engine: redo log not yet in pages, the most it may be; undo */
    char reasons[WATCH_REASONS_MAX][33];    /* of what is set aside */
    uint64_t reasons_messages[WATCH_REASONS_MAX];
    uint32_t reasons_count;
    int64_t ends_us;      /* of the certificate that it shows; 0: none, or not known */
    struct totals totals; /* of every WATCH_TOTALS_ROUNDS rounds */
};

struct watch_view { /* what the newest round saw, and of shards that are down what the last one did that reached them */
    bool catalog_up, kafka_up; /* each told what it was asked */
    bool topic_missing;        /* Kafka answered, and does not have it */
    int64_t complete_us;       /* monotonic: when everything answered last; 0: never */
    char topic[250], group[250];
    uint32_t brokers, partitions, members, min_insync, without_shard;
    bool members_known;
    int64_t retention_ms;
    int64_t catalog_ends_us; /* as a shard's ends_us */
    struct kafka_peer kafka[KAFKA_PEERS_MAX];
    size_t kafka_count;
    size_t shards_count;
    struct watch_shard_view *shards;
    struct watch_slot slots[TOPIC_PARTITIONS_MAX];
};

struct watch_own { /* of a shard, from round to round */
    char name[65];
    struct db *db;         /* NULL: not connected */
    char told[32];         /* newest report that was copied; "": all are to be */
    int64_t all_us;        /* monotonic: when all were */
    unsigned until_totals; /* rounds */
};

/* watch_shard.c. Connect where that is not done, and read how far the slots have come. */
POFR_MUST_USE int watch_shard_offsets(struct watch_view *v, size_t shard, const struct merger_conf *conf,
                                      struct watch_own *own, struct pofr_err *err);
/* Write the catalog's reports and the logs' ends, where both are of this round; read what is where. */
POFR_MUST_USE int watch_shard_round(struct watch_view *v, size_t shard, struct watch_own *own,
                                    const struct db_result *reports, struct pofr_err *err);

/* watch_certificate.c: when the certificate ends by which this connection was made; 0 without TLS, and where it is not told. */
int64_t watch_certificate_end(struct db *db);
void watch_write_certificates(const struct watch_view *v, struct buf *out);
/* watch_figures.c: the view as OpenMetrics families. */
void watch_write(const struct watch_view *v, int64_t now_us, struct buf *out);
/* What somebody else says of himself, as the value of a label. */
void watch_write_label(struct buf *out, const char *text);
/* watch_figures_shard.c: those of whole shards. */
void watch_write_shards(const struct watch_view *v, struct buf *out);
