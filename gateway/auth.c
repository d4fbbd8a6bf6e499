/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/auth.h"

#include <string.h>

#include "common/catalog/keys.h"

static void refuse(struct session_identity *who, enum message_refuse code, const char *reason)
{
    who->role = SESSION_REFUSED;
    who->refuse = code;
    who->reason = reason;
}

/* The key is known and the host is its. */
static void judge_host(const struct keys_key *key, const struct keys_host *host, int64_t now_wall_us,
                       struct session_identity *who)
{
    who->host_id = host->host_id;
    who->slot = host->slot;
    if (host->state == KEYS_RETIRED || host->state == KEYS_ERASED) {
        refuse(who, MESSAGE_REFUSE_REVOKED, "this host was retired");
    } else if (key->valid_to_us <= now_wall_us) { /* from: the catalog's clock may be ahead of ours */
        refuse(who, MESSAGE_REFUSE_REVOKED, "this key has ended");
    } else if (host->state == KEYS_PENDING) {
        refuse(who, MESSAGE_REFUSE_PENDING, "the enrolment waits for approval");
    } else {
        who->role = SESSION_HOST;
    }
}

int auth_judge(const struct keys *keys, const char *user, const uint8_t key[32], int64_t now_wall_us,
               struct session_identity *out)
{
    struct session_identity who;
    struct keys_key known;
    struct keys_host host;

    memset(&who, 0, sizeof(who));
    memcpy(who.key, key, sizeof(who.key));
    if (strcmp(user, MESSAGE_ENROL_USER) == 0) {
        who.role = SESSION_ENROL;
        *out = who;
        return 0;
    }
    if (uuid_parse(slice_str(user), &who.host) != 0) {
        return DENIAL_USER + 1;
    }
    if (keys_key(keys, key, &known, &host) != 0) {
        who.role = SESSION_UNKNOWN;
    } else if (!uuid_eq(&host.uuid, &who.host)) {
        return DENIAL_OTHER_HOST + 1;
    } else {
        judge_host(&known, &host, now_wall_us, &who);
    }
    *out = who;
    return 0;
}

void auth_judge_again(const struct keys *keys, const struct session_identity *was, int64_t now_wall_us,
                      struct session_identity *out)
{
    struct session_identity who = *was;
    struct keys_key known;
    struct keys_host host;

    if (keys_key(keys, was->key, &known, &host) != 0 || !uuid_eq(&host.uuid, &was->host)) {
        refuse(&who, MESSAGE_REFUSE_REVOKED, "the key is not known here");
    } else {
        judge_host(&known, &host, now_wall_us, &who);
    }
    *out = who;
}
