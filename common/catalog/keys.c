/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads: lock guards table, loaded, refreshed_us. One refresh at a time: refresh_lock guards db, and is never
 * taken while lock is held. The thread of keys_run() waits on wake, so that keys_close() ends it at once.
 *
 * change_seq is raised under its row's lock in the transaction of every change of host or host_key, so what is newer
 * than the value that we read first, and was not seen in this round, is seen in the next. Slots, shards and
 * tombstones are small and read each time that they are asked for.
 */
#include "common/catalog/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/catalog/keys_parts.h"
#include "common/os/clock.h"
#include "common/os/fsio.h"
#include "common/os/log.h"

#define REFRESH_US (5 * CLOCK_US_PER_S)

struct keys {
    struct keys_options o;
    pthread_rwlock_t lock;
    struct keys_table table;
    bool loaded;
    int64_t refreshed_us; /* clock_mono_us(); 0: never */
    pthread_mutex_t refresh_lock;
    struct db *db;
    bool unsaved;
    int64_t unsaved_us; /* clock_mono_us() since when the file lacks something; 0: it lacks nothing. With lock */
    bool down;          /* the last refresh failed: say so once */
    pthread_t thread;
    bool running;
    pthread_mutex_t wake_lock;
    pthread_cond_t wake;
    bool stop;
};

static const char *area(const struct keys *k)
{
    return k->o.area ? k->o.area : "keys";
}

static void load_file(struct keys *k)
{
    struct buf file = BUF_INIT(KEYS_FILE_MAX);
    struct pofr_err err = { 0 };
    int code = fsio_read(k->o.file, &file, &err);

    if (code == 0) {
        code = keys_file_read(&k->table, buf_slice(&file));
        if (code) {
            log_warn(area(k), "copy_damaged", "file=%s error=%s", k->o.file, pofr_err_name(code));
            keys_table_free(&k->table);
            keys_table_init(&k->table);
        } else {
            k->loaded = true;
        }
    } else if (code != POFR_ENOTFOUND) {
        log_warn(area(k), "copy_unreadable", "error=\"%s\"", err.text);
    }
    buf_free(&file);
}

int keys_open(const struct keys_options *o, struct keys **out, struct pofr_err *err)
{
    struct keys *k = calloc(1, sizeof(*k));
    pthread_condattr_t monotonic;

    if (!k) {
        return pofr_err_set(err, POFR_ENOMEM, "copy of the catalog");
    }
    k->o = *o;
    keys_table_init(&k->table);
    pthread_rwlock_init(&k->lock, NULL);
    pthread_mutex_init(&k->refresh_lock, NULL);
    pthread_mutex_init(&k->wake_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&k->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (o->file && o->file[0]) {
        load_file(k);
    }
    *out = k;
    return 0;
}

void keys_close(struct keys *k)
{
    if (!k) {
        return;
    }
    if (k->running) {
        pthread_mutex_lock(&k->wake_lock);
        k->stop = true;
        pthread_cond_signal(&k->wake);
        pthread_mutex_unlock(&k->wake_lock);
        pthread_join(k->thread, NULL);
    }
    db_close(k->db);
    keys_table_free(&k->table);
    pthread_cond_destroy(&k->wake);
    pthread_mutex_destroy(&k->wake_lock);
    pthread_mutex_destroy(&k->refresh_lock);
    pthread_rwlock_destroy(&k->lock);
    free(k);
}

#define HOST_COLUMNS                                                                                                   \
    "host_id, host_uuid, slot, state + 0, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', enrolled), host, host_group"
#define KEY_COLUMNS                                                                                                    \
    "key_id, public_key, host_id, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', valid_from), "                              \
    "IF(valid_to >= '9999-12-31', 9223372036854775807, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', valid_to))"

/* --- asking ------------------------------------------------------------------------------------------- */

static int connected(struct keys *k, struct pofr_err *err)
{
    return k->db ? 0 : db_connect(&k->o.catalog, &k->db, err);
}

/* After any error the connection is not used again: the next round begins with a new one. */
static int lost(struct keys *k, int code)
{
    if (code) {
        db_close(k->db);
        k->db = NULL;
    }
    return code;
}

static int ask_all(struct keys *k, uint64_t *change, struct keys_answer *a, struct pofr_err *err)
{
    struct db_result *seq = NULL;
    struct db_value since;
    int code = db_run(k->db, "SELECT value FROM change_seq WHERE one = 1", NULL, 0, &seq, err);

    if (code) {
        return code;
    }
    *change = db_rows(seq) ? db_get_u64(seq, 0, 0) : 0;
    db_result_free(seq);
    pthread_rwlock_rdlock(&k->lock);
    since = DB_V_U(*change < k->table.change ? 0 : k->table.change); /* behind us: it was restored, read all */
    pthread_rwlock_unlock(&k->lock);
    if (since.u == 0 || since.u != *change) {
        code = db_run(k->db, "SELECT " HOST_COLUMNS " FROM host WHERE host_id > 0 AND changed >= ?", &since, 1,
                      &a->hosts, err);
        if (code == 0) {
            code = db_run(k->db, "SELECT " KEY_COLUMNS " FROM host_key WHERE changed >= ?", &since, 1, &a->keys, err);
        }
        if (code == 0) {
            code = db_run(k->db, "SELECT host_uuid, host_id FROM tombstone", NULL, 0, &a->tombstones, err);
        }
    }
    if (code == 0 && !k->o.hosts_only) {
        code = db_run(k->db, "SELECT slot, shard_id, generation FROM slot", NULL, 0, &a->slots, err);
    }
    if (code == 0 && !k->o.hosts_only) {
        code = db_run(k->db, "SELECT shard_id, name, address, port FROM shard ORDER BY shard_id", NULL, 0, &a->shards,
                      err);
    }
    return code;
}

static int write_file(struct keys *k, struct pofr_err *err)
{
    struct buf file = BUF_INIT(KEYS_FILE_MAX);
    int code;

    pthread_rwlock_rdlock(&k->lock);
    keys_file_write(&k->table, &file);
    pthread_rwlock_unlock(&k->lock);
    code = file.err ? pofr_err_set(err, file.err, "copy of the catalog")
                    : fsio_replace(k->o.file, buf_slice(&file), 0640, err);
    buf_free(&file);
    return code;
}

static void note_unsaved(struct keys *k)
{
    pthread_rwlock_wrlock(&k->lock);
    k->unsaved_us = !k->unsaved ? 0 : k->unsaved_us ? k->unsaved_us : clock_mono_us();
    pthread_rwlock_unlock(&k->lock);
}

/* With refresh_lock held, after the table may have changed. */
static void after_change(struct keys *k, bool changed)
{
    struct pofr_err err = { 0 };

    k->unsaved |= changed;
    if (k->unsaved && k->o.file && k->o.file[0]) {
        if (write_file(k, &err) == 0) {
            k->unsaved = false;
        } else {
            log_warn(area(k), "copy_unwritable", "error=\"%s\"", err.text);
        }
        note_unsaved(k);
    }
}

static int put_all(struct keys *k, const struct keys_answer *a, uint64_t change, bool *changed)
{
    int code;

    pthread_rwlock_wrlock(&k->lock);
    code = keys_answer_put(&k->table, a, changed);
    if (code == 0) {
        *changed |= k->table.change != change;
        k->table.change = change;
        k->loaded = true;
        k->refreshed_us = clock_mono_us();
    }
    pthread_rwlock_unlock(&k->lock);
    return code;
}

int keys_refresh(struct keys *k, struct pofr_err *err)
{
    struct keys_answer a = { 0 };
    uint64_t change = 0;
    bool changed = false;
    int code;

    pthread_mutex_lock(&k->refresh_lock);
    code = connected(k, err);
    if (code == 0) {
        code = lost(k, ask_all(k, &change, &a, err));
    }
    if (code == 0) {
        code = put_all(k, &a, change, &changed);
        if (code) {
            (void)pofr_err_set(err, code, "the catalog's rows make no sense: %s", pofr_err_text(code));
        }
        after_change(k, changed);
    }
    keys_answer_free(&a);
    pthread_mutex_unlock(&k->refresh_lock);
    if (changed && k->o.changed) {
        k->o.changed(k->o.arg);
    }
    return code;
}

static int ask_both(struct keys *k, const char *hosts_sql, const char *keys_sql, const struct db_value *v,
                    struct keys_answer *a, struct pofr_err *err)
{
    int code = connected(k, err);

    if (code == 0) {
        code = db_run(k->db, hosts_sql, v, 1, &a->hosts, err);
    }
    if (code == 0) {
        code = db_run(k->db, keys_sql, v, 1, &a->keys, err);
    }
    return lost(k, code);
}

/* One host and all its keys. where: a condition on host with one value. */
static int ask_one(struct keys *k, const char *hosts_sql, const char *keys_sql, const struct db_value *v, bool *changed,
                   struct pofr_err *err)
{
    struct keys_answer a = { 0 };
    bool was_there = k->db != NULL;
    int code = ask_both(k, hosts_sql, keys_sql, v, &a, err);

    if (code == POFR_EDBBUSY && was_there) { /* a connection that idled may be gone without a word */
        keys_answer_free(&a);
        a = (struct keys_answer){ 0 };
        code = ask_both(k, hosts_sql, keys_sql, v, &a, err);
    }
    if (code == 0) {
        pthread_rwlock_wrlock(&k->lock);
        code = keys_answer_put(&k->table, &a, changed);
        pthread_rwlock_unlock(&k->lock);
        if (code) {
            (void)pofr_err_set(err, code, "the catalog's rows make no sense: %s", pofr_err_text(code));
        }
        after_change(k, *changed);
    }
    keys_answer_free(&a);
    return code;
}

int keys_ask_host(struct keys *k, const struct uuid *uuid, struct pofr_err *err)
{
    struct db_value v = DB_V_S(slice_of(uuid->b, sizeof(uuid->b)));
    bool changed = false;
    int code;

    pthread_mutex_lock(&k->refresh_lock);
    code =
        ask_one(k, "SELECT " HOST_COLUMNS " FROM host WHERE host_id > 0 AND host_uuid = ?",
                "SELECT " KEY_COLUMNS " FROM host_key WHERE host_id = (SELECT host_id FROM host WHERE host_uuid = ?)",
                &v, &changed, err);
    pthread_mutex_unlock(&k->refresh_lock);
    if (code == 0 && keys_host(k, uuid, NULL) != 0) {
        code = POFR_ENOTFOUND;
    }
    if (changed && k->o.changed) {
        k->o.changed(k->o.arg);
    }
    return code;
}

int keys_ask_key(struct keys *k, const uint8_t public_key[32], struct pofr_err *err)
{
    struct db_value v = DB_V_S(slice_of(public_key, 32));
    bool changed = false;
    int code;

    pthread_mutex_lock(&k->refresh_lock);
    code = ask_one(k,
                   "SELECT " HOST_COLUMNS " FROM host WHERE host_id > 0 AND host_id IN "
                   "(SELECT host_id FROM host_key WHERE public_key = ?)",
                   "SELECT " KEY_COLUMNS " FROM host_key WHERE public_key = ?", &v, &changed, err);
    pthread_mutex_unlock(&k->refresh_lock);
    if (code == 0 && keys_key(k, public_key, NULL, NULL) != 0) {
        code = POFR_ENOTFOUND;
    }
    if (changed && k->o.changed) {
        k->o.changed(k->o.arg);
    }
    return code;
}

/* --- the thread ----------------------------------------------------------------------------------------- */

static void say(struct keys *k, int code, const struct pofr_err *err)
{
    if (code && !k->down) {
        log_warn(area(k), "catalog_down", "error=\"%s\"", err->text);
    } else if (!code && k->down) {
        log_info(area(k), "catalog_up", "hosts=%zu", keys_count(k));
    }
    k->down = code != 0;
}

static void *refresh_thread(void *arg)
{
    struct keys *k = arg;
    int64_t every_us = k->o.refresh_us > 0 ? k->o.refresh_us : REFRESH_US;
    bool stop = false;

    while (!stop) {
        struct pofr_err err = { 0 };
        int64_t due_us;
        struct timespec due;

        say(k, keys_refresh(k, &err), &err);
        due_us = clock_mono_us() + every_us;
        due = (struct timespec){ due_us / CLOCK_US_PER_S, due_us % CLOCK_US_PER_S * 1000 };
        pthread_mutex_lock(&k->wake_lock);
        while (!k->stop && pthread_cond_timedwait(&k->wake, &k->wake_lock, &due) != ETIMEDOUT) {
        }
        stop = k->stop;
        pthread_mutex_unlock(&k->wake_lock);
    }
    return NULL;
}

int keys_run(struct keys *k, struct pofr_err *err)
{
    int rc = pthread_create(&k->thread, NULL, refresh_thread, k);

    if (rc) {
        errno = rc;
        return pofr_err_sys(err, POFR_ESYSTEM, "thread of the catalog's copy");
    }
    k->running = true;
    return 0;
}

/* --- lookups ------------------------------------------------------------------------------------------- */

static void copy_host(const struct keys_host_entry *e, struct keys_host *out)
{
    memset(out, 0, sizeof(*out));
    out->host_id = e->host_id;
    out->uuid = e->uuid;
    out->slot = e->slot;
    out->state = e->state;
    out->enrolled_us = e->enrolled_us;
    strncpy(out->host, e->host, sizeof(out->host) - 1);
    strncpy(out->host_group, e->host_group, sizeof(out->host_group) - 1);
}

/* The lookups take const: nothing that a caller can see changes. */
static pthread_rwlock_t *lock_of(const struct keys *k)
{
    return &((struct keys *)(uintptr_t)k)->lock;
}

static int found_host(const struct keys *k, const struct keys_host_entry *e, struct keys_host *out)
{
    if (e && out) {
        copy_host(e, out);
    }
    pthread_rwlock_unlock(lock_of(k));
    return e ? 0 : POFR_ENOTFOUND;
}

int keys_host(const struct keys *k, const struct uuid *uuid, struct keys_host *out)
{
    pthread_rwlock_rdlock(lock_of(k));
    return found_host(k, keys_table_host(&k->table, uuid), out);
}

int keys_host_by_id(const struct keys *k, uint64_t host_id, struct keys_host *out)
{
    pthread_rwlock_rdlock(lock_of(k));
    return found_host(k, keys_table_host_by_id(&k->table, host_id), out);
}

int keys_key(const struct keys *k, const uint8_t public_key[32], struct keys_key *out_key, struct keys_host *out_host)
{
    const struct keys_key_entry *e;
    const struct keys_host_entry *h = NULL;

    pthread_rwlock_rdlock(lock_of(k));
    e = keys_table_key(&k->table, public_key);
    if (e) {
        h = keys_table_host_by_id(&k->table, e->key.host_id);
    }
    if (e && h && out_key) {
        *out_key = e->key;
    }
    return found_host(k, h, out_host);
}

int keys_newest(const struct keys *k, uint64_t host_id, int64_t now_wall_us, uint8_t out_public_key[32])
{
    const struct keys_host_entry *h;
    const struct keys_key_entry *newest = NULL;

    pthread_rwlock_rdlock(lock_of(k));
    h = keys_table_host_by_id(&k->table, host_id);
    for (const struct keys_key_entry *e = h ? h->keys : NULL; e; e = e->next_of_host) {
        if (e->key.valid_to_us > now_wall_us && (!newest || e->key.valid_from_us > newest->key.valid_from_us)) {
            newest = e;
        }
    }
    if (newest) {
        memcpy(out_public_key, newest->key.public_key, 32);
    }
    pthread_rwlock_unlock(lock_of(k));
    return newest ? 0 : POFR_ENOTFOUND;
}

int keys_slot(const struct keys *k, unsigned slot, struct keys_slot *out)
{
    int code = POFR_ENOTFOUND;

    pthread_rwlock_rdlock(lock_of(k));
    if (slot < KEYS_SLOTS_MAX && k->table.slots[slot].shard_id != 0) {
        *out = k->table.slots[slot];
        code = 0;
    }
    pthread_rwlock_unlock(lock_of(k));
    return code;
}

int keys_shard(const struct keys *k, unsigned shard_id, struct keys_shard *out)
{
    int code = POFR_ENOTFOUND;

    pthread_rwlock_rdlock(lock_of(k));
    for (size_t i = 0; i < k->table.shards_count && code; i++) {
        if (k->table.shards[i].shard_id == shard_id) {
            *out = k->table.shards[i];
            code = 0;
        }
    }
    pthread_rwlock_unlock(lock_of(k));
    return code;
}

size_t keys_shards(const struct keys *k, struct keys_shard *out, size_t max)
{
    size_t n;

    pthread_rwlock_rdlock(lock_of(k));
    n = k->table.shards_count;
    for (size_t i = 0; i < n && i < max; i++) {
        out[i] = k->table.shards[i];
    }
    pthread_rwlock_unlock(lock_of(k));
    return n;
}

bool keys_loaded(const struct keys *k)
{
    bool loaded;

    pthread_rwlock_rdlock(lock_of(k));
    loaded = k->loaded;
    pthread_rwlock_unlock(lock_of(k));
    return loaded;
}

int64_t keys_age_us(const struct keys *k)
{
    int64_t at;

    pthread_rwlock_rdlock(lock_of(k));
    at = k->refreshed_us;
    pthread_rwlock_unlock(lock_of(k));
    return at ? clock_mono_us() - at : -1;
}

int64_t keys_unsaved_us(const struct keys *k)
{
    int64_t since;

    pthread_rwlock_rdlock(lock_of(k));
    since = k->unsaved_us;
    pthread_rwlock_unlock(lock_of(k));
    return since ? clock_mono_us() - since : 0;
}

size_t keys_count(const struct keys *k)
{
    size_t n;

    pthread_rwlock_rdlock(lock_of(k));
    n = k->table.hosts_count;
    pthread_rwlock_unlock(lock_of(k));
    return n;
}

uint64_t keys_change(const struct keys *k)
{
    uint64_t change;

    pthread_rwlock_rdlock(lock_of(k));
    change = k->table.change;
    pthread_rwlock_unlock(lock_of(k));
    return change;
}

int keys_each_host(const struct keys *k, int (*one)(void *arg, const struct keys_host *h), void *arg)
{
    int code = 0;

    pthread_rwlock_rdlock(lock_of(k));
    for (const struct keys_host_entry *e = k->table.hosts; e && code == 0; e = e->next) {
        struct keys_host h;

        copy_host(e, &h);
        code = one(arg, &h);
    }
    pthread_rwlock_unlock(lock_of(k));
    return code;
}

int keys_each_key(const struct keys *k, int (*one)(void *arg, const struct keys_key *key), void *arg)
{
    int code = 0;

    pthread_rwlock_rdlock(lock_of(k));
    for (const struct keys_key_entry *e = k->table.keys; e && code == 0; e = e->next) {
        code = one(arg, &e->key);
    }
    pthread_rwlock_unlock(lock_of(k));
    return code;
}
