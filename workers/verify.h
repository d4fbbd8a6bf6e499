/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verify.h -- is this message what its host signed, in its host's slot, by a key that was valid when Kafka got it?
 * (CORRECTNESS 6.7: a worker believes no gateway.)
 */
#pragma once

#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/catalog/keys.h"
#include "common/evidence/bundle.h"
#include "workers/message.h"

enum verdict_kind {
    VERDICT_GOOD,
    VERDICT_ASIDE, /* set aside for the reason */
    VERDICT_DROP,  /* its host was erased */
    VERDICT_WAIT,  /* the catalog has to be asked, and does not answer */
};

/* The words of set_aside.reason; the same words are labels of metrics. */
#define REASONS(REASON)                                                                                                \
    REASON(FORM, "form")               /* no bundle, or one that contradicts itself */                                 \
    REASON(VERSION, "version")         /* of a later version */                                                        \
    REASON(IDENTITY, "identity")       /* Kafka's key names another host than the statement */                         \
    REASON(UNKNOWN_KEY, "unknown_key") /* the catalog knows neither host nor key, or the key is another host's */      \
    REASON(REVOKED, "revoked")         /* appended after the key's end */                                              \
    REASON(SLOT, "slot")               /* not in the host's slot */                                                    \
    REASON(SIGNATURE, "signature")                                                                                     \
    REASON(CONFLICT, "conflict")         /* contradicts rows that are there (1062) */                                  \
    REASON(REFUSED, "refused")           /* the shard refuses its values */                                            \
    REASON(UNKNOWN_KIND, "unknown_kind") /* stored, but it holds records of a later version */

enum reason {
#define REASON(name, word) REASON_##name,
    REASONS(REASON)
#undef REASON
    REASON_END
};
const char *reason_word(enum reason r);

struct verdict {
    enum verdict_kind kind;
    enum reason reason;      /* ASIDE */
    bool signed_by_host;     /* view.statement is the host's word: its counts may be believed */
    struct bundle_view view; /* GOOD, and ASIDE where signed_by_host */
    bool host_known;
    struct keys_host host;
    char detail[240];
};

void verify_message(struct keys *k, const struct message *m, struct verdict *out);
