/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/verify.h"

#include <stdio.h>
#include <string.h>

#define CATALOG_SILENT_US                                                                                              \
    INT64_C(16000000) /* three refreshes failed: asking once more would only make all slots wait */

const char *reason_word(enum reason r)
{
    static const char *const words[] = {
#define REASON(name, word) word,
        REASONS(REASON)
#undef REASON
    };

    return r < REASON_END ? words[r] : "unknown";
}

static void aside(struct verdict *v, enum reason reason, const char *detail)
{
    v->kind = VERDICT_ASIDE;
    v->reason = reason;
    snprintf(v->detail, sizeof(v->detail), "%s", detail);
}

static bool catalog_is_silent(const struct keys *k)
{
    int64_t age = keys_age_us(k);

    return age < 0 || age > CATALOG_SILENT_US;
}

/* What the copy lacks is asked for: 0, POFR_ENOTFOUND, or that there is no answer. */
static int ask(struct keys *k, const struct uuid *host, const uint8_t *key)
{
    if (catalog_is_silent(k)) {
        return POFR_EDBBUSY;
    }
    return host ? keys_ask_host(k, host, NULL) : keys_ask_key(k, key, NULL);
}

/* false: decided. */
static bool find_host(struct keys *k, struct verdict *v)
{
    const struct uuid *uuid = &v->view.statement.host;
    int code = keys_host(k, uuid, &v->host);

    if (code) {
        code = ask(k, uuid, NULL);
        if (code == 0) {
            code = keys_host(k, uuid, &v->host);
        }
    }
    if (code == POFR_ENOTFOUND) {
        aside(v, REASON_UNKNOWN_KEY, "the catalog does not know the host");
    } else if (code) {
        v->kind = VERDICT_WAIT;
    } else {
        v->host_known = true;
    }
    return code == 0;
}

static bool find_key(struct keys *k, struct verdict *v, struct keys_key *key)
{
    struct keys_host owner;
    int code = keys_key(k, v->view.public_key, key, &owner);

    if (code) {
        code = ask(k, NULL, v->view.public_key);
        if (code == 0) {
            code = keys_key(k, v->view.public_key, key, &owner);
        }
    }
    if (code == POFR_ENOTFOUND) {
        aside(v, REASON_UNKNOWN_KEY, "the catalog does not know the key");
    } else if (code) {
        v->kind = VERDICT_WAIT;
    } else if (owner.host_id != v->host.host_id) {
        aside(v, REASON_UNKNOWN_KEY, "the key is another host's");
        return false;
    }
    return code == 0;
}

static bool names_host(struct slice message_key, const struct uuid *host)
{
    char text[UUID_TEXT_SIZE];

    return slice_eq_str(message_key, uuid_format(host, text));
}

void verify_message(struct keys *k, const struct message *m, struct verdict *v)
{
    struct pofr_err err = { 0 };
    struct keys_key key;
    int code;

    memset(v, 0, sizeof(*v));
    code = bundle_open(m->value, &v->view, &err);
    if (code) {
        aside(v, code == POFR_EUNSUPPORTED ? REASON_VERSION : REASON_FORM, err.text);
        return;
    }
    if (!names_host(m->key, &v->view.statement.host)) {
        aside(v, REASON_IDENTITY, "the message's key is not the host of its statement");
        return;
    }
    if (!find_host(k, v)) {
        return;
    }
    if (v->host.state == KEYS_ERASED) {
        v->kind = VERDICT_DROP;
        return;
    }
    if (!find_key(k, v, &key)) {
        return;
    }
    if (bundle_verify(&v->view, key.public_key) != 0) {
        aside(v, REASON_SIGNATURE, "the signature does not fit the statement");
        return;
    }
    if (v->host.slot != m->slot) {
        aside(v, REASON_SLOT, "not the host's slot");
    } else if (m->appended_us >= key.valid_to_us) {
        aside(v, REASON_REVOKED, "appended after the key was revoked");
    }
    v->signed_by_host = v->kind == VERDICT_GOOD;
}
