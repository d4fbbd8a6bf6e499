/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What SSH offers beyond one Ed25519 login and one channel with one subsystem is refused and counted here.
 * All of these run inside of libssh: nothing may be closed or written in them.
 *
 * What has no callback of its own in libssh (keyboard-interactive, other channels, global requests) comes to
 * on_message(): without it, it would be denied without our knowing, as often as a peer likes.
 */
#include "gateway/lane_parts.h"

#include <string.h>

#include "common/base/base64.h"
#include "common/base/cursor.h"
#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/log.h"
#include "gateway/auth.h"

#define DENIALS_MAX  3
#define REFUSALS_MAX 16
#define UNREAD_MAX   2700000u /* libssh's window, twice, as it grants another before that is read: more ignores it */

static const enum handshake handshake_of[] = {
    [SESSION_ENROL] = HANDSHAKE_ENROL,
    [SESSION_UNKNOWN] = HANDSHAKE_UNKNOWN,
    [SESSION_HOST] = HANDSHAKE_HOST,
    [SESSION_REFUSED] = HANDSHAKE_REFUSED,
};

static int deny(struct peer *p, enum denial why)
{
    stat_add_by(p->lane->o.stats, STAT_gateway_logins_denied, why, 1);
    if (++p->denials >= DENIALS_MAX) {
        peer_break(p);
    }
    return SSH_AUTH_DENIED;
}

static void refuse(struct peer *p, enum request_refused what)
{
    stat_add_by(p->lane->o.stats, STAT_gateway_requests_refused, what, 1);
    if (++p->refusals >= REFUSALS_MAX) {
        peer_break(p);
    }
}

/* --- login -------------------------------------------------------------------------------------------- */

/* The 32 bytes, out of the blob: string "ssh-ed25519", string key. */
static int key_bytes(ssh_key key, uint8_t out[32])
{
    struct buf blob = BUF_INIT(128);
    struct slice type, bytes;
    struct cursor c;
    char *text = NULL;
    int rc = POFR_EFORMAT;

    if (ssh_key_type(key) != SSH_KEYTYPE_ED25519 || ssh_pki_export_pubkey_base64(key, &text) != SSH_OK) {
        return POFR_EFORMAT;
    }
    if (base64_decode(slice_str(text), false, &blob) == 0) {
        c = cursor_of(buf_slice(&blob));
        type = cursor_str32be(&c, 32);
        bytes = cursor_str32be(&c, 32);
        if (cursor_done(&c) == 0 && slice_eq_str(type, "ssh-ed25519") && bytes.len == 32) {
            memcpy(out, bytes.data, 32);
            rc = 0;
        }
    }
    buf_free(&blob);
    ssh_string_free_char(text);
    return rc;
}

static void log_denied(const struct peer *p, const char *user, const char *reason)
{
    char clean[128];

    log_warn("auth", "denied", "peer=%s user=\"%s\" reason=%s", p->text,
             log_escape(slice_str(user), clean, sizeof(clean)), reason);
}

/* Called for the offer of a key, and again for the signature; only the second lets it in. */
static int on_key(ssh_session ssh, const char *user, struct ssh_key_struct *key, char state, void *arg)
{
    static const char *const reasons[] = { "method", "key_type", "user", "other_host", "signature" };
    struct peer *p = (struct peer *)arg;
    struct session_identity who;
    uint8_t bytes[32];
    int against;

    (void)ssh;
    if (p->is_broken || p->authenticated) {
        return SSH_AUTH_DENIED;
    }
    if (key_bytes(key, bytes) != 0) {
        return deny(p, DENIAL_KEY_TYPE);
    }
    if (state != SSH_PUBLICKEY_STATE_NONE && state != SSH_PUBLICKEY_STATE_VALID) {
        return deny(p, DENIAL_SIGNATURE);
    }
    against = auth_judge(p->lane->o.keys, user ? user : "", bytes, clock_wall_us(), &who);
    if (against != 0) {
        log_denied(p, user ? user : "", reasons[against - 1]);
        return deny(p, (enum denial)(against - 1));
    }
    if (state == SSH_PUBLICKEY_STATE_VALID) {
        p->who = who;
        p->authenticated = true;
        stat_add_by(p->lane->o.stats, STAT_gateway_handshakes, handshake_of[who.role], 1);
        if (who.role == SESSION_HOST) {
            peer_set_known(p);
        }
    }
    return SSH_AUTH_SUCCESS;
}

static int on_none(ssh_session ssh, const char *user, void *arg)
{
    (void)ssh;
    (void)user;
    return deny((struct peer *)arg, DENIAL_METHOD);
}

static int on_password(ssh_session ssh, const char *user, const char *password, void *arg)
{
    (void)ssh;
    (void)user;
    (void)password;
    return deny((struct peer *)arg, DENIAL_METHOD);
}

static ssh_string on_gssapi(ssh_session ssh, const char *user, int n, ssh_string *oids, void *arg)
{
    (void)ssh;
    (void)user;
    (void)n;
    (void)oids;
    (void)deny((struct peer *)arg, DENIAL_METHOD); /* NULL is the refusal */
    return NULL;
}

/* 1: libssh answers as it does by default, which is its refusal. */
static int on_message(ssh_session ssh, ssh_message m, void *arg)
{
    struct peer *p = (struct peer *)arg;

    (void)ssh;
    switch (ssh_message_type(m)) {
    case SSH_REQUEST_AUTH:
        (void)deny(p, DENIAL_METHOD); /* 1 is the refusal */
        break;
    case SSH_REQUEST_SERVICE: /* libssh's answer to this one is yes, as the protocol wants it */
        break;
    case SSH_REQUEST_CHANNEL_OPEN:
        refuse(p, REQUEST_CHANNEL);
        break;
    case SSH_REQUEST_GLOBAL:
        refuse(p, REQUEST_GLOBAL);
        break;
    default:
        refuse(p, REQUEST_OTHER);
        break;
    }
    return 1;
}

/* --- the channel -------------------------------------------------------------------------------------- */

static void log_opened(const struct peer *p)
{
    static const char *const roles[] = { "enrol", "unknown", "host", "refused" };
    char host[UUID_TEXT_SIZE] = "";

    log_info("session", "opened", "peer=%s host=%s as=%s", p->text,
             p->who.role == SESSION_ENROL ? "" : uuid_format(&p->who.host, host), roles[p->who.role]);
}

static int on_subsystem(ssh_session ssh, ssh_channel channel, const char *name, void *arg)
{
    struct peer *p = (struct peer *)arg;

    (void)ssh;
    (void)channel;
    if (p->is_broken || p->session || strcmp(name, MESSAGE_SUBSYSTEM) != 0) {
        refuse(p, REQUEST_SUBSYSTEM);
        return 1;
    }
    if (session_new(&p->lane->env, &p->who, p, &p->session) != 0) {
        peer_break(p);
        return 1;
    }
    log_opened(p);
    lane_put(&p->lane->dirty, p);
    return 0;
}

static int on_exec(ssh_session ssh, ssh_channel channel, const char *command, void *arg)
{
    (void)ssh;
    (void)channel;
    (void)command;
    refuse((struct peer *)arg, REQUEST_EXEC);
    return 1;
}

static int on_shell(ssh_session ssh, ssh_channel channel, void *arg)
{
    (void)ssh;
    (void)channel;
    refuse((struct peer *)arg, REQUEST_SHELL);
    return 1;
}

static int on_pty(ssh_session ssh, ssh_channel channel, const char *term, int width, int height, int pxwidth,
                  int pxheight, void *arg)
{
    (void)ssh;
    (void)channel;
    (void)term;
    (void)width;
    (void)height;
    (void)pxwidth;
    (void)pxheight;
    refuse((struct peer *)arg, REQUEST_PTY);
    return -1;
}

static int on_env(ssh_session ssh, ssh_channel channel, const char *name, const char *value, void *arg)
{
    (void)ssh;
    (void)channel;
    (void)name;
    (void)value;
    refuse((struct peer *)arg, REQUEST_ENV);
    return 1;
}

static int on_data(ssh_session ssh, ssh_channel channel, void *data, uint32_t len, int is_stderr, void *arg)
{
    struct peer *p = (struct peer *)arg;
    size_t taken = 0;

    (void)ssh;
    (void)channel;
    if (is_stderr || len > UNREAD_MAX || !p->session) { /* what nobody asked for, or more than the window */
        peer_break(p);
        return 0;
    }
    if (session_is_over(p->session)) {
        taken = len; /* dropped: what is behind them, its EOF, is waited for */
    } else if (!p->deaf && !p->is_broken) {
        taken = session_input(p->session, slice_of(data, len));
    }
    if (taken > 0) {
        peer_guard_useful(p);
    }
    lane_put(&p->lane->dirty, p);
    p->stalled = taken < len;
    return (int)taken;
}

static void on_eof(ssh_session ssh, ssh_channel channel, void *arg)
{
    struct peer *p = (struct peer *)arg;

    (void)ssh;
    (void)channel;
    p->is_eof = true;
    lane_put(&p->lane->dirty, p);
}

static ssh_channel on_channel(ssh_session ssh, void *arg)
{
    struct peer *p = (struct peer *)arg;
    ssh_channel channel = NULL;

    if (p->is_broken || !p->authenticated || p->channel || (channel = ssh_channel_new(ssh)) == NULL) {
        refuse(p, REQUEST_CHANNEL);
        return NULL;
    }
    p->channel = channel;
    p->channel_callbacks.userdata = p;
    p->channel_callbacks.channel_data_function = on_data;
    p->channel_callbacks.channel_eof_function = on_eof;
    p->channel_callbacks.channel_close_function = on_eof;
    p->channel_callbacks.channel_subsystem_request_function = on_subsystem;
    p->channel_callbacks.channel_exec_request_function = on_exec;
    p->channel_callbacks.channel_shell_request_function = on_shell;
    p->channel_callbacks.channel_pty_request_function = on_pty;
    p->channel_callbacks.channel_env_request_function = on_env;
    ssh_callbacks_init(&p->channel_callbacks);
    if (ssh_set_channel_callbacks(channel, &p->channel_callbacks) != SSH_OK) {
        peer_break(p);
    }
    return channel;
}

void peer_set_callbacks(struct peer *p)
{
    p->server_callbacks.userdata = p;
    p->server_callbacks.auth_pubkey_function = on_key;
    p->server_callbacks.auth_none_function = on_none;
    p->server_callbacks.auth_password_function = on_password;
    p->server_callbacks.gssapi_select_oid_function = on_gssapi;
    p->server_callbacks.channel_open_request_session_function = on_channel;
    ssh_callbacks_init(&p->server_callbacks);
    ssh_set_server_callbacks(p->ssh, &p->server_callbacks);
    ssh_set_message_callback(p->ssh, on_message, p);
    ssh_set_auth_methods(p->ssh, SSH_AUTH_METHOD_PUBLICKEY);
}
