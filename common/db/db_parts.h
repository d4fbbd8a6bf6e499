/* SPDX-License-Identifier: GPL-2.0-or-later */
/* db_parts.h -- what the files of db share. Not for others. */
#pragma once

#include "common/base/compiler.h"

struct db_address;
struct pofr_err;
struct st_mysql;

/*
 * What a->tls asks for, before the handle connects. Every setting is said: Connector/C 3.3 trusts any certificate by
 * itself, 3.4 none without a CA.
 */
POFR_MUST_USE int db_set_tls(struct st_mysql *mysql, const struct db_address *a, struct pofr_err *err);
