/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * name.h -- names that come from outside: what a host may be called, and the database that is a host's own. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NAME_GRAMMAR "letters, digits, \".\", \"_\" and \"-\", a letter or digit first, at most 190"

/*
 * At most 190 letters, digits, ".", "_" and "-", a letter or digit first. The catalog refuses anything else too
 * (sql/catalog/0003_host_names.sql).
 */
bool name_is_host(const char *name);

#define NAME_DATABASE_GRAMMAR "letters, digits and \"_\", at most 64; pofr... and the server's own are not for it"
#define NAME_DATABASE_SIZE    65

/* May `pofrctl host expose` make a database of that name? What passes needs no escape between backticks. */
bool name_is_database(const char *name);

/*
 * The name that it gives one by itself: "host_" and the host's name, small letters, "_" for every "." and "-". A name of
 * more than 59 characters is cut to 38, and "_" and the host_id are behind it.
 */
void name_database(const char *host, uint64_t host_id, char out[NAME_DATABASE_SIZE]);
