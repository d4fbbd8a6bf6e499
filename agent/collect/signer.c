/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/signer.h"

#include "common/base/cursor.h"
#include "common/evidence/sshsig.h"

#define USERAUTH_REQUEST 50
#define SESSION_MIN      20
#define SESSION_MAX      64
#define PACE_US          INT64_C(1000000)

bool signer_accepts(struct slice blob, const struct uuid *host, const uint8_t public_key[32])
{
    struct cursor c = cursor_of(blob);
    char user[UUID_TEXT_SIZE];
    uint8_t key[51];
    struct slice session = cursor_str32be(&c, SESSION_MAX);
    uint8_t type = cursor_u8(&c);
    struct slice name = cursor_str32be(&c, 64);
    struct slice service = cursor_str32be(&c, 64);
    struct slice method = cursor_str32be(&c, 64);
    uint8_t has_signature = cursor_u8(&c);
    struct slice algorithm = cursor_str32be(&c, 64);
    struct slice named_key = cursor_str32be(&c, sizeof(key));

    sshkey_public_blob(public_key, key);
    return cursor_done(&c) == 0 && session.len >= SESSION_MIN && type == USERAUTH_REQUEST &&
           slice_eq_str(name, uuid_format(host, user)) && slice_eq_str(service, "ssh-connection") &&
           slice_eq_str(method, "publickey") && has_signature == 1 && slice_eq_str(algorithm, "ssh-ed25519") &&
           slice_eq(named_key, slice_of(key, sizeof(key)));
}

uint64_t signer_wait_ms(struct signer_pace *p, int64_t now_us)
{
    if (p->any && now_us - p->last_us < PACE_US) {
        return (uint64_t)(PACE_US - (now_us - p->last_us) + 999) / 1000;
    }
    p->any = true;
    p->last_us = now_us;
    return 0;
}
