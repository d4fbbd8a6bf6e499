/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/wire/message.h"

#include <string.h>

#include "common/base/compiler.h"
#include "common/base/cursor.h"
#include "common/base/err.h"
#include "common/record/limits.h"

/* Wire types of a field, as in records (docs/RECORD.md part 3). */
enum wire {
    WIRE_VARINT = 0,
    WIRE_ZIGZAG = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED64 = 3
};

#define BYTES_FIELD_MAX 4096u /* any field of bytes but a bundle's block */

/* --- write ---------------------------------------------------------------------------------------- */

static void put_u(struct buf *out, unsigned number, uint64_t value)
{
    if (value) {
        buf_varint(out, number * 4u + WIRE_VARINT);
        buf_varint(out, value);
    }
}

static void put_bytes(struct buf *out, unsigned number, struct slice bytes)
{
    if (!slice_empty(bytes)) {
        buf_varint(out, number * 4u + WIRE_BYTES);
        buf_varbytes(out, bytes);
    }
}

/* An identity or digest: left out where it is all zero, as every empty value is. */
static void put_fixed(struct buf *out, unsigned number, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i]) {
            put_bytes(out, number, slice_of(bytes, len));
            return;
        }
    }
}

static void put_wanted(struct buf *out, unsigned number, const struct message_range *range)
{
    struct buf pair = BUF_INIT(24);

    buf_varint(&pair, range->first);
    buf_varint(&pair, range->last);
    if (pair.err) {
        out->err = out->err ? out->err : pair.err;
    } else {
        put_bytes(out, number, buf_slice(&pair));
    }
    buf_free(&pair);
}

static int put_body(const struct message *m, struct buf *out)
{
    switch (m->type) {
    case MESSAGE_ENROL:
        put_u(out, 1, m->enrol.version);
        put_bytes(out, 2, m->enrol.token);
        put_bytes(out, 3, m->enrol.public_key);
        put_bytes(out, 4, m->enrol.hostname);
        put_bytes(out, 5, m->enrol.machine_id);
        put_bytes(out, 6, m->enrol.os);
        put_bytes(out, 7, m->enrol.kernel);
        put_bytes(out, 8, m->enrol.agent_version);
        break;
    case MESSAGE_ENROLLED:
        put_u(out, 1, m->enrolled.version);
        put_fixed(out, 2, m->enrolled.host.b, 16);
        put_bytes(out, 3, m->enrolled.name);
        put_u(out, 4, m->enrolled.approved);
        break;
    case MESSAGE_HELLO:
        put_u(out, 1, m->hello.version);
        put_fixed(out, 2, m->hello.host.b, 16);
        put_fixed(out, 3, m->hello.boot.b, 16);
        put_u(out, 4, m->hello.boot_us);
        put_u(out, 5, m->hello.wall_us);
        put_fixed(out, 6, m->hello.run, 16);
        put_u(out, 7, m->hello.oldest);
        put_u(out, 8, m->hello.newest);
        put_bytes(out, 9, m->hello.agent_version);
        break;
    case MESSAGE_WELCOME:
        put_u(out, 1, m->welcome.version);
        put_bytes(out, 2, m->welcome.gateway);
        put_u(out, 3, m->welcome.bundle_max);
        put_u(out, 4, m->welcome.window);
        put_u(out, 5, m->welcome.wall_us);
        put_fixed(out, 6, m->welcome.key, 32);
        if (m->welcome.wanted_len > MESSAGE_WANTED_MAX) {
            return POFR_EUSAGE;
        }
        for (unsigned i = 0; i < m->welcome.wanted_len; i++) {
            put_wanted(out, 7, &m->welcome.wanted[i]);
        }
        break;
    case MESSAGE_BUNDLE:
        put_u(out, 1, m->bundle.sequence);
        put_bytes(out, 2, m->bundle.block);
        break;
    case MESSAGE_ACK:
        put_u(out, 1, m->ack.sequence);
        put_fixed(out, 2, m->ack.digest, 32);
        break;
    case MESSAGE_REFUSE:
        put_u(out, 1, m->refuse.sequence);
        put_fixed(out, 2, m->refuse.digest, 32);
        put_u(out, 3, m->refuse.final);
        put_u(out, 4, m->refuse.code);
        put_bytes(out, 5, m->refuse.reason);
        put_u(out, 6, m->refuse.retry_ms);
        break;
    case MESSAGE_SLOW_DOWN:
        put_u(out, 1, m->slow_down.wait_ms);
        break;
    case MESSAGE_PING:
    case MESSAGE_PONG:
        put_u(out, 1, m->ping.token);
        break;
    default:
        if (m->type < MESSAGE_IGNORABLE || m->type > 255) {
            return POFR_EUSAGE;
        }
        break;
    }
    return out->err;
}

int message_put(const struct message *m, struct buf *out)
{
    size_t at = out->len;
    int code;

    if (out->err) {
        return out->err;
    }
    buf_u32be(out, 0);
    buf_u8(out, (uint8_t)m->type);
    code = put_body(m, out);
    if (!code && out->len - at - 4 > MESSAGE_MAX) {
        code = POFR_ETOOBIG;
    }
    if (code) {
        buf_truncate(out, at);
        return code;
    }
    buf_patch_u32be(out, at, (uint32_t)(out->len - at - 4));
    return 0;
}

/* --- read ----------------------------------------------------------------------------------------- */

struct field {
    unsigned number;
    enum wire wire;
    uint64_t value;
    struct slice bytes;
};

/* False: the end, or c->err. last is the number before; repeated is the one number that may follow itself. */
static bool next_field(struct cursor *c, unsigned *last, unsigned repeated, struct field *out)
{
    uint64_t tag;

    if (c->err || cursor_left(c) == 0) {
        return false;
    }
    tag = cursor_varint(c);
    if (c->err || tag / 4 == 0 || tag / 4 > UINT32_MAX ||
        (tag / 4 <= *last && !(tag / 4 == *last && *last == repeated))) {
        cursor_fail(c, POFR_EFORMAT);
        return false;
    }
    *out = (struct field){ .number = (unsigned)(tag / 4), .wire = (enum wire)(tag % 4) };
    *last = out->number;
    switch (out->wire) {
    case WIRE_VARINT:
    case WIRE_ZIGZAG:
        out->value = cursor_varint(c);
        break;
    case WIRE_BYTES:
        out->bytes = cursor_bytes(c, (size_t)cursor_varint(c));
        break;
    case WIRE_FIXED64:
        out->value = cursor_u64le(c);
        break;
    }
    return c->err == 0;
}

/* What a field of a message is for: a number, bytes up to max, or exactly len bytes. */
struct place {
    unsigned number;
    uint64_t *value;
    bool *flag;
    struct slice *bytes;
    uint8_t *fixed;
    size_t len; /* of fixed; else the most that bytes may have */
};

static void fill(struct cursor *c, const struct field *f, const struct place *p)
{
    bool number = p->value || p->flag;

    if (f->wire != (number ? WIRE_VARINT : WIRE_BYTES)) {
        cursor_fail(c, POFR_EFORMAT);
    } else if (p->value) {
        *p->value = f->value;
    } else if (p->flag) {
        if (f->value > 1) {
            cursor_fail(c, POFR_EFORMAT);
        }
        *p->flag = f->value == 1;
    } else if (p->fixed) {
        if (f->bytes.len != p->len) {
            cursor_fail(c, POFR_EFORMAT);
        } else {
            memcpy(p->fixed, f->bytes.data, p->len);
        }
    } else if (f->bytes.len > p->len) {
        cursor_fail(c, POFR_ETOOBIG);
    } else {
        *p->bytes = f->bytes;
    }
}

static int read_places(struct cursor *c, const struct place *places, size_t count)
{
    struct field f;
    unsigned last = 0;

    while (next_field(c, &last, 0, &f)) {
        for (size_t i = 0; i < count; i++) {
            if (places[i].number == f.number) {
                fill(c, &f, &places[i]);
                break;
            }
        }
    }
    return c->err;
}

#define READ(c, ...)                                                                                                   \
    read_places((c), (const struct place[]){ __VA_ARGS__ },                                                            \
                sizeof((const struct place[]){ __VA_ARGS__ }) / sizeof(struct place))
#define NUMBER(n, field)                                                                                               \
    {                                                                                                                  \
        .number = (n), .value = &(field)                                                                               \
    }
#define FLAG(n, field)                                                                                                 \
    {                                                                                                                  \
        .number = (n), .flag = &(field)                                                                                \
    }
#define BYTES(n, field)                                                                                                \
    {                                                                                                                  \
        .number = (n), .bytes = &(field), .len = BYTES_FIELD_MAX                                                       \
    }
#define BLOCK(n, field)                                                                                                \
    {                                                                                                                  \
        .number = (n), .bytes = &(field), .len = MESSAGE_MAX                                                           \
    }
#define FIXED(n, field, sz)                                                                                            \
    {                                                                                                                  \
        .number = (n), .fixed = (field), .len = (sz)                                                                   \
    }

static int read_welcome(struct cursor *c, struct message *m)
{
    struct field f;
    unsigned last = 0;
    const struct place places[] = { NUMBER(1, m->welcome.version),    BYTES(2, m->welcome.gateway),
                                    NUMBER(3, m->welcome.bundle_max), NUMBER(4, m->welcome.window),
                                    NUMBER(5, m->welcome.wall_us),    FIXED(6, m->welcome.key, 32) };

    while (next_field(c, &last, 7, &f)) {
        if (f.number == 7) {
            struct cursor pair = cursor_of(f.bytes);
            struct message_range *range = &m->welcome.wanted[m->welcome.wanted_len];

            if (f.wire != WIRE_BYTES || m->welcome.wanted_len == MESSAGE_WANTED_MAX) {
                cursor_fail(c, POFR_EFORMAT);
                break;
            }
            range->first = cursor_varint(&pair);
            range->last = cursor_varint(&pair);
            if (pair.err || cursor_left(&pair) || range->first > range->last || range->first == 0) {
                cursor_fail(c, POFR_EFORMAT);
                break;
            }
            m->welcome.wanted_len++;
            continue;
        }
        for (size_t i = 0; i < pofr_countof(places); i++) {
            if (places[i].number == f.number) {
                fill(c, &f, &places[i]);
            }
        }
    }
    return c->err;
}

static int read_body(struct cursor *c, struct message *m)
{
    switch (m->type) {
    case MESSAGE_ENROL:
        return READ(c, NUMBER(1, m->enrol.version), BYTES(2, m->enrol.token), BYTES(3, m->enrol.public_key),
                    BYTES(4, m->enrol.hostname), BYTES(5, m->enrol.machine_id), BYTES(6, m->enrol.os),
                    BYTES(7, m->enrol.kernel), BYTES(8, m->enrol.agent_version));
    case MESSAGE_ENROLLED:
        return READ(c, NUMBER(1, m->enrolled.version), FIXED(2, m->enrolled.host.b, 16), BYTES(3, m->enrolled.name),
                    FLAG(4, m->enrolled.approved));
    case MESSAGE_HELLO:
        return READ(c, NUMBER(1, m->hello.version), FIXED(2, m->hello.host.b, 16), FIXED(3, m->hello.boot.b, 16),
                    NUMBER(4, m->hello.boot_us), NUMBER(5, m->hello.wall_us), FIXED(6, m->hello.run, 16),
                    NUMBER(7, m->hello.oldest), NUMBER(8, m->hello.newest), BYTES(9, m->hello.agent_version));
    case MESSAGE_WELCOME:
        return read_welcome(c, m);
    case MESSAGE_BUNDLE:
        return READ(c, NUMBER(1, m->bundle.sequence), BLOCK(2, m->bundle.block));
    case MESSAGE_ACK:
        return READ(c, NUMBER(1, m->ack.sequence), FIXED(2, m->ack.digest, 32));
    case MESSAGE_REFUSE:
        return READ(c, NUMBER(1, m->refuse.sequence), FIXED(2, m->refuse.digest, 32), FLAG(3, m->refuse.final),
                    NUMBER(4, m->refuse.code), BYTES(5, m->refuse.reason), NUMBER(6, m->refuse.retry_ms));
    case MESSAGE_SLOW_DOWN:
        return READ(c, NUMBER(1, m->slow_down.wait_ms));
    case MESSAGE_PING:
    case MESSAGE_PONG:
        return READ(c, NUMBER(1, m->ping.token));
    default:
        return m->type >= MESSAGE_IGNORABLE ? 0 : POFR_EUNSUPPORTED;
    }
}

int message_get(struct slice in, size_t max, struct message *out, size_t *out_used)
{
    struct cursor head = cursor_of(in);
    struct cursor body;
    struct message m;
    uint32_t length;
    int code;

    if (in.len < MESSAGE_HEADER) {
        *out_used = MESSAGE_HEADER;
        return 0;
    }
    length = cursor_u32be(&head);
    if (length > max) {
        return POFR_ETOOBIG;
    }
    if (length == 0) {
        return POFR_EFORMAT;
    }
    if (in.len - 4 < length) {
        *out_used = (size_t)length + 4;
        return 0;
    }
    memset(&m, 0, sizeof(m));
    m.type = (enum message_type)cursor_u8(&head);
    body = cursor_of(cursor_bytes(&head, length - 1));
    code = read_body(&body, &m);
    if (code) {
        return code == POFR_ETRUNCATED ? POFR_EFORMAT : code;
    }
    *out = m;
    *out_used = (size_t)length + 4;
    return 1;
}

const char *message_refuse_name(uint64_t code)
{
    static const struct {
        uint64_t code;
        const char *name;
    } names[] = {
        { MESSAGE_REFUSE_SIGNATURE, "signature" }, { MESSAGE_REFUSE_HOST, "host" },
        { MESSAGE_REFUSE_SIZE, "size" },           { MESSAGE_REFUSE_STATEMENT, "statement" },
        { MESSAGE_REFUSE_BUSY, "busy" },           { MESSAGE_REFUSE_REVOKED, "revoked" },
        { MESSAGE_REFUSE_PENDING, "pending" },     { MESSAGE_REFUSE_TOKEN, "token" },
        { MESSAGE_REFUSE_PROTOCOL, "protocol" },   { MESSAGE_REFUSE_UNAVAILABLE, "unavailable" },
        { MESSAGE_REFUSE_ORDER, "order" },
    };

    for (size_t i = 0; i < pofr_countof(names); i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return "unknown";
}
