/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limits.h -- every size limit of the format, in one place. What is larger is cut and marked by the
 * collector; a reader refuses it.
 */
#pragma once

#define REC_ARGUMENTS_MAX (128u * 1024u)         /* of one process, in all */
#define REC_PATH_MAX      4096u                  /* a link's text, exe, cwd, cgroup */
#define REC_TEXT_MAX      4096u                  /* every text but arguments */
#define REC_BYTES_MAX     256u                   /* a field of bytes in place (type B) */
#define REC_STRING_MAX    (128u * 1024u)         /* any entry of a string table */
#define REC_STRINGS_MAX   262144u                /* entries of a bundle's string table */
#define REC_BODY_MAX      (160u * 1024u)         /* one record */
#define REC_RECORDS_MAX   1048576u               /* of one bundle */
#define REC_CLOSE_BYTES   (256u * 1024u)         /* a bundle closes when its payload reaches this, uncompressed */
#define REC_CLOSE_US      4000000u               /* ... or this age */
#define REC_CLOSE_TEXT    (16u * 1024u * 1024u)  /* ... or its records' texts, each as often as a record names it */
#define REC_TEXTS_MAX     (256u * 1024u * 1024u) /* the same, hard limit of a reader: what a string table can swell to */
#define REC_PAYLOAD_MAX   (8u * 1024u * 1024u)   /* uncompressed, hard limit of a reader */
#define BUNDLE_MAX        (9u * 1024u * 1024u)   /* statement, signature and compressed payload */
#define STATEMENT_MAX     8192u
#define MESSAGE_MAX       (BUNDLE_MAX + 4096u) /* one message on the wire */
