/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/ipc.h"

#include <string.h>

#include "common/base/cursor.h"
#include "common/base/err.h"

#define GATEWAY_MAX 512u
#define REASON_MAX  4096u

static void put_bytes(struct buf *out, struct slice s)
{
    buf_u32le(out, (uint32_t)s.len);
    buf_append(out, s);
}

static struct slice get_bytes(struct cursor *c, size_t max)
{
    uint32_t len = cursor_u32le(c);

    if (len > max) {
        cursor_fail(c, POFR_ETOOBIG);
    }
    return cursor_bytes(c, len);
}

static void get_fixed(struct cursor *c, uint8_t *out, size_t len)
{
    struct slice s = cursor_bytes(c, len);

    if (s.len == len) {
        memcpy(out, s.data, len);
    }
}

static void put_ranges(const struct ipc_message *m, struct buf *out)
{
    buf_u32le(out, m->wanted.len);
    for (unsigned i = 0; i < m->wanted.len; i++) {
        buf_u64le(out, m->wanted.ranges[i].first);
        buf_u64le(out, m->wanted.ranges[i].last);
    }
}

static void get_ranges(struct cursor *c, struct ipc_message *m)
{
    uint32_t len = cursor_u32le(c);

    if (len > IPC_RANGES_MAX) {
        cursor_fail(c, POFR_ETOOBIG);
    }
    for (uint32_t i = 0; i < len && c->err == 0; i++) {
        m->wanted.ranges[i].first = cursor_u64le(c);
        m->wanted.ranges[i].last = cursor_u64le(c);
        if (m->wanted.ranges[i].first > m->wanted.ranges[i].last) {
            cursor_fail(c, POFR_EFORMAT);
        }
    }
    m->wanted.len = c->err == 0 ? len : 0;
}

static void put_shipper(const struct ipc_message *m, struct buf *out)
{
    buf_u8(out, m->shipper.connected);
    buf_u64le(out, m->shipper.since_wall_us);
    buf_u64le(out, m->shipper.sent_bytes);
    buf_u64le(out, m->shipper.bundles_acked);
    buf_u64le(out, m->shipper.sessions);
    buf_u64le(out, m->shipper.failures);
    put_bytes(out, m->shipper.gateway);
    put_bytes(out, m->shipper.last_error);
}

static void get_shipper(struct cursor *c, struct ipc_message *m)
{
    uint8_t connected = cursor_u8(c);

    if (connected > 1) {
        cursor_fail(c, POFR_EFORMAT);
    }
    m->shipper.connected = connected != 0;
    m->shipper.since_wall_us = cursor_u64le(c);
    m->shipper.sent_bytes = cursor_u64le(c);
    m->shipper.bundles_acked = cursor_u64le(c);
    m->shipper.sessions = cursor_u64le(c);
    m->shipper.failures = cursor_u64le(c);
    m->shipper.gateway = get_bytes(c, GATEWAY_MAX);
    m->shipper.last_error = get_bytes(c, REASON_MAX);
}

static bool too_big(const struct ipc_message *m)
{
    switch (m->type) {
    case IPC_SIGN:
        return m->sign.blob.len > IPC_BLOB_MAX;
    case IPC_REFUSED:
        return m->refused.reason.len > REASON_MAX;
    case IPC_WANTED:
        return m->wanted.len > IPC_RANGES_MAX;
    case IPC_SHIPPER:
        return m->shipper.gateway.len > GATEWAY_MAX || m->shipper.last_error.len > REASON_MAX;
    case IPC_TEXT:
        return m->text.text.len > IPC_TEXT_MAX;
    default:
        return false;
    }
}

int ipc_put(const struct ipc_message *m, struct buf *out)
{
    if (too_big(m)) {
        return POFR_ETOOBIG;
    }
    buf_u8(out, (uint8_t)m->type);
    switch (m->type) {
    case IPC_STATE:
    case IPC_KEY:
    case IPC_DONE:
        break;
    case IPC_SIGN:
        put_bytes(out, m->sign.blob);
        break;
    case IPC_ACKED:
        buf_u64le(out, m->acked.sequence);
        buf_bytes(out, m->acked.digest, 32);
        break;
    case IPC_REFUSED:
        buf_u64le(out, m->refused.sequence);
        buf_bytes(out, m->refused.digest, 32);
        buf_u64le(out, m->refused.code);
        put_bytes(out, m->refused.reason);
        break;
    case IPC_WANTED:
        put_ranges(m, out);
        break;
    case IPC_STATUS:
        buf_u64le(out, m->status.form);
        break;
    case IPC_ENTERED:
        buf_bytes(out, m->entered.public_key, 32);
        break;
    case IPC_SHIPPER:
        put_shipper(m, out);
        break;
    case IPC_STATE_IS:
        buf_bytes(out, m->state_is.host.b, 16);
        buf_bytes(out, m->state_is.boot.b, 16);
        buf_bytes(out, m->state_is.run, 16);
        buf_u64le(out, m->state_is.oldest);
        buf_u64le(out, m->state_is.newest);
        buf_u64le(out, m->state_is.acked);
        break;
    case IPC_KEY_IS:
        buf_bytes(out, m->key_is.public_key, 32);
        buf_bytes(out, m->key_is.next_key, 32);
        break;
    case IPC_SIGNED:
        buf_bytes(out, m->is_signed.signature, 64);
        break;
    case IPC_ERROR:
        buf_u64le(out, m->error.code);
        buf_u64le(out, m->error.retry_ms);
        break;
    case IPC_TEXT:
        put_bytes(out, m->text.text);
        break;
    case IPC_NEW:
        buf_u64le(out, m->news.oldest);
        buf_u64le(out, m->news.newest);
        buf_u64le(out, m->news.acked);
        break;
    }
    return out->err;
}

int ipc_get(struct slice packet, struct ipc_message *out_message)
{
    struct cursor c = cursor_of(packet);
    struct ipc_message m = { .type = (enum ipc_type)cursor_u8(&c) };
    int rc;

    if (packet.len > IPC_PACKET_MAX) {
        return POFR_ETOOBIG;
    }
    switch (m.type) {
    case IPC_STATE:
    case IPC_KEY:
    case IPC_DONE:
        break;
    case IPC_SIGN:
        m.sign.blob = get_bytes(&c, IPC_BLOB_MAX);
        break;
    case IPC_ACKED:
        m.acked.sequence = cursor_u64le(&c);
        get_fixed(&c, m.acked.digest, 32);
        break;
    case IPC_REFUSED:
        m.refused.sequence = cursor_u64le(&c);
        get_fixed(&c, m.refused.digest, 32);
        m.refused.code = cursor_u64le(&c);
        m.refused.reason = get_bytes(&c, REASON_MAX);
        break;
    case IPC_WANTED:
        get_ranges(&c, &m);
        break;
    case IPC_STATUS:
        m.status.form = cursor_u64le(&c);
        break;
    case IPC_ENTERED:
        get_fixed(&c, m.entered.public_key, 32);
        break;
    case IPC_SHIPPER:
        get_shipper(&c, &m);
        break;
    case IPC_STATE_IS:
        get_fixed(&c, m.state_is.host.b, 16);
        get_fixed(&c, m.state_is.boot.b, 16);
        get_fixed(&c, m.state_is.run, 16);
        m.state_is.oldest = cursor_u64le(&c);
        m.state_is.newest = cursor_u64le(&c);
        m.state_is.acked = cursor_u64le(&c);
        break;
    case IPC_KEY_IS:
        get_fixed(&c, m.key_is.public_key, 32);
        get_fixed(&c, m.key_is.next_key, 32);
        break;
    case IPC_SIGNED:
        get_fixed(&c, m.is_signed.signature, 64);
        break;
    case IPC_ERROR:
        m.error.code = cursor_u64le(&c);
        m.error.retry_ms = cursor_u64le(&c);
        break;
    case IPC_TEXT:
        m.text.text = get_bytes(&c, IPC_TEXT_MAX);
        break;
    case IPC_NEW:
        m.news.oldest = cursor_u64le(&c);
        m.news.newest = cursor_u64le(&c);
        m.news.acked = cursor_u64le(&c);
        break;
    default:
        return c.err != 0 ? c.err : POFR_EUNSUPPORTED;
    }
    rc = cursor_done(&c);
    if (rc != 0) {
        return rc;
    }
    *out_message = m;
    return 0;
}

const char *ipc_type_name(unsigned type)
{
    switch (type) {
    case IPC_STATE:
        return "state";
    case IPC_KEY:
        return "key";
    case IPC_SIGN:
        return "sign";
    case IPC_ACKED:
        return "acked";
    case IPC_REFUSED:
        return "refused";
    case IPC_WANTED:
        return "wanted";
    case IPC_STATUS:
        return "status";
    case IPC_ENTERED:
        return "entered";
    case IPC_SHIPPER:
        return "shipper";
    case IPC_STATE_IS:
        return "state_is";
    case IPC_KEY_IS:
        return "key_is";
    case IPC_SIGNED:
        return "signed";
    case IPC_DONE:
        return "done";
    case IPC_ERROR:
        return "error";
    case IPC_TEXT:
        return "text";
    case IPC_NEW:
        return "new";
    default:
        return "unknown";
    }
}
