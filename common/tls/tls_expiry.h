/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tls_expiry.h -- until when the certificates are good that a program's connections rest on, as a metric.
 *
 *   pofr_certificate_expiry_timestamp_seconds{use="kafka",file="certificate"} 1826000000
 *
 * use: the section of the configuration; file: certificate (our own, with those that it sends along: the first end) or ca
 * (the last end of those that we trust). 0 where the file can't be read: an alarm that waits for an end goes off then, too.
 * Connections without tls have no line.
 */
#pragma once

#include <stddef.h>

#include "common/tls/tls_files.h"

struct buf;

struct tls_use {
    const char *name; /* "kafka" */
    const struct tls_files *files;
};

/*
 * A server that does not accept our certificate breaks the connection off, as any failure does. For the text of such an
 * error: "; our certificate FILE ended on 2026-11-23", "… is of no CA in ca_file", "… can't be read"; "" where it is good or
 * there is none.
 */
void tls_expiry_explain(const struct tls_files *f, char *out, size_t size);

/* Read the files and append the family to out; nothing where no connection has tls. Any thread. */
void tls_expiry_write(const struct tls_use *uses, size_t count, struct buf *out);
