/* SPDX-License-Identifier: GPL-2.0-or-later */
/* token.c -- pofrctl token create|list|revoke. The secret is shown once and is nowhere but in the token. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/hostport.h"
#include "common/base/parse_num.h"
#include "common/base/sha256.h"
#include "common/evidence/sshsig.h"
#include "common/os/fsio.h"
#include "common/os/options.h"
#include "common/wire/token.h"
#include "ctl/name.h"
#include "ctl/nouns.h"
#include "ctl/table.h"

#define SECRET_BYTES 32
#define GATEWAY_PORT 2222 /* the gateways' own default */

/* "30m", "12h", "7d": seconds, at most ten years. */
static bool parse_expiry(const char *text, uint64_t *out_seconds)
{
    size_t len = strlen(text);
    uint64_t n = 0;
    uint64_t unit;

    if (len < 2 || parse_u64(slice_of(text, len - 1), UINT64_MAX, &n)) {
        return false;
    }
    unit = text[len - 1] == 's'   ? 1
           : text[len - 1] == 'm' ? 60
           : text[len - 1] == 'h' ? 3600
           : text[len - 1] == 'd' ? 86400
                                  : 0;
    if (unit == 0 || n == 0 || n > 3650ULL * 86400 / unit) {
        return false;
    }
    *out_seconds = n * unit;
    return true;
}

static int read_fingerprint(const char *path, uint8_t out[32], struct pofr_err *err)
{
    struct buf line = BUF_INIT(65536);
    uint8_t key[32];
    uint8_t blob[51];
    int code = fsio_read(path, &line, err);

    if (!code && sshkey_public_parse(slice_trim(buf_slice(&line)), key)) {
        code = pofr_err_set(err, POFR_EFORMAT, "%s holds no ssh-ed25519 public key", path);
    }
    buf_free(&line);
    if (!code) {
        sshkey_public_blob(key, blob);
        code = sha256(slice_of(blob, sizeof(blob)), out);
    }
    return code;
}

static int fill_gateways(const struct ctl *c, const char *given, struct token *t, struct pofr_err *err)
{
    struct slice rest = slice_str(given ? given : "");
    size_t count = c->conf->gateway_addresses.count;

    for (size_t i = 0; given ? !slice_empty(rest) : i < count; i++) {
        struct slice one = given ? slice_split(&rest, ',') : slice_str(c->conf->gateway_addresses.items[i]);

        if (t->gateways_len == TOKEN_GATEWAYS_MAX ||
            hostport_parse(slice_trim(one), GATEWAY_PORT, &t->gateways[t->gateways_len])) {
            return pofr_err_set(err, POFR_EUSAGE, "gateway \"%.*s\" is not host:port, or one too many", SLICE_FMT(one));
        }
        t->gateways_len++;
    }
    if (t->gateways_len == 0) {
        return pofr_err_set(err, POFR_EUSAGE, "no gateway address: option [gateway] addresses, or --gateway HOST:PORT");
    }
    return 0;
}

static int put_out(const struct ctl *c, const char *path, const struct buf *text, uint64_t id, struct pofr_err *err)
{
    if (path) {
        int code = fsio_replace(path, buf_slice(text), 0600, err);

        if (!code && c->json) {
            printf("{\"token_id\": %llu}\n", (unsigned long long)id);
        } else if (!code) {
            ctl_say(c, "token %llu is in %s", (unsigned long long)id, path);
        }
        return code;
    }
    if (c->json) {
        printf("{\"token_id\": %llu, \"token\": \"%.*s\"}\n", (unsigned long long)id, (int)text->len - 1,
               (const char *)text->data);
    } else {
        fwrite(text->data, 1, text->len, stdout);
    }
    return 0;
}

int token_create(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { "output=", "uses=",   "expires=", "host=",    "pattern=",
                                         "group=",  "note=",   "approve",  "gateway=", "gateway-key-file=",
                                         "force",   "unless=", NULL };
    enum {
        OUTPUT,
        USES,
        EXPIRES,
        HOST,
        PATTERN,
        GROUP,
        NOTE,
        APPROVE,
        GATEWAY,
        KEY_FILE,
        FORCE,
        UNLESS
    };
    const char *v[13];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct buf text = BUF_INIT(TOKEN_TEXT_MAX + 1);
    struct token t = { 0 };
    uint8_t secret[SECRET_BYTES];
    uint8_t hash[32];
    uint64_t seconds = 86400;
    uint64_t uses = 1;
    struct db *catalog = NULL;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 0, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    if ((v[USES] && (parse_u64(slice_str(v[USES]), 1000000, &uses) || uses == 0)) ||
        (v[EXPIRES] && !parse_expiry(v[EXPIRES], &seconds)) || (v[HOST] && uses != 1)) {
        return ctl_usage(
            c, "token create: --uses is 1 to 1000000 (1 where --host names the host), --expires is like 30m, 12h, 7d");
    }
    if (v[HOST] && !name_is_host(v[HOST])) {
        return ctl_usage(c, "token create: --host is a name of " NAME_GRAMMAR);
    }
    if (!v[KEY_FILE] && !c->conf->gateway_key_file[0]) {
        return ctl_usage(c, "token create needs the gateways' public host key: option [gateway] host_key_file, or "
                            "--gateway-key-file FILE");
    }
    if (v[UNLESS] && access(v[UNLESS], F_OK) == 0) {
        ctl_say(c, "no token is made: %s is there", v[UNLESS]);
        return POFR_EXIT_DONE;
    }
    if (v[OUTPUT] && !v[FORCE] && ctl_is_taken(v[OUTPUT])) {
        (void)pofr_err_set(&err, POFR_EREFUSED, "%s exists already (--force overwrites it)", v[OUTPUT]);
        return ctl_fail(&err);
    }
    code = read_fingerprint(v[KEY_FILE] ? v[KEY_FILE] : c->conf->gateway_key_file, t.fingerprint, &err);
    if (!code) {
        code = fill_gateways(c, v[GATEWAY], &t, &err);
    }
    if (!code) {
        code = fsio_random(secret, sizeof(secret), &err);
    }
    if (!code) {
        code = token_set_secret(&t, secret, sizeof(secret));
    }
    if (!code) {
        code = token_hash(slice_str(t.secret), hash);
    }
    if (!code) {
        code = token_format(&t, &text);
        buf_u8(&text, '\n');
    }
    if (!code) {
        code = ctl_catalog(c, &catalog, &err);
    }
    if (!code) {
        struct db_value values[] = { DB_V_S(slice_of(hash, sizeof(hash))),
                                     DB_V_C(v[NOTE] ? v[NOTE] : ""),
                                     DB_V_U(seconds),
                                     DB_V_U(uses),
                                     DB_V_C(v[HOST] ? v[HOST] : ""),
                                     DB_V_C(v[PATTERN] ? v[PATTERN] : ""),
                                     DB_V_C(v[GROUP] ? v[GROUP] : ""),
                                     DB_V_U(v[APPROVE] ? 1 : 0) };

        code = db_run(catalog,
                      "INSERT INTO token (token_hash, note, created, expires, uses_left, host, host_pattern, "
                      "host_group, approve) "
                      "VALUES (?, ?, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL ? SECOND, ?, ?, ?, ?, ?)",
                      values, pofr_countof(values), NULL, &err);
    }
    if (!code) {
        code = put_out(c, v[OUTPUT], &text, db_insert_id(catalog), &err);
    }
    explicit_bzero(secret, sizeof(secret));
    if (text.data) {
        explicit_bzero(text.data, text.cap);
    }
    token_wipe(&t);
    buf_free(&text);
    db_close(catalog);
    return code ? (err.code = code, ctl_fail(&err)) : POFR_EXIT_DONE;
}

int token_list(struct ctl *c, int argc, char **argv)
{
    return ctl_list_catalog(
        c, argc, argv,
        "SELECT t.token_id, CASE WHEN t.revoked THEN 'revoked' WHEN t.uses_left = 0 THEN 'used' WHEN "
        "t.expires < UTC_TIMESTAMP(6) THEN 'expired' ELSE 'good' END AS state, t.uses_left, (SELECT COUNT(*) "
        "FROM token_use u WHERE u.token_id = t.token_id) AS used, t.created, t.expires, t.host, t.host_pattern, "
        "t.host_group, t.approve, t.note FROM token t ORDER BY t.token_id");
}

int token_revoke(struct ctl *c, int argc, char **argv)
{
    static const char *const names[] = { NULL };
    const char *v[1];
    char *args[1];
    size_t args_count;
    struct pofr_err err = { 0 };
    struct db_result *r = NULL;
    struct db *catalog = NULL;
    uint64_t id = 0;
    bool found = false;
    bool was = false;
    int code;

    if (!ctl_options(c, argc, argv, names, v, args, 1, &args_count)) {
        return POFR_EXIT_USAGE;
    }
    if (args_count != 1 || parse_u64(slice_str(args[0]), UINT32_MAX, &id)) {
        return ctl_usage(c, "usage: token revoke TOKEN_ID; pofrctl token list shows them");
    }
    code = ctl_catalog(c, &catalog, &err);
    if (!code) {
        struct db_value value = DB_V_U(id);

        code = db_run(catalog, "SELECT revoked FROM token WHERE token_id = ?", &value, 1, &r, &err);
        found = !code && db_rows(r) > 0;
        was = found && db_get_u64(r, 0, 0);
        if (found && !was) {
            code = db_run(catalog, "UPDATE token SET revoked = 1 WHERE token_id = ?", &value, 1, NULL, &err);
        }
    }
    db_result_free(r);
    db_close(catalog);
    if (!code && !found) {
        ctl_warn("no token %llu", (unsigned long long)id);
        return POFR_EXIT_NO;
    }
    if (!code) {
        ctl_say(c, was ? "token %llu was revoked already" : "token %llu is revoked", (unsigned long long)id);
    }
    return code ? ctl_fail(&err) : POFR_EXIT_DONE;
}
