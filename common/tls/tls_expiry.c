/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/tls/tls_expiry.h"

#include <stdio.h>

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/err.h"
#include "common/os/clock.h"
#include "common/os/stat.h"
#include "common/tls/certificate.h"

void tls_expiry_explain(const struct tls_files *f, char *out, size_t size)
{
    int64_t end_us = 0;
    char date[CLOCK_TEXT_SIZE];

    out[0] = 0;
    if (!f->on || !f->certificate_file || !f->certificate_file[0]) {
        return;
    }
    if (certificate_file_end(f->certificate_file, false, &end_us, NULL)) {
        snprintf(out, size, "; our certificate %s can't be read", f->certificate_file);
        return;
    }
    if (end_us <= clock_wall_us()) {
        clock_format(end_us, date);
        snprintf(out, size, "; our certificate %s ended on %.10s", f->certificate_file, date);
    } else if (certificate_file_verify(f->certificate_file, f->ca_file, NULL) == POFR_EREFUSED) { /* may be meant so */
        snprintf(out, size, "; our certificate %s is of no CA in ca_file", f->certificate_file);
    }
}

static void write_one(const struct tls_use *use, const char *file, const char *path, bool latest, struct buf *out)
{
    int64_t end_us = 0;

    if (!path || !path[0]) {
        return;
    }
    POFR_IGNORE(certificate_file_end(path, latest, &end_us, NULL)); /* 0 is what is to be shown then */
    buf_printf(out, "pofr_certificate_expiry_timestamp_seconds{use=\"%s\",file=\"%s\"} %lld\n", use->name, file,
               (long long)(end_us / CLOCK_US_PER_S));
}

void tls_expiry_write(const struct tls_use *uses, size_t count, struct buf *out)
{
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        const struct tls_files *f = uses[i].files;

        if (!f->on) {
            continue;
        }
        if (!any) {
            stat_write_head(out, "pofr_certificate_expiry_timestamp_seconds", STAT_TYPE_GAUGE, "seconds",
                            "When the certificates end that connections rest on; 0: a file can't be read.");
            any = true;
        }
        write_one(&uses[i], "certificate", f->certificate_file, false, out);
        write_one(&uses[i], "ca", f->ca_file, true, out);
    }
}
