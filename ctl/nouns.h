/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nouns.h -- the verbs of every noun; one file per noun, the table of them in verbs.c. */
#pragma once

#include "ctl/ctl.h"

int shard_list(struct ctl *c, int argc, char **argv);
int shard_add(struct ctl *c, int argc, char **argv);
int token_create(struct ctl *c, int argc, char **argv);
int token_list(struct ctl *c, int argc, char **argv);
int token_revoke(struct ctl *c, int argc, char **argv);
int topic_create_main(struct ctl *c, int argc, char **argv);
int topic_check_main(struct ctl *c, int argc, char **argv);
