/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/db/db.h"

#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "tests/support/check.h"

/* The numbers that decide what happens to data; from MariaDB's mysqld_error.h and errmsg.h. */
static void errors_that_go_away_are_busy_and_others_are_not(void **state)
{
    static const unsigned busy[] = { 1205, 1213, 1020, 1290, 1114, 1021, 2002, 2003,
                                     2006, 2013, 1040, 1053, 1429, 1461, 1615 };
    static const unsigned refused[] = { 1062, 1264, 1366, 1406, 1048, 1064, 1146, 1054 };

    (void)state;
    for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++) {
        assert_int_equal(db_code_of(busy[i]), POFR_EDBBUSY);
        assert_int_equal(pofr_err_class(db_code_of(busy[i])), POFR_CLASS_RETRY);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_int_equal(db_code_of(refused[i]), POFR_EDBREFUSED);
    }
    assert_int_equal(db_code_of(1045), POFR_EPERMISSION);
}

static void a_server_that_is_not_there_is_busy(void **state)
{
    const struct db_address a = { .host = "127.0.0.1", .port = 1, .user = "nobody", .connect_timeout_s = 1 };
    struct pofr_err err = { 0 };
    struct db *db = NULL;

    (void)state;
    assert_int_equal(db_connect(&a, &db, &err), POFR_EDBBUSY);
    assert_null(db);
    assert_true(err.text[0] != 0);
}

/* --- a server that ends inside a result ----------------------------------------------------------------------- */

#define LITERAL(text)                                                                                                  \
    {                                                                                                                  \
        (const uint8_t *)(text), sizeof(text) - 1                                                                      \
    }

/* As much of the protocol as it takes to answer one statement with the first row of a result, and then with `then`. */
struct server {
    int fd;
    unsigned port;
    pthread_t thread;
    struct slice then; /* the packet in place of the second row; empty: the connection is closed */
};

static const struct slice greeting = LITERAL("\x0a"
                                             "10.11.0-MariaDB\0"
                                             "\1\0\0\0"
                                             "abcdefgh\0"
                                             "\x09\xa2" /* long password, with database, 4.1, transactions, secure */
                                             "\x2d\x02\0"
                                             "\x0e\0" /* multi results, those of statements too, plug-in's name */
                                             "\x15"
                                             "\0\0\0\0\0\0\0\0\0\0"
                                             "ijklmnopqrst\0"
                                             "mysql_native_password\0");
static const struct slice ok = LITERAL("\0\0\0\2\0\0\0");
static const struct slice prepared = LITERAL("\0\1\0\0\0\1\0\0\0\0\0\0");
static const struct slice one_column = LITERAL("\1");
static const struct slice column = LITERAL("\3def\0\0\0\1a\0\x0c\x3f\0\x40\0\0\0\xfd\0\0\0\0\0");
static const struct slice end_of_columns = LITERAL("\xfe\0\0\2\0");
static const struct slice row = LITERAL("\0\0\5hello");

static void put(struct buf *out, uint8_t *number, struct slice body)
{
    buf_u8(out, (uint8_t)body.len);
    buf_u8(out, 0);
    buf_u8(out, 0);
    buf_u8(out, (*number)++);
    buf_append(out, body);
}

/* The body's first byte, 0 for one that is empty; -1: the client is gone. */
static int next_packet(int fd, uint8_t *out_number)
{
    uint8_t head[4], body[65536];
    size_t len;

    if (recv(fd, head, sizeof(head), MSG_WAITALL) != (ssize_t)sizeof(head)) {
        return -1;
    }
    *out_number = (uint8_t)(head[3] + 1);
    len = head[0] | (size_t)head[1] << 8;
    if (len == 0 || recv(fd, body, len, MSG_WAITALL) != (ssize_t)len) {
        return len == 0 ? 0 : -1;
    }
    return body[0];
}

static void answer(const struct server *s, int command, uint8_t number, struct buf *out)
{
    switch (command) {
    case 0x16: /* prepare */
        put(out, &number, prepared);
        put(out, &number, column);
        put(out, &number, end_of_columns);
        break;
    case 0x17: /* execute */
        put(out, &number, one_column);
        put(out, &number, column);
        put(out, &number, end_of_columns);
        put(out, &number, row);
        if (s->then.len > 0) {
            put(out, &number, s->then);
        }
        break;
    case 0x19: /* close: no answer */
        break;
    default: /* the login; SET */
        put(out, &number, ok);
    }
}

static void *serve(void *arg)
{
    const struct server *s = arg;
    struct buf out = BUF_INIT(65536);
    int fd = accept(s->fd, NULL, NULL);
    uint8_t number = 0;
    int command = 0;

    put(&out, &number, greeting);
    while (command >= 0 && send(fd, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len) {
        if (command == 0x17 && s->then.len == 0) {
            break;
        }
        buf_reset(&out);
        command = next_packet(fd, &number);
        answer(s, command, number, &out);
    }
    buf_free(&out);
    close(fd);
    return NULL;
}

static void start(struct server *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);

    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(listen(s->fd, 1), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* The error of a statement whose result ends behind its first row. */
static int run_cut(struct server *s, struct pofr_err *err)
{
    struct db_address a = { .host = "127.0.0.1", .user = "nobody" };
    struct db_result *r = NULL;
    struct db *db = NULL;
    int rc;

    start(s);
    a.port = s->port;
    assert_int_equal(db_connect(&a, &db, err), 0);
    rc = db_run(db, "SELECT a FROM t", NULL, 0, &r, err);
    assert_null(r);
    db_close(db);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    close(s->fd);
    return rc;
}

static void a_connection_that_breaks_inside_a_result_is_busy_and_says_so(void **state)
{
    struct server s = { .then = { 0 } };
    struct pofr_err err = { 0 };

    (void)state;
    assert_int_equal(run_cut(&s, &err), POFR_EDBBUSY);
    assert_non_null(strstr(err.text, "onnection"));
    assert_non_null(strstr(err.text, "(2013)"));
}

static void an_error_in_place_of_a_row_is_the_servers_own(void **state)
{
    struct server s = { .then = LITERAL("\xff\x25\x05#70100Query execution was interrupted") };
    struct pofr_err err = { 0 };

    (void)state;
    assert_int_equal(run_cut(&s, &err), POFR_EDBBUSY);
    assert_string_equal(err.text, "Query execution was interrupted (1317)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_that_go_away_are_busy_and_others_are_not),
        cmocka_unit_test(a_server_that_is_not_there_is_busy),
        cmocka_unit_test(a_connection_that_breaks_inside_a_result_is_busy_and_says_so),
        cmocka_unit_test(an_error_in_place_of_a_row_is_the_servers_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
