/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"
#include "ctl/migrate.h"
#include "ctl/nouns.h"

const struct ctl_verb ctl_verbs[] = {
    { "migrate", "", "", "make or bring up to date catalog, shards and head", migrate_main },
    { "shard", "list", "", "servers, their slots and hosts", shard_list },
    { "shard", "add", "NAME --address HOST:PORT [--slots LIST]", "enter a server, make its tables, give it slots", shard_add },
    { "topic", "create", "", "make the topics, with the settings that the guarantees need", topic_create_main },
    { "topic", "check", "", "are the topics as they must be?", topic_check_main },
    { "token", "create", "[--output FILE] [--uses N] [--expires 1d] ...", "a token that lets hosts enrol", token_create },
    { "token", "list", "", "tokens and what is left of them", token_list },
    { "token", "revoke", "TOKEN_ID", "make a token useless", token_revoke },
    { NULL, NULL, NULL, NULL, NULL },
};
