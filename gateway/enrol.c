/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/enrol.h"

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/base/sha256.h"
#include "common/wire/token.h"

#define RETRY_MS 60000u

static void clean(struct slice from, char *to, size_t size)
{
    size_t i, n = from.len < size - 1 ? from.len : size - 1;

    for (i = 0; i < n; i++) {
        to[i] = (char)(from.data[i] >= 0x20 && from.data[i] < 0x7f ? from.data[i] : '?');
    }
    to[n] = '\0';
}

int enrol_facts_of(const struct message *m, const char *peer, struct enrol_facts *out)
{
    struct enrol_facts f;
    int rc;

    memset(&f, 0, sizeof(f));
    if (m->enrol.public_key.len != sizeof(f.public_key)) {
        return POFR_EFORMAT;
    }
    memcpy(f.public_key, m->enrol.public_key.data, sizeof(f.public_key));
    rc = token_hash(m->enrol.token, f.token_hash);
    if (rc == 0) {
        rc = sha256(m->enrol.public_key, f.key_id);
    }
    if (rc != 0) {
        return rc;
    }
    clean(m->enrol.hostname, f.hostname, sizeof(f.hostname));
    clean(m->enrol.machine_id, f.machine_id, sizeof(f.machine_id));
    clean(m->enrol.os, f.os, sizeof(f.os));
    clean(m->enrol.kernel, f.kernel, sizeof(f.kernel));
    clean(m->enrol.agent_version, f.agent_version, sizeof(f.agent_version));
    clean(slice_str(peer), f.peer, sizeof(f.peer));
    *out = f;
    return 0;
}

static void refuse(struct message *out, enum message_refuse code, const char *reason)
{
    out->type = MESSAGE_REFUSE;
    out->refuse.code = code;
    out->refuse.reason = slice_str(reason);
    out->refuse.retry_ms = RETRY_MS;
}

void enrol_answer(const struct enrol_result *r, struct message *out)
{
    memset(out, 0, sizeof(*out));
    switch (r->what) {
    case ENROLMENT_NEW:
    case ENROLMENT_AGAIN:
        if (r->ended) {
            refuse(out, MESSAGE_REFUSE_REVOKED, "this host was retired");
            return;
        }
        out->type = MESSAGE_ENROLLED;
        out->enrolled.version = MESSAGE_VERSION;
        out->enrolled.host = r->host;
        out->enrolled.name = slice_str(r->name);
        out->enrolled.approved = !r->pending;
        break;
    case ENROLMENT_TOKEN:
    case ENROLMENT_MALFORMED:
        refuse(out, MESSAGE_REFUSE_TOKEN, "the token is unknown, used up, expired or not for this host");
        break;
    case ENROLMENT_KEY:
        refuse(out, MESSAGE_REFUSE_TOKEN, "this key was enrolled with another token");
        break;
    case ENROLMENT_UNAVAILABLE:
        refuse(out, MESSAGE_REFUSE_UNAVAILABLE, "the catalog can't be reached");
        break;
    }
}
