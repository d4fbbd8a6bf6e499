/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"
#include "ctl/migrate.h"
#include "ctl/nouns.h"

const struct ctl_verb ctl_verbs[] = {
    { "migrate", "", "", "make or bring up to date catalog, shards and head", migrate_main },
    { "shard", "list", "", "servers, their slots and hosts", shard_list },
    { "shard", "add", "NAME --address HOST:PORT [--slots LIST] [--if-exists update]",
      "enter a server, make its tables, give it slots", shard_add },
    { "shard", "remove", "NAME", "take a server that owns no slot out of catalog and head", shard_remove },
    { "topic", "create", "", "make the topics, with the settings that the guarantees need", topic_create_main },
    { "topic", "check", "", "are the topics as they must be?", topic_check_main },
    { "topic", "lag", "[--all]", "per slot: stored up to where, how far behind", topic_lag_main },
    { "token", "create",
      "[--output FILE] [--uses N] [--expires TIME] [--host NAME] [--pattern LIKE] "
      "[--group GROUP] [--note TEXT] [--approve] [--gateway LIST] [--gateway-key-file FILE]",
      "a token that lets hosts enrol", token_create },
    { "token", "list", "", "tokens and what is left of them", token_list },
    { "token", "revoke", "TOKEN_ID", "make a token useless", token_revoke },
    { "host", "list", "[--state STATE] [--group GROUP]", "the hosts of the catalog", host_list },
    { "host", "show", "HOST", "one host: keys, boots, what is stored, gaps", host_show },
    { "host", "approve", "HOST", "let a host in that waits for it", host_approve },
    { "host", "rename", "HOST NEW_NAME [--group GROUP]", "give a host another name in SQL", host_rename },
    { "host", "retire", "HOST", "revoke its key and close its rows; nothing is deleted", host_retire },
    { "host", "erase", "HOST --yes", "delete all rows of a host, and say what still holds copies", host_erase },
    { "set-aside", "list", "[--host HOST] [--reason REASON] [--limit N]", "messages that could not be stored",
      set_aside_list },
    { "set-aside", "show", "PLACE [--output FILE]", "the whole message", set_aside_show },
    { "set-aside", "replay", "PLACE | --reason REASON", "let the workers try it again", set_aside_replay },
    { "verify", "", "HOST [--from N] [--to N]", "ledger, chain and signatures of a host", verify_main },
    { "status", "", "", "one screen: hosts, lag, freshness, gaps, findings, set aside", status_main },
    { NULL, NULL, NULL, NULL, NULL },
};
