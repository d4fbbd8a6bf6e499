/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/enrol/facts.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "common/base/buf.h"
#include "common/os/fsio.h"

#define FILE_MAX 16384u

int facts_is_machine_id(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return 0;
        }
    }
    return text.len == 32;
}

/* As the shell would read it: quotes off; in double quotes a backslash keeps the next character. */
static void unquote(struct slice value, char *out, size_t size)
{
    uint8_t quote = value.len >= 2 && (value.data[0] == '"' || value.data[0] == '\'') ? value.data[0] : 0;
    size_t at = quote ? 1 : 0, len = 0;

    while (at < value.len && len + 1 < size) {
        if (quote && value.data[at] == quote) {
            break;
        }
        if (quote != '\'' && value.data[at] == '\\' && at + 1 < value.len) {
            at++;
        }
        if (value.data[at] >= ' ' && value.data[at] != 0x7f) {
            out[len++] = (char)value.data[at];
        }
        at++;
    }
    out[len] = '\0';
}

void facts_os_release(struct slice text, const char *name, char *out, size_t size)
{
    out[0] = '\0';
    while (text.len > 0) {
        struct slice line = slice_trim(slice_split(&text, '\n'));
        struct slice key = slice_split(&line, '=');

        if (slice_eq_str(key, name)) {
            unquote(line, out, size);
            return;
        }
    }
}

/* A file of the machine, if it can be read. */
static bool read_file(const char *root, const char *path, struct buf *out)
{
    char full[PATH_MAX];

    buf_reset(out);
    return snprintf(full, sizeof(full), "%s%s", root, path) < (int)sizeof(full) && fsio_read(full, out, NULL) == 0;
}

void facts_read(const char *root, struct facts *out)
{
    static const char *const releases[] = { "/etc/os-release", "/usr/lib/os-release" };
    struct buf text = BUF_INIT(FILE_MAX);
    struct slice id;
    struct utsname u;

    memset(out, 0, sizeof(*out));
    if (uname(&u) == 0) {
        snprintf(out->hostname, sizeof(out->hostname), "%s", u.nodename);
        snprintf(out->kernel, sizeof(out->kernel), "%s", u.release);
    }
    if (read_file(root, "/etc/machine-id", &text)) {
        id = slice_trim(buf_slice(&text));
        if (facts_is_machine_id(id)) {
            snprintf(out->machine_id, sizeof(out->machine_id), "%.*s", SLICE_FMT(id));
        }
    }
    for (size_t i = 0; i < pofr_countof(releases) && out->os[0] == '\0'; i++) {
        if (read_file(root, releases[i], &text)) {
            facts_os_release(buf_slice(&text), "PRETTY_NAME", out->os, sizeof(out->os));
        }
    }
    buf_free(&text);
}
