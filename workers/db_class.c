/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "workers/db_class.h"

#include <stddef.h>

#include "common/base/compiler.h"

/* Numbers of mysqld_error.h and errmsg.h. */
static const struct {
    unsigned error;
    enum db_class class;
} classes[] = {
    { 1020, DB_CLASS_RETRY },    /* record has changed since last read */
    { 1205, DB_CLASS_RETRY },    /* lock wait timeout */
    { 1213, DB_CLASS_RETRY },    /* deadlock */
    { 1021, DB_CLASS_RETRY },    /* disk full */
    { 1114, DB_CLASS_RETRY },    /* table full: no room on the disk */
    { 1026, DB_CLASS_RETRY },    /* error writing file */
    { 3, DB_CLASS_RETRY },       /* the same, from the file layer (EE_WRITE) */
    { 28, DB_CLASS_RETRY },      /* no space left on device */
    { 1030, DB_CLASS_RETRY },    /* error from the storage engine, of which disk full is one */
    { 1037, DB_CLASS_RETRY },    /* out of memory */
    { 1038, DB_CLASS_RETRY },    /* out of sort memory */
    { 1040, DB_CLASS_RETRY },    /* too many connections */
    { 1203, DB_CLASS_RETRY },    /* too many of this user */
    { 1053, DB_CLASS_RETRY },    /* server shutdown in progress */
    { 1158, DB_CLASS_RETRY },    /* net: read error, */
    { 1159, DB_CLASS_RETRY },    /* read timeout, */
    { 1160, DB_CLASS_RETRY },    /* write error, */
    { 1161, DB_CLASS_RETRY },    /* write timeout */
    { 1180, DB_CLASS_RETRY },    /* error during COMMIT */
    { 1290, DB_CLASS_RETRY },    /* read only */
    { 1317, DB_CLASS_RETRY },    /* query was interrupted */
    { 1461, DB_CLASS_RETRY },    /* too many prepared statements */
    { 1615, DB_CLASS_RETRY },    /* a prepared statement's table changed again and again */
    { 1792, DB_CLASS_RETRY },    /* read only transaction */
    { 1927, DB_CLASS_RETRY },    /* connection was killed */
    { 1969, DB_CLASS_RETRY },    /* max_statement_time exceeded */
    { 1970, DB_CLASS_RETRY },    /* no connection to data source */
    { 4030, DB_CLASS_RETRY },    /* idle_transaction_timeout: we were stopped */
    { 2002, DB_CLASS_RETRY },    /* can't connect: socket, */
    { 2003, DB_CLASS_RETRY },    /* host, */
    { 2005, DB_CLASS_RETRY },    /* name */
    { 2006, DB_CLASS_RETRY },    /* server has gone away */
    { 2012, DB_CLASS_RETRY },    /* handshake error */
    { 2013, DB_CLASS_RETRY },    /* lost connection during query */
    { 2014, DB_CLASS_RETRY },    /* commands out of sync: of this connection nothing is to be expected */
    { 2026, DB_CLASS_RETRY },    /* TLS error */
    { 2055, DB_CLASS_RETRY },    /* lost connection, with details */
    { 1062, DB_CLASS_CONFLICT }, /* duplicate entry */
    { 1022, DB_CLASS_CONFLICT }, /* duplicate key on write */
    { 1048, DB_CLASS_REFUSED },  /* column can't be NULL */
    { 1064, DB_CLASS_BROKEN },   /* syntax: ours */
    { 1153, DB_CLASS_REFUSED },  /* packet larger than max_allowed_packet */
    { 1264, DB_CLASS_REFUSED },  /* out of range */
    { 1265, DB_CLASS_REFUSED },  /* data truncated */
    { 1292, DB_CLASS_REFUSED },  /* incorrect value */
    { 1366, DB_CLASS_REFUSED },  /* incorrect string or number */
    { 1406, DB_CLASS_REFUSED },  /* data too long */
    { 1411, DB_CLASS_REFUSED },  /* incorrect value for function */
    { 1526, DB_CLASS_BROKEN },   /* no partition for the value */
    { 1690, DB_CLASS_REFUSED },  /* BIGINT out of range */
    { 1044, DB_CLASS_BROKEN },   /* access denied: database, */
    { 1045, DB_CLASS_BROKEN },   /* user, */
    { 1698, DB_CLASS_BROKEN },   /* without password, */
    { 1142, DB_CLASS_BROKEN },   /* table, */
    { 1143, DB_CLASS_BROKEN },   /* column, */
    { 1227, DB_CLASS_BROKEN },   /* privilege */
    { 1049, DB_CLASS_BROKEN },   /* no such database, */
    { 1054, DB_CLASS_BROKEN },   /* column, */
    { 1146, DB_CLASS_BROKEN },   /* table, */
    { 1932, DB_CLASS_BROKEN },   /* or only half of it */
    { 1136, DB_CLASS_BROKEN },   /* column count does not match */
    { 1364, DB_CLASS_BROKEN },   /* column without default: a schema that is newer than we are */
};

enum db_class db_class_of(unsigned error)
{
    for (size_t i = 0; i < pofr_countof(classes); i++) {
        if (classes[i].error == error) {
            return classes[i].class;
        }
    }
    return error == 0 ? DB_CLASS_REFUSED : DB_CLASS_UNKNOWN;
}

const char *db_class_word(enum db_class c)
{
    static const char *const words[] = { "retry", "conflict", "refused", "broken", "unknown" };

    return words[c];
}
