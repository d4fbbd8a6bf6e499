/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes off the wire can be put on it again, and is then the same message. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/record/limits.h"
#include "common/wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct message *m)
{
    struct buf a = BUF_INIT(MESSAGE_MAX + 4), b = BUF_INIT(MESSAGE_MAX + 4);
    struct message back;
    size_t used = 0;
    int rc = message_put(m, &a);

    assert(rc == 0);
    rc = message_get(buf_slice(&a), MESSAGE_MAX, &back, &used);
    assert(rc == 1 && used == a.len);
    rc = message_put(&back, &b);
    assert(rc == 0 && slice_eq(buf_slice(&a), buf_slice(&b)));
    buf_free(&a);
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    struct message m;
    size_t used = 0;
    int rc;

    while ((rc = message_get(in, MESSAGE_MAX, &m, &used)) == 1) {
        assert(used >= MESSAGE_HEADER && used <= in.len);
        again(&m);
        in = slice_sub(in, used, SIZE_MAX);
    }
    assert(rc == 0 ? used > in.len : rc == POFR_EFORMAT || rc == POFR_ETOOBIG || rc == POFR_EUNSUPPORTED);
    return 0;
}
