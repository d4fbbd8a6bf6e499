/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"
#include "ctl/migrate.h"
#include "ctl/nouns.h"

#define END                                                                                                            \
    {                                                                                                                  \
        NULL, NULL, NULL, false                                                                                        \
    }

static const struct ctl_option setup_options[] = {
    { "wait", "SECONDS", "try again so long where a server does not answer yet; 0 by default", false },
    { "replication", "N", "replicas of each partition, if the topics are made; else that of the configuration", false },
    END,
};
static const struct ctl_option recover_options[] = {
    { "from", "FILE", "a copy of the catalog that a gateway or worker kept, from before its server was put back",
      false },
    { "without-copy", NULL, "there is none: retire the hosts that only shards know; their machines are enrolled anew",
      false },
    END,
};
static const struct ctl_option topic_create_options[] = {
    { "replication", "N", "replicas of each partition, if they are made; else that of the configuration", false },
    END,
};
static const struct ctl_option shard_add_options[] = {
    { "address", "HOST:PORT", "where the server is; asked before it is entered", true },
    { "slots", "LIST", "even: its share of what has no hosts yet (default); none; or a list like 0-31,40", false },
    { "if-exists", "update", "give a shard that is there this address; its slots are made good", false },
    END,
};
static const struct ctl_option slot_move_options[] = {
    { "to", "SHARD", "the shard that is to have them; the one that has them takes back what is on its way", true },
    END,
};
static const struct ctl_option slot_purge_options[] = {
    { "from", "SHARD", "the shard that had them; take a backup of the one that has them first", true },
    END,
};
static const struct ctl_option topic_lag_options[] = {
    { "all", NULL, "also the slots that never had a message", false },
    END,
};
static const struct ctl_option topic_show_options[] = {
    { "all", NULL, "also the slots that never had a message", false },
    { "seconds", "N", "look twice, so far apart, for the rates; 5 by default, 0: no rates", false },
    END,
};
static const struct ctl_option token_create_options[] = {
    { "output", "FILE", "write the token there, readable by the owner alone, and not to standard output", false },
    { "force", NULL, "overwrite the file if it holds something", false },
    { "uses", "N", "how many hosts it may enrol; 1 by default", false },
    { "expires", "TIME", "like 30m, 12h or 7d; a day by default", false },
    { "host", "NAME", "the name that the host gets; else it is what the host calls itself", false },
    { "pattern", "LIKE", "only hosts whose own name is like this (% and _ as in SQL)", false },
    { "group", "GROUP", "the group that its hosts are in", false },
    { "note", "TEXT", "shown by token list", false },
    { "unless", "FILE", "make none where this file is there: the host.uuid of a host that is enrolled", false },
    { "approve", NULL, "hosts wait for host approve", false },
    { "gateway", "LIST", "addresses of gateways, host:port with commas between; else those of the configuration",
      false },
    { "gateway-key-file", "FILE", "the gateways' public host key; else that of the configuration", false },
    END,
};
static const struct ctl_option host_list_options[] = {
    { "state", "STATE", "only those that are pending, active, retired or erased", false },
    { "group", "GROUP", "only those of this group", false },
    END,
};
static const struct ctl_option host_rename_options[] = {
    { "group", "GROUP", "put it in this group; then the new name may be left out", false },
    END,
};
static const struct ctl_option host_expose_options[] = {
    { "database", "NAME", "its name; else host_ and the host's, _ for every dot and hyphen", false },
    END,
};
static const struct ctl_option host_erase_options[] = {
    { "yes", NULL, "say that it is meant: nothing brings the rows back", true },
    END,
};
static const struct ctl_option bundle_list_options[] = {
    { "from", "N", "from this sequence on", false },
    { "to", "N", "up to this sequence", false },
    { "last", "N", "at most so many, the newest; without --from and --to 20 by default", false },
    END,
};
static const struct ctl_option bundle_get_options[] = {
    { "output", "FILE", "write it there, readable by the owner alone, and not to standard output", false },
    { "force", NULL, "overwrite the file if it holds something", false },
    { "digest", "HEX", "the one with this statement, where a sequence is there twice (a branch)", false },
    { "without-payload", NULL, "statement and signature alone, from the ledger: Kafka need not have it any more",
      false },
    END,
};
static const struct ctl_option set_aside_list_options[] = {
    { "host", "HOST", "only those of this host", false },
    { "reason", "REASON", "only those: form, version, identity, unknown_key, revoked, slot, ...", false },
    { "limit", "N", "at most so many, newest first; 100 by default", false },
    END,
};
static const struct ctl_option set_aside_show_options[] = {
    { "output", "FILE", "write it there and not to standard output", false },
    END,
};
static const struct ctl_option set_aside_replay_options[] = {
    { "reason", "REASON", "all that were set aside for this reason, and no single place", false },
    END,
};
static const struct ctl_option verify_options[] = {
    { "from", "N", "the first sequence to look at; 1 by default", false },
    { "to", "N", "the last sequence to look at", false },
    END,
};

static const struct ctl_option pki_init_options[] = {
    { "dir", "DIR", "where the CA is kept; else [files] pki_dir", false },
    { "name", "NAME", "its name, \"pofr-ca\" by default", false },
    { "days", "N", "how long it is good; 3650 by default", false },
    { "force", NULL, "put a new one in the place of one that is there", false },
    END,
};
static const struct ctl_option pki_issue_options[] = {
    { "dir", "DIR", "where the CA is kept; else [files] pki_dir", false },
    { "server", NULL, "for a server (it may also be a client of others)", false },
    { "names", "LIST", "host names and addresses that it is good for; of a server NAME by default", false },
    { "days", "N", "how long it is good; 365 by default", false },
    { "output", "FILE", "the file of key and certificate; NAME.pem beside the CA by default", false },
    { "group", "GROUP", "that may read the file, too (mode 0640)", false },
    { "force", NULL, "also where NAME was issued before, or the file is there", false },
    END,
};
static const struct ctl_option pki_ensure_options[] = {
    { "dir", "DIR", "where the CA is kept; else [files] pki_dir", false },
    { "group", "GROUP", "that may read the files that are made, too (mode 0640)", false },
    { "within", "N", "renew what ends within so many days; 30 by default", false },
    { "days", "N", "how long what is made is good; 365 by default", false },
    { "into", "DIR", "a folder in there for each NAME, with the CA's certificate; beside the CA by default", false },
    END,
};
static const struct ctl_option pki_show_options[] = {
    { "dir", "DIR", "where the CA is kept; else [files] pki_dir", false },
    { "within", "N", "one that ends within so many days is a finding; 14 by default", false },
    END,
};
static const struct ctl_option pki_renew_options[] = {
    { "dir", "DIR", "where the CA is kept; else [files] pki_dir", false },
    { "all", NULL, "every name that was issued", false },
    { "within", "N", "only those that end within so many days", false },
    { "days", "N", "how long they are good; as long as before by default", false },
    { "output", "FILE", "the file of key and certificate; NAME.pem beside the CA by default", false },
    END,
};
static const struct ctl_option status_options[] = {
    { "hosts", NULL, "where the bundles of every host are, not only of those that are behind", false },
    END,
};

static const struct ctl_option size_options[] = {
    { "hosts", "N", "how many hosts are to be recorded", false },
    { "days", "N", "how long rows are kept; 365 by default", false },
    { "profile", "NAME", "what its hosts do: quiet, typical (default), busy", false },
    { "replication", "N", "replicas of each partition; 3 by default", false },
    { "disk", "TB", "of one shard or broker, at most; 8 by default", false },
    { "cores", "N", "of one shard or broker, at most; 16 by default", false },
    { "costs", NULL, "what one host costs, by profile, as it was measured", false },
    END,
};

const struct ctl_verb ctl_verbs[] = {
    { "migrate", "", "", "make or bring up to date catalog, shards and head", migrate_main, NULL },
    { "setup", "", "[NAME=HOST:PORT ...]", "migrate, shard add for each of these shards, topic create: all at once",
      setup_main, setup_options },
    { "recover", "", "", "a catalog that came from a backup: enter what it forgot, revoke tokens", recover_main,
      recover_options },
    { "shard", "list", "", "servers, their slots and hosts", shard_list, NULL },
    { "shard", "add", "NAME", "enter a server, make its tables, give it slots", shard_add, shard_add_options },
    { "shard", "remove", "NAME", "take a server that owns no slot out of catalog and head", shard_remove, NULL },
    { "slot", "list", "", "every slot, its shard and hosts, and where it is on its way to", slot_list, NULL },
    { "slot", "move", "SLOTS", "move slots (0-31,40) with their rows, while all goes on", slot_move,
      slot_move_options },
    { "slot", "purge", "SLOTS", "delete the rows that a shard still has of slots that were moved", slot_purge,
      slot_purge_options },
    { "topic", "create", "", "make the topics, with the settings that the guarantees need", topic_create_main,
      topic_create_options },
    { "topic", "check", "", "are the topics as they must be?", topic_check_main, NULL },
    { "topic", "lag", "", "per slot: stored up to where, how far behind", topic_lag_main, topic_lag_options },
    { "topic", "show", "", "brokers, workers, and per slot: offsets, lag, rates, time left, replicas, owner",
      topic_show_main, topic_show_options },
    { "topic", "health", "", "is every slot written, read and stored? What is wrong, and where", topic_health_main,
      NULL },
    { "token", "create", "", "a token that lets hosts enrol", token_create, token_create_options },
    { "token", "list", "", "tokens and what is left of them", token_list, NULL },
    { "token", "revoke", "TOKEN_ID", "make a token useless", token_revoke, NULL },
    { "host", "list", "", "the hosts of the catalog", host_list, host_list_options },
    { "host", "show", "HOST", "one host: keys, boots, what is stored, gaps, findings", host_show, NULL },
    { "host", "key", "HOST", "its public keys, as ssh-keygen's allowed_signers", host_key, NULL },
    { "host", "approve", "HOST", "let a host in that waits for it", host_approve, NULL },
    { "host", "rename", "HOST [NEW_NAME]", "give a host another name in SQL", host_rename, host_rename_options },
    { "host", "expose", "HOST", "a database on the head with POFR's tables, of this host alone", host_expose,
      host_expose_options },
    { "host", "conceal", "HOST", "take that database away", host_conceal, NULL },
    { "host", "retire", "HOST", "revoke its key and close its rows; nothing is deleted", host_retire, NULL },
    { "host", "erase", "HOST", "delete all rows of a host, and say what still holds copies", host_erase,
      host_erase_options },
    { "bundle", "list", "HOST", "the bundles of a host that are stored", bundle_list, bundle_list_options },
    { "bundle", "get", "HOST SEQUENCE", "a bundle as the host signed it, byte for byte", bundle_get,
      bundle_get_options },
    { "set-aside", "list", "", "messages that could not be stored", set_aside_list, set_aside_list_options },
    { "set-aside", "show", "PLACE", "the whole message at a place, as set-aside list shows it", set_aside_show,
      set_aside_show_options },
    { "set-aside", "replay", "[PLACE]", "let the workers try the message at a place again", set_aside_replay,
      set_aside_replay_options },
    { "verify", "", "HOST", "ledger, chain and signatures of a host", verify_main, verify_options },
    { "pki", "init", "", "make a CA for the connections inside the cluster", pki_init, pki_init_options },
    { "pki", "issue", "NAME", "a key and its certificate, in one file", pki_issue, pki_issue_options },
    { "pki", "ensure", "[NAME[=HOSTS]]...", "make what is missing, CA and certificates, renew what ends soon",
      pki_ensure, pki_ensure_options },
    { "pki", "show", "[FILE]...", "what was issued, or what is in a file: for whom, until when", pki_show,
      pki_show_options },
    { "pki", "renew", "[NAME]", "a new key and certificate for a name, or the CA's certificate anew (ca)", pki_renew,
      pki_renew_options },
    { "status", "", "", "one page: where every bundle is, hosts, freshness, gaps, findings, set aside, lag",
      status_main, status_options },
    { "size", "", "", "how many servers, and of what size, so many hosts need", size_main, size_options },
    { NULL, NULL, NULL, NULL, NULL, NULL },
};
