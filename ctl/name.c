/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/compiler.h"

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

#define PREFIX   "host_"
#define WHOLE    59 /* of a host's name beside the prefix */
#define WHEN_CUT 38 /* ... and beside "_" and the 20 digits that a host_id may have */

bool name_is_host(const char *name)
{
    size_t len = strlen(name);

    return len >= 1 && len <= 190 && strspn(name, LETTERS_AND_DIGITS) > 0 &&
           strspn(name, LETTERS_AND_DIGITS "._-") == len;
}

bool name_is_database(const char *name)
{
    static const char *const not_ours[] = { "mysql", "sys", "information_schema", "performance_schema" };
    size_t len = strlen(name);

    for (size_t i = 0; i < pofr_countof(not_ours); i++) {
        if (strcasecmp(name, not_ours[i]) == 0) {
            return false;
        }
    }
    return len >= 1 && len < NAME_DATABASE_SIZE && strspn(name, LETTERS_AND_DIGITS "_") == len &&
           strncasecmp(name, "pofr", 4) != 0;
}

void name_database(const char *host, uint64_t host_id, char out[NAME_DATABASE_SIZE])
{
    char id[24] = "";
    size_t len = strlen(host);
    size_t at = sizeof(PREFIX) - 1;

    if (len > WHOLE) {
        snprintf(id, sizeof(id), "_%" PRIu64, host_id);
        len = WHEN_CUT;
    }
    snprintf(out, NAME_DATABASE_SIZE, "%s", PREFIX);
    for (size_t i = 0; i < len; i++) {
        char ch = host[i];

        out[at++] = ch == '.' || ch == '-' ? '_' : ch >= 'A' && ch <= 'Z' ? (char)(ch - 'A' + 'a') : ch;
    }
    snprintf(out + at, NAME_DATABASE_SIZE - at, "%s", id);
}
