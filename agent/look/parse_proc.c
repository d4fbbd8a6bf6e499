/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/look/parse_proc.h"

#include <stddef.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/parse_num.h"

/*
 * /proc/PID/stat is "pid (comm) state ppid ...". comm is whatever a process calls itself: blanks, ')', newlines, bytes
 * that are no text. No field after it holds a ')', so the last one in the text ends it.
 */
enum stat_field { /* numbers of proc(5) */
    STAT_STATE = 3,
    STAT_PPID = 4,
    STAT_SESSION = 6,
    STAT_TTY = 7,
    STAT_FLAGS = 9,
    STAT_THREADS = 20,
    STAT_START = 22,
    STAT_EXIT_CODE = 52,
};

static int stat_field_parse(struct proc_stat *s, unsigned field, struct slice word)
{
    int64_t number;
    int code;

    switch (field) {
    case STAT_STATE:
        s->state = (char)word.data[0];
        return word.len == 1 ? 0 : POFR_EFORMAT;
    case STAT_PPID:
        return parse_u32(word, UINT32_MAX, &s->ppid);
    case STAT_SESSION: /* -1 or 0 while it exits */
        code = parse_i64(word, INT32_MIN, INT32_MAX, &number);
        s->session = code == 0 && number > 0 ? (uint32_t)number : 0;
        return code;
    case STAT_TTY:
        code = parse_i64(word, INT32_MIN, UINT32_MAX, &number);
        s->tty = code == 0 ? (uint32_t)number : 0;
        return code;
    case STAT_FLAGS:
        return parse_u64(word, UINT64_MAX, &s->flags);
    case STAT_THREADS:
        code = parse_i64(word, INT32_MIN, INT32_MAX, &number);
        s->threads = code == 0 && number > 0 ? (uint32_t)number : 0;
        return code;
    case STAT_START:
        return parse_u64(word, UINT64_MAX, &s->start_jiffies);
    case STAT_EXIT_CODE:
        code = parse_i64(word, INT32_MIN, INT32_MAX, &number);
        s->exit_status = code == 0 ? (uint32_t)number : 0;
        return code;
    default:
        return 0;
    }
}

int proc_stat_parse(struct slice text, struct proc_stat *out)
{
    struct proc_stat s = { .comm = SLICE_EMPTY };
    size_t open = slice_find(text, '(');
    const uint8_t *close = text.len ? memrchr(text.data, ')', text.len) : NULL;
    struct slice rest;
    unsigned field = STAT_STATE;

    if (!close || close < text.data + open) {
        return open == text.len ? POFR_ETRUNCATED : POFR_EFORMAT;
    }
    s.comm = slice_of(text.data + open + 1, (size_t)(close - text.data) - open - 1);
    if (s.comm.len > PROC_COMM_MAX) {
        return POFR_EFORMAT;
    }
    if (parse_u32(slice_trim(slice_sub(text, 0, open)), UINT32_MAX, &s.pid) != 0) {
        return POFR_EFORMAT;
    }
    rest = slice_trim(slice_of(close + 1, text.len - (size_t)(close + 1 - text.data)));
    while (rest.len > 0 && field <= STAT_EXIT_CODE) {
        struct slice word = slice_split(&rest, ' ');

        if (word.len == 0 || stat_field_parse(&s, field, word) != 0) {
            return POFR_EFORMAT;
        }
        field++;
    }
    if (field <= STAT_START) {
        return POFR_ETRUNCATED;
    }
    *out = s;
    return 0;
}

struct slice proc_comm_stable(struct slice comm, bool kernel_thread)
{
    static const struct slice prefix = SLICE_LITERAL("kworker/");
    size_t from;

    if (!kernel_thread || !slice_starts_with(comm, prefix)) {
        return comm;
    }
    from = slice_find(comm, ':');
    if (from == comm.len) { /* "kworker/R-name", whose true name has at most 15 bytes */
        return slice_sub(comm, 0, 15);
    }
    for (size_t i = from; i < comm.len; i++) {
        if (comm.data[i] == '+' || comm.data[i] == '-') {
            return slice_sub(comm, 0, i);
        }
    }
    return comm;
}

/* Four numbers, one blank or tab before each. */
static int ids_parse(struct slice line, uint32_t out[4])
{
    uint32_t ids[4];

    line = slice_trim(line);
    for (int i = 0; i < 4; i++) {
        size_t at = slice_find(line, '\t');
        struct slice word = slice_sub(line, 0, at);

        line = slice_sub(line, at + 1, SIZE_MAX);
        if (parse_u32(word, UINT32_MAX, &ids[i]) != 0) {
            return POFR_EFORMAT;
        }
    }
    memcpy(out, ids, sizeof(ids));
    return 0;
}

/* The kernel escapes newlines in Name:, so a line's beginning is the kernel's own. */
int proc_status_parse(struct slice text, struct proc_ids *out)
{
    static const struct slice uid = SLICE_LITERAL("Uid:"), gid = SLICE_LITERAL("Gid:");
    struct proc_ids ids;
    bool have_uid = false, have_gid = false;

    while (text.len > 0 && !(have_uid && have_gid)) {
        struct slice line = slice_split(&text, '\n');

        if (!have_uid && slice_starts_with(line, uid)) {
            have_uid = ids_parse(slice_sub(line, uid.len, SIZE_MAX), ids.uid) == 0;
        } else if (!have_gid && slice_starts_with(line, gid)) {
            have_gid = ids_parse(slice_sub(line, gid.len, SIZE_MAX), ids.gid) == 0;
        }
    }
    if (!have_uid || !have_gid) {
        return POFR_EFORMAT;
    }
    *out = ids;
    return 0;
}

int proc_u32_parse(struct slice text, uint32_t *out)
{
    if (text.len > 0 && text.data[text.len - 1] == '\n') {
        text.len--;
    }
    return parse_u32(text, UINT32_MAX, out);
}

enum proc_link proc_link_parse(struct slice text, uint64_t *out_inode)
{
    static const struct slice anon = SLICE_LITERAL("anon_inode:");
    size_t open = slice_find(text, '[');

    *out_inode = 0;
    if (text.len == 0 || text.data[0] == '/') {
        return PROC_LINK_PATH;
    }
    if (slice_starts_with(text, anon)) {
        return PROC_LINK_ANON;
    }
    if (open < 2 || open + 2 >= text.len || text.data[open - 1] != ':' || text.data[text.len - 1] != ']' ||
        parse_u64(slice_sub(text, open + 1, text.len - open - 2), UINT64_MAX, out_inode) != 0) {
        return PROC_LINK_PATH;
    }
    if (slice_eq_str(slice_sub(text, 0, open), "socket:")) {
        return PROC_LINK_SOCKET;
    }
    return slice_eq_str(slice_sub(text, 0, open), "pipe:") ? PROC_LINK_PIPE : PROC_LINK_OTHER;
}

bool proc_link_deleted(struct slice *text)
{
    static const struct slice suffix = SLICE_LITERAL(" (deleted)");

    if (text->len <= suffix.len || memcmp(text->data + text->len - suffix.len, suffix.data, suffix.len) != 0) {
        return false;
    }
    text->len -= suffix.len;
    return true;
}

int proc_fdinfo_flags_parse(struct slice text, uint32_t *out_flags)
{
    static const struct slice name = SLICE_LITERAL("flags:");

    while (text.len > 0) {
        struct slice line = slice_split(&text, '\n');
        uint32_t flags = 0;

        if (!slice_starts_with(line, name)) {
            continue;
        }
        line = slice_trim(slice_sub(line, name.len, SIZE_MAX));
        if (line.len == 0 || line.len > 11) {
            return POFR_EFORMAT;
        }
        for (size_t i = 0; i < line.len; i++) {
            if (line.data[i] < '0' || line.data[i] > '7' || flags >> 29 != 0) {
                return POFR_EFORMAT;
            }
            flags = flags << 3 | (uint32_t)(line.data[i] - '0');
        }
        *out_flags = flags;
        return 0;
    }
    return POFR_EFORMAT;
}

bool proc_dirent_next(struct slice *text, uint32_t *out_number)
{
    /* struct linux_dirent64: u64 inode, s64 offset, u16 length, u8 type, name with NUL */
    enum {
        AT_LENGTH = 16,
        AT_NAME = 19
    };

    while (text->len > AT_NAME) {
        uint16_t length;
        struct slice name;

        memcpy(&length, text->data + AT_LENGTH, sizeof(length));
        if (length <= AT_NAME || length > text->len) {
            return false;
        }
        name = slice_sub(*text, AT_NAME, length - AT_NAME);
        name.len = slice_find(name, '\0');
        *text = slice_sub(*text, length, SIZE_MAX);
        if (parse_u32(name, UINT32_MAX, out_number) == 0) {
            return true;
        }
    }
    return false;
}
