/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What SSH lets a peer do without end, libssh does with it: answer packets that mean nothing, put answers that are not
 * read into a buffer, exchange keys. Here it ends. An agent comes near to none of these limits.
 */
#include "gateway/lane_parts.h"

#include "common/os/clock.h"
#include "common/os/log.h"
#include "gateway/packet_limit.h"

#define IDLE_PACKETS_MAX 1000u  /* without a byte of a message; each may have an answer that libssh keeps */
#define STRANGER_MAX     65536u /* bytes in, before it has shown a known key; a login and ENROL are some 6,000 */
#define UNSENT_MAX       262144 /* written since nothing waited; of ours, no more than 64 KiB is written before that */
#define OVERHEAD         32     /* of a packet: length, padding, MAC */
#define EXCHANGES        4u     /* of keys; and more with time and bytes: */
#define EXCHANGE_US      (60 * CLOCK_US_PER_S)
#define EXCHANGE_BYTES   (64u << 20)
#define PIECES           16u /* of one write, and one more for each: */
#define PIECE_SIZE       256u

static void cut(struct peer *p, enum peer_cut why)
{
    static const char *const reasons[] = { "packets", "bytes", "output", "keys", "pieces" };

    if (!p->is_broken) {
        log_warn("session", "cut", "peer=%s reason=%s", p->text, reasons[why]);
        stat_add_by(p->lane->o.stats, STAT_gateway_peers_cut, why, 1);
        peer_break(p);
    }
}

/* 0.8: the next thing that libssh does is to compute keys. */
static void on_status(void *arg, float status)
{
    struct peer *p = (struct peer *)arg;
    uint64_t allowed =
        EXCHANGES + (uint64_t)((clock_mono_us() - p->opened_us) / EXCHANGE_US) + p->packets.in_bytes / EXCHANGE_BYTES;

    if (status > 0.7f && status < 0.9f && ++p->exchanges > allowed) {
        cut(p, CUT_KEYS);
    }
}

void peer_guard_start(struct peer *p)
{
    p->callbacks.userdata = p;
    p->callbacks.connect_status_function = on_status;
    ssh_callbacks_init(&p->callbacks);
    if (ssh_set_callbacks(p->ssh, &p->callbacks) != SSH_OK) {
        p->is_broken = true;
    }
    ssh_set_counters(p->ssh, &p->bytes, &p->packets);
}

void peer_guard_useful(struct peer *p)
{
    p->packets_useful = p->packets.in_packets;
}

/* Of all packets so far. */
static uint64_t out_size(const struct peer *p)
{
    return p->packets.out_bytes + p->packets.out_packets * OVERHEAD;
}

void peer_guard_check(struct peer *p)
{
    if (p->is_sent) {
        p->out_emptied = out_size(p);
    }
    if (p->packets.in_packets - p->packets_useful > IDLE_PACKETS_MAX) {
        cut(p, CUT_PACKETS);
    } else if (!p->is_known && p->bytes.in_bytes > STRANGER_MAX) {
        cut(p, CUT_BYTES);
    } else if (out_size(p) - p->out_emptied > UNSENT_MAX) {
        cut(p, CUT_OUTPUT);
    }
}

int peer_guard_write(struct peer *p, struct slice out)
{
    int n;

    packet_limit_set(PIECES + (unsigned)(out.len / PIECE_SIZE));
    n = ssh_channel_write(p->channel, out.data, (uint32_t)out.len);
    if (packet_limit_clear()) {
        cut(p, CUT_PIECES);
    }
    return n;
}
