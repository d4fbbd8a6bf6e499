/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/db/db_parts.h"

#include <mysql.h>

#include "common/base/err.h"
#include "common/db/db.h"

int db_set_tls(struct st_mysql *mysql, const struct db_address *a, struct pofr_err *err)
{
    my_bool on = a->tls.on && !(a->socket && a->socket[0]);
    struct tls_paths paths;
    int code = on ? tls_files_find(&a->tls, &paths, err) : 0;

    if (code) {
        return code;
    }
    if (mysql_optionsv(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &on) ||
        mysql_optionsv(mysql, MYSQL_OPT_SSL_ENFORCE, &on)) {
        return pofr_err_set(err, POFR_ECONFIG, "TLS of the database: the client library can't do it");
    }
    if (on && (mysql_optionsv(mysql, MYSQL_OPT_SSL_CA, paths.ca) ||
               (paths.certificate[0] && (mysql_optionsv(mysql, MYSQL_OPT_SSL_CERT, paths.certificate) ||
                                         mysql_optionsv(mysql, MYSQL_OPT_SSL_KEY, paths.key))) ||
               mysql_optionsv(mysql, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3"))) {
        return pofr_err_set(err, POFR_ECONFIG, "TLS of the database: the client library can't do it");
    }
    return 0;
}
