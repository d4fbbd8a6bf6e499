/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One connection: libssh below, a session above. libssh has traps (docs/decisions/0006 has the list):
 *
 *   - One ssh_event per session, driven by our epoll: a shared one polls all of them at each wake.
 *   - Nothing is closed or written inside of its callbacks; peer_settle() does that, from the loop.
 *   - ssh_channel_write() may read and call back on_data() while it holds our buffer: the peer is deaf then.
 *   - A paused session takes nothing in on_data(). Its bytes stay in libssh's buffer, the window closes; only
 *     ssh_channel_read_nonblocking() opens it again.
 *   - What is written goes to a buffer without limit when the socket is full: so nothing is written then. What libssh
 *     itself answers goes there too, as often as it is asked, and a write never ends for a peer that wants packets of
 *     no size: peer_guard.c.
 *   - It closes the socket by itself when it breaks. The next connection has the same number then: whoever still watches
 *     it under the old name takes one for the other. So a lost socket is not watched for one moment longer.
 *   - The bytes of a peer whose session is over are not read any more, but its EOF must be: so they are dropped.
 *
 * A peer whose connection is gone stays until Kafka has reported all that it published.
 */
#include "gateway/lane_parts.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/log.h"

#define DOPOLLS   16                   /* of one wake; libssh reads 4 KiB at each */
#define PULL_SIZE 65536u               /* read out of libssh's buffer at once */
#define PULLS     16                   /* of one turn */
#define LINGER_US (3 * CLOCK_US_PER_S) /* for the last words */

void peer_break(struct peer *p)
{
    p->is_broken = true;
    lane_put(&p->lane->dirty, p);
}

void peer_set_known(struct peer *p)
{
    if (!p->is_known && p->fd >= 0) {
        p->is_known = true;
        limits_authenticated(p->lane->o.limits, &p->address);
    }
}

/* --- the end ------------------------------------------------------------------------------------------ */

static void count_handshake(struct peer *p)
{
    enum handshake how = p->denials > 0 ? HANDSHAKE_DENIED : HANDSHAKE_BROKEN;

    if (p->authenticated) {
        return;
    }
    if (clock_mono_us() - p->opened_us >= atomic_load(&limits_values(p->lane->o.limits)->auth_us)) {
        how = HANDSHAKE_TIMEOUT;
    }
    stat_add_by(p->lane->o.stats, STAT_gateway_handshakes, how, 1);
}

static void unwatch(struct peer *p)
{
    if (p->is_watched) {
        loop_fd_remove(p->lane->loop, p->fd);
        p->is_watched = false;
    }
}

/* Has libssh closed the socket? */
static bool lost_socket(struct peer *p)
{
    if (ssh_get_fd(p->ssh) == p->fd) {
        return false;
    }
    unwatch(p);
    return true;
}

static void ssh_close(struct peer *p)
{
    unwatch(p);
    if (p->event) {
        (void)ssh_event_remove_session(p->event, p->ssh); /* it may never have been added */
    }
    if (p->ssh && p->is_eof) {
        ssh_silent_disconnect(p->ssh); /* and with it the channel: no farewell to a peer that has said its own */
    } else if (p->ssh) {
        if (p->channel) {
            ssh_channel_free(p->channel);
        }
        ssh_disconnect(p->ssh);
    }
    if (p->ssh) {
        ssh_free(p->ssh); /* and with it the socket */
    } else {
        close(p->fd);
    }
    if (p->event) {
        ssh_event_free(p->event);
    }
    p->event = NULL;
    p->channel = NULL;
    p->ssh = NULL;
    p->fd = -1;
}

static void log_end(const struct peer *p)
{
    char host[UUID_TEXT_SIZE] = "";

    if (p->session) {
        log_info("session", "ended", "peer=%s host=%s reason=%s seconds=%lld", p->text,
                 p->who.role == SESSION_ENROL ? "" : uuid_format(&p->who.host, host),
                 session_end_name(session_why(p->session)),
                 (long long)((clock_mono_us() - p->opened_us) / CLOCK_US_PER_S));
    }
}

static void peer_free(struct peer *p)
{
    hosts_release(p->lane->o.hosts, &p->claim);
    loop_timer_cancel(p->lane->loop, &p->timer);
    lane_take_out(&p->lane->dirty, p);
    lane_take_out(&p->lane->blocked, p);
    (void)hashmap_remove(&p->lane->peers, p->number, NULL, NULL);
    session_free(p->session);
    free(p);
}

void peer_close(struct peer *p, enum session_end why)
{
    if (p->fd >= 0) {
        if (p->session) {
            session_end(p->session, why);
        }
        count_handshake(p);
        log_end(p);
        ssh_close(p);
        loop_timer_cancel(p->lane->loop, &p->timer);
        limits_leave(p->lane->o.limits, &p->address, p->is_known);
        lane_progressed(p->lane);
    }
    if (!p->session || session_is_idle(p->session)) {
        peer_free(p);
    }
}

/* --- reading and writing ------------------------------------------------------------------------------ */

/* The buffer that libssh filled while the session was paused. */
static void pull(struct peer *p)
{
    uint8_t bytes[PULL_SIZE];
    size_t wants;
    int n = 0, i;

    p->deaf = true;
    for (i = 0; i < PULLS && (wants = session_wants(p->session)) > 0; i++) {
        n = ssh_channel_read_nonblocking(p->channel, bytes, (uint32_t)(wants < PULL_SIZE ? wants : PULL_SIZE), 0);
        if (n <= 0) {
            break;
        }
        if (session_input(p->session, slice_of(bytes, (size_t)n)) != (size_t)n && !session_is_over(p->session)) {
            p->is_broken = true; /* it wanted that much */
        }
        peer_guard_useful(p);
    }
    p->deaf = false;
    if (n == SSH_ERROR) {
        p->is_broken = true;
    }
    p->stalled = n > 0; /* else the buffer is empty, and on_data() is called again */
    if (p->stalled && session_wants(p->session) > 0) {
        lane_put(&p->lane->dirty, p); /* others first */
    }
}

static bool does_socket_take(const struct peer *p)
{
    struct pollfd fd = { p->fd, POLLOUT, 0 };

    return poll(&fd, 1, 0) == 1;
}

/*
 * libssh wants to hear that the socket takes bytes before each write but the first. Mostly it does: then one poll()
 * here spares two epoll_ctl() and a turn of the loop. May call back.
 *
 * While something comes in it does not take its flag back, whatever it has sent: then nothing is left where it could
 * have sent and did not.
 */
static bool is_writable(struct peer *p)
{
    int i;

    p->is_sent = (ssh_get_poll_flags(p->ssh) & SSH_WRITE_PENDING) == 0;
    for (i = 0; i < 2 && !p->is_sent && !p->is_broken && does_socket_take(p); i++) {
        uint64_t before = p->bytes.out_bytes;

        p->is_broken |= ssh_event_dopoll(p->event, 0) == SSH_ERROR;
        p->is_sent = (ssh_get_poll_flags(p->ssh) & SSH_WRITE_PENDING) == 0 || p->bytes.out_bytes == before;
    }
    peer_guard_check(p);
    return !p->is_broken && p->is_sent;
}

static void flush(struct peer *p)
{
    struct slice out;
    int n;

    while (session_output(p->session).len > 0 && is_writable(p)) {
        out = session_output(p->session);
        p->is_sent = false;
        p->deaf = true;
        n = peer_guard_write(p, out);
        p->deaf = false;
        if (n < 0) {
            p->is_broken = true;
        } else if (n == 0) { /* the peer's window is closed, or keys are exchanged anew */
            break;
        } else {
            session_sent(p->session, (size_t)n);
        }
    }
}

static void on_timer(void *arg)
{
    lane_put(&((struct peer *)arg)->lane->dirty, (struct peer *)arg);
}

/* Wake at due_us or earlier. */
static void wake_at(struct peer *p, int64_t due_us)
{
    if (due_us != INT64_MAX && (!loop_timer_is_set(&p->timer) || due_us < p->timer.due_us) &&
        loop_timer_set(p->lane->loop, &p->timer, due_us, on_timer, p) != 0) {
        p->is_broken = true; /* a peer without deadlines is none */
    }
}

/* Deadlines until there is a session: for the login, then for the channel. */
static void tick_without_session(struct peer *p, int64_t now)
{
    int64_t auth_us = atomic_load(&limits_values(p->lane->o.limits)->auth_us);
    int64_t due = p->opened_us + (p->authenticated ? 2 * auth_us : auth_us);

    if (now >= due) {
        p->is_broken = true;
    } else {
        wake_at(p, due);
    }
}

/*
 * The last answer, then the channel's end, then the peer closes. Were we to close, libssh2 would find the lost
 * connection before the answer that lies in its buffer, and never give it to the agent.
 */
static void say_goodbye(struct peer *p, int64_t now)
{
    if (p->over_us == 0) {
        p->over_us = now;
    }
    if (session_is_idle(p->session)) {
        hosts_release(p->lane->o.hosts, &p->claim); /* the host's next session need not wait for this peer */
    }
    if (!p->is_broken && !p->is_eof && session_output(p->session).len == 0 && !p->said_end) {
        p->said_end = true;
        p->deaf = true;
        p->is_broken |= ssh_channel_send_eof(p->channel) != SSH_OK;
        p->deaf = false;
    }
    p->is_broken |= p->is_eof || now >= p->over_us + LINGER_US;
    wake_at(p, p->over_us + LINGER_US);
}

static void settle_session(struct peer *p, int64_t now)
{
    if (p->stalled && !p->is_broken && session_wants(p->session) > 0) {
        pull(p);
    }
    wake_at(p, session_tick(p->session, now));
    if (p->is_eof) {
        session_end(p->session, END_PEER);
    }
    if (session_is_blocked(p->session)) {
        lane_put(&p->lane->blocked, p);
    }
    flush(p);
    if (session_is_over(p->session)) {
        say_goodbye(p, now);
    }
}

/* What its session does not take now stays with the kernel, and so with the peer: libssh would buffer 1.2 MB. */
static bool is_unheard(const struct peer *p)
{
    return p->stalled && p->session && !session_is_over(p->session) && session_wants(p->session) == 0;
}

/* Who is not heard is not asked either whether it takes bytes: libssh would read. */
static void watch(struct peer *p)
{
    bool unheard = is_unheard(p);
    uint32_t wanted = unheard ? EPOLLRDHUP : EPOLLIN;

    wanted |= (unheard && p->is_sent) || is_writable(p) ? 0 : EPOLLOUT;
    p->is_broken |= lost_socket(p);
    if (p->is_broken) {
        lane_put(&p->lane->dirty, p);
    } else if (wanted != p->epoll && loop_fd_change(p->lane->loop, p->fd, wanted, NULL) == 0) {
        p->epoll = wanted;
    }
}

void peer_settle(struct peer *p)
{
    int64_t now = clock_mono_us();

    if (p->fd >= 0 && !p->is_broken) {
        if ((ssh_get_status(p->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR)) != 0) {
            p->is_broken = true;
        } else if (p->session) {
            settle_session(p, now);
        } else {
            tick_without_session(p, now);
        }
        p->is_broken |= lost_socket(p);
    }
    if (p->fd < 0 || p->is_broken) {
        peer_close(p, p->is_eof ? END_PEER : END_BROKEN);
    } else {
        watch(p);
    }
}

static void on_events(int fd, uint32_t events, void *arg)
{
    struct peer *p = (struct peer *)arg;
    int i;

    (void)fd;
    (void)events;
    for (i = 0; i < DOPOLLS && !p->is_broken && (i == 0 || !is_unheard(p)); i++) {
        int rc = ssh_event_dopoll(p->event, 0);

        if (rc == SSH_ERROR) {
            p->is_broken = true;
        } else if (rc != SSH_OK) {
            break;
        }
        peer_guard_check(p);
    }
    p->is_broken |= lost_socket(p);
    lane_put(&p->lane->dirty, p);
}

/* --- the beginning ------------------------------------------------------------------------------------ */

static bool ssh_open(struct peer *p)
{
    bool no = false;

    p->ssh = ssh_new();
    if (!p->ssh) {
        return false;
    }
    if (ssh_options_set(p->ssh, SSH_OPTIONS_PROCESS_CONFIG, &no) != SSH_OK ||
        ssh_options_set(p->ssh, SSH_OPTIONS_COMPRESSION, "no") != SSH_OK) {
        ssh_free(p->ssh);
        p->ssh = NULL;
        return false;
    }
    if (ssh_bind_accept_fd(p->lane->bind, p->ssh, p->fd) != SSH_OK) {
        if (ssh_get_fd(p->ssh) != p->fd) { /* it did not come so far as to own it */
            ssh_free(p->ssh);
            p->ssh = NULL;
        }
        return false;
    }
    ssh_set_blocking(p->ssh, 0);
    peer_set_callbacks(p);
    peer_guard_start(p);
    /* sends the banner; ssh_event_add_session() fails before this */
    if (ssh_handle_key_exchange(p->ssh) == SSH_ERROR) {
        return false;
    }
    p->event = ssh_event_new();
    return p->event && ssh_event_add_session(p->event, p->ssh) == SSH_OK;
}

static struct peer *peer_new(struct lane *l, int fd, const struct sockaddr_storage *from)
{
    struct peer *p = (struct peer *)calloc(1, sizeof(*p));

    if (p) {
        p->lane = l;
        p->fd = fd;
        p->number = ++l->last_number;
        p->opened_us = clock_mono_us();
        limit_address_of((const struct sockaddr *)from, &p->address);
        listener_text(from, p->text);
        peer_claim_init(p);
        if (hashmap_insert(&l->peers, p->number, p) != 0) {
            free(p);
            p = NULL;
        }
    }
    return p;
}

void peer_open(struct lane *l, int fd, const struct sockaddr_storage *from)
{
    struct limit_address address;
    struct peer *p;
    int against;

    limit_address_of((const struct sockaddr *)from, &address);
    against = limits_enter(l->o.limits, &address);
    if (against != 0) {
        stat_add_by(l->o.stats, STAT_gateway_connections_refused, (unsigned)against - 1, 1);
        close(fd);
        return;
    }
    p = peer_new(l, fd, from);
    if (!p) {
        limits_leave(l->o.limits, &address, false);
        stat_add_by(l->o.stats, STAT_gateway_connections_refused, REFUSAL_MEMORY, 1);
        close(fd);
        return;
    }
    p->is_watched =
        ssh_open(p) && ssh_get_fd(p->ssh) == fd && loop_fd_add(l->loop, fd, EPOLLIN, on_events, p, NULL) == 0;
    if (p->is_watched) {
        p->epoll = EPOLLIN;
        lane_put(&l->dirty, p);
    } else {
        peer_close(p, END_BROKEN);
    }
}

struct peer *peer_find(struct lane *l, uint64_t number)
{
    return (struct peer *)hashmap_get(&l->peers, number, NULL, NULL);
}
