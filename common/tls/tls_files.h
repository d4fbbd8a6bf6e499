/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tls_files.h -- how a connection inside the cluster is protected: the options of a section, and the files they name.
 *
 * The peer must show a certificate that ca_file vouches for and that names the address that was asked for. There is no
 * option to leave either out. Files are read anew for every new connection (MariaDB) or client (Kafka).
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "common/base/compiler.h"
#include "common/os/conf.h"

struct pofr_err;

struct tls_files { /* all zero: no TLS */
    bool on;
    const char *ca_file;
    const char *certificate_file; /* "": none is shown */
    const char *key_file;         /* "": it stands in certificate_file */
};

/* Of a program's option table; field is a struct tls_files of its struct. */
#define TLS_OPTIONS(type, field)                                                                                       \
    CONF_BOOL(type, field.on, "tls", "no", 0,                                                                          \
              "Whether connections are encrypted, and the server must prove by a certificate that it is at the "       \
              "address that was asked for."),                                                                          \
        CONF_PATH(type, field.ca_file, "ca_file", "/etc/pofr/tls/ca.crt", CONF_NONEMPTY,                               \
                  "With tls: the certificates of the CAs that may vouch for the server."),                             \
        CONF_SECRET_FILE(type, field.certificate_file, "certificate_file", "", 0,                                      \
                         "With tls: our own certificate, where the server asks for one; others that stand between it " \
                         "and the CA behind it. Empty: none. A new one is taken without a restart."),                  \
        CONF_SECRET_FILE(type, field.key_file, "key_file", "", 0, "Its key. Empty: it is in certificate_file.")

struct tls_paths { /* "" where there is none */
    char ca[PATH_MAX];
    char certificate[PATH_MAX];
    char key[PATH_MAX];
};

/*
 * Where the files are, once they are seen to be there and the key to be readable by its owner and group alone.
 * POFR_ENOTFOUND, POFR_EPERMISSION. All "" where f->on is false.
 */
POFR_MUST_USE int tls_files_find(const struct tls_files *f, struct tls_paths *out, struct pofr_err *err);

/* Whether the files have changed since they were looked at last. */
struct tls_watch {
    struct tls_mark {
        dev_t device;
        ino_t inode;
        off_t size;
        struct timespec changed;
    } marks[3];
};

/* What is there now counts as known. */
void tls_watch_init(struct tls_watch *w, const struct tls_files *f);
/* True once per change; never where one of the files is not there, as while it is being replaced. */
bool tls_watch_changed(struct tls_watch *w, const struct tls_files *f);
