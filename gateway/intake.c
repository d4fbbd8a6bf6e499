/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/intake.h"

#include <string.h>

#include "common/base/err.h"
#include "common/base/sha256.h"
#include "common/catalog/keys.h"
#include "common/evidence/bundle.h"

static int refuse(struct intake *in, enum message_refuse code, const char *reason)
{
    in->refuse = code;
    in->reason = reason;
    return 0;
}

/* Has the host this key, or had it? Its bundles may have waited in the spool since before the key's end. */
static bool is_key_of(const struct keys *keys, const struct uuid *host, const uint8_t public_key[32])
{
    struct keys_host owner;

    return keys_key(keys, public_key, NULL, &owner) == 0 && uuid_eq(&owner.uuid, host);
}

static int check_view(const struct bundle_view *view, uint64_t sequence, const struct uuid *host,
                      const struct keys *keys, struct intake *in)
{
    const struct statement *s = &view->statement;
    int rc;

    in->readable = true;
    in->sequence = s->sequence;
    in->boot = s->boot;
    memcpy(in->digest, view->statement_digest, sizeof(in->digest));
    memcpy(in->previous, s->previous, sizeof(in->previous));
    if (!uuid_eq(&s->host, host)) {
        return refuse(in, MESSAGE_REFUSE_HOST, "the statement names another host");
    }
    if (s->sequence != sequence) {
        return refuse(in, MESSAGE_REFUSE_STATEMENT, "the statement names another sequence than the message");
    }
    if (!is_key_of(keys, host, view->public_key)) {
        return refuse(in, MESSAGE_REFUSE_SIGNATURE, "signed by a key that is not the host's");
    }
    rc = bundle_verify(view, view->public_key);
    if (rc == POFR_ESIGNATURE) {
        return refuse(in, MESSAGE_REFUSE_SIGNATURE, "the signature does not verify");
    }
    return rc;
}

int intake_check(struct slice block, uint64_t sequence, const struct uuid *host, uint64_t bundle_max,
                 const struct keys *keys, struct intake *out)
{
    struct intake in;
    struct bundle_view view;
    int rc;

    memset(&in, 0, sizeof(in));
    if (block.len > bundle_max) {
        rc = sha256(block, in.digest);
        (void)refuse(&in, MESSAGE_REFUSE_SIZE, "larger than this gateway takes"); /* always 0 */
    } else {
        rc = bundle_open(block, &view, NULL);
        if (rc == 0) {
            rc = check_view(&view, sequence, host, keys, &in);
        } else if (pofr_err_class(rc) == POFR_CLASS_POISON) {
            (void)refuse(&in, MESSAGE_REFUSE_STATEMENT, /* always 0 */
                         rc == POFR_EUNSUPPORTED ? "a version that this gateway does not know"
                                                 : "the bundle can't be read");
            rc = sha256(block, in.digest);
        }
    }
    if (rc == 0) {
        *out = in;
    }
    return rc;
}
