/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The object is ours and flat, and no quote stands unescaped in a text: so a name with its quotes and colon is found
 * where the member is, and nowhere else.
 */
#include "agent/doctor/shipping.h"

#include <string.h>

#include "common/base/err.h"

/* What follows "name": in json. */
static bool find(struct slice json, const char *name, struct slice *out)
{
    const uint8_t *at = memmem(json.data, json.len, name, strlen(name));

    if (at == NULL) {
        return false;
    }
    at += strlen(name);
    *out = slice_of(at, json.len - (size_t)(at - json.data));
    return true;
}

static bool take_text(struct slice from, char *out, size_t room)
{
    size_t len = 0;

    for (size_t i = 0; i < from.len && len + 1 < room; i++) {
        if (from.data[i] == '"') {
            out[len] = '\0';
            return true;
        }
        if (from.data[i] == '\\' && ++i == from.len) {
            return false;
        }
        out[len++] = (char)from.data[i];
    }
    return false;
}

int shipping_parse(struct slice json, struct shipping *out)
{
    struct shipping found = { .connected = false };
    struct slice connected, gateway, last_error;

    if (!find(json, "\"connected\":", &connected) || connected.len == 0 || !find(json, "\"gateway\":\"", &gateway) ||
        !find(json, "\"last_error\":\"", &last_error) || !take_text(gateway, found.gateway, sizeof(found.gateway)) ||
        !take_text(last_error, found.last_error, sizeof(found.last_error))) {
        return POFR_EFORMAT;
    }
    found.connected = connected.data[0] == '1';
    *out = found;
    return 0;
}
