/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nouns.h -- the verbs of every noun; one file per noun, the table of them in verbs.c. */
#pragma once

#include "ctl/ctl.h"

int setup_main(struct ctl *c, int argc, char **argv);
int shard_list(struct ctl *c, int argc, char **argv);
int shard_add(struct ctl *c, int argc, char **argv);
int shard_remove(struct ctl *c, int argc, char **argv);
int slot_list(struct ctl *c, int argc, char **argv);
int slot_move(struct ctl *c, int argc, char **argv);
int slot_purge(struct ctl *c, int argc, char **argv);
int token_create(struct ctl *c, int argc, char **argv);
int token_list(struct ctl *c, int argc, char **argv);
int token_revoke(struct ctl *c, int argc, char **argv);
int host_list(struct ctl *c, int argc, char **argv);
int host_show(struct ctl *c, int argc, char **argv);
int host_key(struct ctl *c, int argc, char **argv);
int host_approve(struct ctl *c, int argc, char **argv);
int host_rename(struct ctl *c, int argc, char **argv);
int host_expose(struct ctl *c, int argc, char **argv);
int host_conceal(struct ctl *c, int argc, char **argv);
int host_retire(struct ctl *c, int argc, char **argv);
int host_erase(struct ctl *c, int argc, char **argv);
int bundle_list(struct ctl *c, int argc, char **argv);
int bundle_get(struct ctl *c, int argc, char **argv);
int set_aside_list(struct ctl *c, int argc, char **argv);
int set_aside_show(struct ctl *c, int argc, char **argv);
int set_aside_replay(struct ctl *c, int argc, char **argv);
int recover_main(struct ctl *c, int argc, char **argv);
int verify_main(struct ctl *c, int argc, char **argv);
int size_main(struct ctl *c, int argc, char **argv);
int status_main(struct ctl *c, int argc, char **argv);
int topic_lag_main(struct ctl *c, int argc, char **argv);
int topic_show_main(struct ctl *c, int argc, char **argv);
int topic_health_main(struct ctl *c, int argc, char **argv);
int topic_create_main(struct ctl *c, int argc, char **argv);
int topic_check_main(struct ctl *c, int argc, char **argv);
int pki_init(struct ctl *c, int argc, char **argv);
int pki_issue(struct ctl *c, int argc, char **argv);
int pki_show(struct ctl *c, int argc, char **argv);
int pki_ensure(struct ctl *c, int argc, char **argv);
int pki_renew(struct ctl *c, int argc, char **argv);
