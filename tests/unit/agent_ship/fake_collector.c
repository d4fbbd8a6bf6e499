/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/agent_ship/fake_collector.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/os/fsio.h"
#include "common/os/loop.h"
#include "tests/support/check.h"

void fake_digest(uint64_t sequence, uint8_t out[32])
{
    memset(out, 0, 32);
    memcpy(out, &sequence, sizeof(sequence));
    out[31] = 0xfa;
}

static void say(struct fake_collector *f, const struct ipc_message *m)
{
    struct buf b = BUF_INIT(IPC_PACKET_MAX);

    assert_int_equal(ipc_put(m, &b), 0);
    if (f->fd >= 0) {
        assert_true(send(f->fd, b.data, b.len, MSG_NOSIGNAL) == (ssize_t)b.len || errno == EPIPE);
    }
    buf_free(&b);
}

static void say_error(struct fake_collector *f, enum ipc_error code)
{
    struct ipc_message m = { .type = IPC_ERROR };

    m.error.code = code;
    m.error.retry_ms = 1;
    say(f, &m);
}

static void take_sign(struct fake_collector *f, const struct ipc_message *m)
{
    struct ipc_message out = { .type = IPC_SIGNED };

    f->asked_sign++;
    if (f->sign_later > 0) {
        f->sign_later--;
        say_error(f, IPC_ERROR_LATER);
        return;
    }
    if (f->sign_refuse) {
        say_error(f, IPC_ERROR_BLOB);
        return;
    }
    assert_true(m->sign.blob.len <= sizeof(f->blob));
    memcpy(f->blob, m->sign.blob.data, m->sign.blob.len);
    f->blob_len = m->sign.blob.len;
    assert_int_equal(sshkey_sign_raw(f->key, m->sign.blob, out.is_signed.signature), 0);
    say(f, &out);
}

static void take_refused(struct fake_collector *f, const struct ipc_message *m)
{
    uint8_t digest[32];

    fake_digest(m->refused.sequence, digest);
    assert_memory_equal(m->refused.digest, digest, 32);
    f->refusal_open = true;
    if (f->refuse_later > 0) {
        f->refuse_later--;
        say_error(f, IPC_ERROR_DISK);
        return;
    }
    f->refusal_open = false;
    assert_true(f->refused_len < FAKE_REFUSED_MAX);
    f->refused[f->refused_len++] = m->refused.sequence;
    if (m->refused.sequence == f->acked + 1) {
        f->acked = m->refused.sequence;
    }
    say(f, &(struct ipc_message){ .type = IPC_DONE });
}

static void take(struct fake_collector *f, const struct ipc_message *m)
{
    struct ipc_message out = { 0 };

    switch (m->type) {
    case IPC_STATE:
        f->asked_state++;
        out.type = IPC_STATE_IS;
        out.state_is.host = f->host;
        memset(&out.state_is.boot, 0xb0, sizeof(out.state_is.boot));
        memset(out.state_is.run, 0x70, sizeof(out.state_is.run));
        out.state_is.oldest = f->oldest;
        out.state_is.newest = f->newest;
        out.state_is.acked = f->acked;
        say(f, &out);
        break;
    case IPC_KEY:
        out.type = IPC_KEY_IS;
        memcpy(out.key_is.public_key, sshkey_public(f->key), 32);
        say(f, &out);
        break;
    case IPC_SIGN:
        take_sign(f, m);
        break;
    case IPC_REFUSED:
        take_refused(f, m);
        break;
    case IPC_ACKED:
        f->ack_before_refusal |= f->refusal_open;
        assert_true(m->acked.sequence > f->acked && m->acked.sequence <= f->newest);
        fake_digest(m->acked.sequence, f->acked_digest);
        assert_memory_equal(m->acked.digest, f->acked_digest, 32);
        f->acked = m->acked.sequence;
        break;
    case IPC_WANTED:
        f->asked_wanted++;
        f->wanted = *m;
        break;
    case IPC_ENTERED:
        f->entered++;
        break;
    case IPC_SHIPPER:
        f->shipper++;
        f->connected = m->shipper.connected;
        f->failures = m->shipper.failures;
        break;
    default:
        fail_msg("the shipper said %s", ipc_type_name(m->type));
    }
}

static void readable(int fd, uint32_t events, void *arg)
{
    struct fake_collector *f = arg;
    static uint8_t packet[IPC_PACKET_MAX];
    struct ipc_message m;
    ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);

    (void)events;
    if (n <= 0) {
        fake_collector_cut(f);
        return;
    }
    assert_int_equal(ipc_get(slice_of(packet, (size_t)n), &m), 0);
    take(f, &m);
}

static void connecting(int fd, uint32_t events, void *arg)
{
    struct fake_collector *f = arg;

    (void)events;
    fake_collector_cut(f);
    f->fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(f->fd >= 0);
    f->connections++;
    assert_int_equal(loop_fd_add(f->loop, f->fd, EPOLLIN, readable, f, NULL), 0);
}

void fake_collector_open(struct fake_collector *f, struct loop *loop, const char *dir)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    memset(f, 0, sizeof(*f));
    f->loop = loop;
    f->fd = -1;
    memset(&f->host, 0x1a, sizeof(f->host));
    assert_int_equal(sshkey_generate(&f->key), 0);
    assert_int_equal(mkdir(tmpdir_join(dir, SPOOL_DIR, f->spool_dir), 0700), 0);
    tmpdir_join(dir, IPC_SOCKET, f->socket_path);
    snprintf(a.sun_path, sizeof(a.sun_path), "%.100s", f->socket_path);
    f->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(f->listen_fd, 4), 0);
    assert_int_equal(loop_fd_add(loop, f->listen_fd, EPOLLIN, connecting, f, NULL), 0);
}

void fake_collector_cut(struct fake_collector *f)
{
    if (f->fd >= 0) {
        loop_fd_remove(f->loop, f->fd);
        close(f->fd);
        f->fd = -1;
    }
}

void fake_collector_close(struct fake_collector *f)
{
    fake_collector_cut(f);
    loop_fd_remove(f->loop, f->listen_fd);
    close(f->listen_fd);
    sshkey_free(f->key);
}

void fake_collector_seal(struct fake_collector *f, unsigned count, size_t size)
{
    struct ipc_message news = { .type = IPC_NEW };
    struct buf b = BUF_INIT(256 << 20);
    char path[TMPDIR_PATH_SIZE], name[SPOOL_NAME_SIZE];
    uint8_t *block = malloc(size), digest[32];

    assert_non_null(block);
    for (unsigned i = 1; i <= count; i++) {
        fake_digest(f->newest + i, digest);
        for (size_t at = 0; at < size; at++) {
            block[at] = (uint8_t)(at + f->newest + i);
        }
        assert_int_equal(spool_entry_put(f->newest + i, digest, slice_of(block, size), &b), 0);
    }
    tmpdir_join(f->spool_dir, spool_segment_name(f->newest + 1, name), path);
    assert_int_equal(fsio_replace(path, buf_slice(&b), 0640, NULL), 0);
    f->oldest = f->oldest > 0 ? f->oldest : f->newest + 1;
    f->newest += count;
    news.news.oldest = f->oldest;
    news.news.newest = f->newest;
    news.news.acked = f->acked;
    say(f, &news);
    free(block);
    buf_free(&b);
}
