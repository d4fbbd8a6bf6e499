/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * name.h -- what a host may be called: at most 190 letters, digits, ".", "_" and "-", a letter or digit first. The
 * catalog refuses anything else too (sql/catalog/0003_host_names.sql).
 */
#pragma once

#include <stdbool.h>

#define NAME_GRAMMAR "letters, digits, \".\", \"_\" and \"-\", a letter or digit first, at most 190"

bool name_is_host(const char *name);
