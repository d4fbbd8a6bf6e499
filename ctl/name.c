/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/name.h"

#include <string.h>

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

bool name_is_host(const char *name)
{
    size_t len = strlen(name);

    return len >= 1 && len <= 190 && strspn(name, LETTERS_AND_DIGITS) > 0 &&
           strspn(name, LETTERS_AND_DIGITS "._-") == len;
}
