/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/hostport.h"

#include "common/base/err.h"
#include "common/base/parse_num.h"

static bool is_clean(struct slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (host.data[i] <= ' ' || host.data[i] >= 0x7f || host.data[i] == '[' || host.data[i] == ']') {
            return false;
        }
    }
    return host.len > 0 && host.len < HOSTPORT_HOST_SIZE;
}

int hostport_parse(struct slice text, int default_port, struct hostport *out)
{
    struct slice host, rest; /* rest: "" or ":port" */
    uint64_t port;

    if (text.len > 0 && text.data[0] == '[') {
        size_t end = slice_find(text, ']');

        if (end == text.len) {
            return POFR_EFORMAT;
        }
        host = slice_sub(text, 1, end - 1);
        rest = slice_sub(text, end + 1, SIZE_MAX);
    } else {
        size_t colon = slice_find(text, ':');

        host = slice_sub(text, 0, colon);
        rest = slice_sub(text, colon, SIZE_MAX);
    }
    if (!is_clean(host)) {
        return POFR_EFORMAT;
    }
    if (rest.len == 0 && default_port >= 0) {
        port = (uint64_t)default_port;
    } else if (rest.len == 0 || rest.data[0] != ':' || parse_u64(slice_sub(rest, 1, SIZE_MAX), 65535, &port) != 0) {
        return POFR_EFORMAT;
    }
    memcpy(out->host, host.data, host.len);
    out->host[host.len] = '\0';
    out->port = (uint16_t)port;
    return 0;
}
