/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "look_world.h"

#include <stdio.h>
#include <string.h>

static const char *const paths[] = { "/etc/passwd", "/var/log/syslog",  "/tmp/a",
                                     "/tmp/b",      "/usr/lib/libc.so", "pipe:[1]" };
static const char *const programs[] = { "/bin/true", "/bin/sh", "/usr/sbin/sshd", "/usr/bin/postgres", "" };
static const char *const directories[] = { "/", "/srv/a", "/tmp" };

#define PICK(w, list) (uint8_t) random_below(&(w)->random, sizeof(list) / sizeof((list)[0]))

static struct event *tell(struct world *w, enum event_kind kind, uint32_t pid)
{
    static struct event none;
    struct event *e = w->events_len < WORLD_EVENTS ? &w->events[w->events_len++] : &none;

    *e = (struct event){ .kind = kind, .pid = pid, .tid = pid, .boot_us = w->now };
    return e;
}

static void tell_exec(struct world *w, uint32_t pid)
{
    const struct world_proc *p = &w->procs[pid];
    struct exec_seen *x = w->seens_len < WORLD_EVENTS ? &w->seens[w->seens_len++] : NULL;

    (void)tell(w, EVENT_EXEC, pid);
    if (x == NULL || random_chance(&w->random, 20)) {
        w->seens_len -= x != NULL; /* it was too late to read it */
        return;
    }
    *x = (struct exec_seen){ .pid = pid,
                             .boot_us = w->now,
                             .start_jiffies = p->jiffies,
                             .arguments_known = true,
                             .euid = p->uid,
                             .egid = 0,
                             .ids_known = true };
    x->arguments = slice_str(programs[p->program]);
    x->exe = slice_str(programs[p->program]);
    x->exe_inode = p->program;
    x->command = slice_str("comm");
}

static void step(struct world *w)
{
    w->now += random_chance(&w->random, 30) ? 0 : 1 + random_below(&w->random, 50);
}

static uint32_t some_pid(struct world *w, bool alive)
{
    for (int i = 0; i < 8; i++) {
        uint32_t pid = 1 + (uint32_t)random_below(&w->random, WORLD_PIDS);

        if (w->procs[pid].alive == alive) {
            return pid;
        }
    }
    return 0;
}

static void do_fork(struct world *w)
{
    uint32_t pid = some_pid(w, false), parent = some_pid(w, true);
    struct world_proc *p = &w->procs[pid];
    struct event *e;

    if (pid == 0 || parent == 0) {
        return;
    }
    *p = w->procs[parent];
    p->changed = true;
    p->attributes_read = false;
    p->zombie_waits = false;
    p->ppid = parent;
    p->jiffies = w->now / 10000;
    for (unsigned i = 0; i < WORLD_FILES; i++) {
        p->files[i].open = p->files[i].open && random_chance(&w->random, 50);
    }
    e = tell(w, EVENT_FORK, pid);
    e->parent = parent;
    e->start_jiffies = p->jiffies; /* or later: the kernel was held up between making it and telling of it */
    e->start_jiffies += random_chance(&w->random, 20) ? 1 + random_below(&w->random, 5) : 0;
}

static void do_exit(struct world *w)
{
    uint32_t pid = some_pid(w, true);
    struct event *e;

    if (pid == 0 || pid == 1) {
        return;
    }
    w->procs[pid].alive = false;
    w->procs[pid].zombie_waits = random_chance(&w->random, 30);
    e = tell(w, EVENT_EXIT, pid);
    e->exit_status = 256;
}

static void do_exec(struct world *w)
{
    uint32_t pid = some_pid(w, true);

    if (pid != 0) {
        w->procs[pid].program = PICK(w, programs);
        w->procs[pid].changed = true;
        w->procs[pid].attributes_read = false;
        tell_exec(w, pid);
    }
}

static void do_change(struct world *w)
{
    uint32_t pid = some_pid(w, true);
    struct event *e;

    if (pid == 0) {
        return;
    }
    w->procs[pid].changed = true;
    w->procs[pid].attributes_read = false;
    if (random_chance(&w->random, 50)) {
        w->procs[pid].cwd = PICK(w, directories);
        return;
    }
    w->procs[pid].uid = (uint8_t)random_below(&w->random, 3);
    e = tell(w, EVENT_IDS, pid);
    e->id_real = e->id_effective = w->procs[pid].uid;
}

static void do_file(struct world *w)
{
    uint32_t pid = some_pid(w, true);
    struct world_file *f;

    if (pid == 0) {
        return;
    }
    w->procs[pid].changed = true;
    f = &w->procs[pid].files[random_below(&w->random, WORLD_FILES)];
    if (f->open && random_chance(&w->random, 60)) {
        f->open = false;
        return;
    }
    *f = (struct world_file){ .open = true,
                              .path = PICK(w, paths),
                              .kind = REC_FILE_REGULAR,
                              .mode = (uint8_t)(1 + random_below(&w->random, 3)),
                              .inode = random_below(&w->random, 9) };
}

static void do_socket(struct world *w)
{
    struct world_sock *k = &w->socks[random_below(&w->random, WORLD_SOCKS)];
    uint32_t pid = some_pid(w, true);

    if (k->there && random_chance(&w->random, 50)) {
        k->there = false;
    } else if (k->there) {
        k->port = (uint8_t)random_below(&w->random, 3); /* connected: another address */
    } else {
        *k = (struct world_sock){ true, ++w->next_cookie, ++w->next_inode + 1000,
                                  (uint8_t)(1 + random_below(&w->random, 2)), 0 };
    }
    if (pid != 0 && k->there && random_chance(&w->random, 70)) {
        w->procs[pid].changed = true;
        w->procs[pid].files[random_below(&w->random, WORLD_FILES)] =
            (struct world_file){ .open = true, .kind = REC_FILE_SOCKET, .mode = 3, .inode = k->inode };
    }
}

static void live(struct world *w, unsigned how_much)
{
    for (unsigned i = (unsigned)random_below(&w->random, 2 * how_much + 1); i > 0; i--) {
        step(w);
        switch (random_below(&w->random, 8)) {
        case 0:
        case 1:
            do_fork(w);
            break;
        case 2:
            do_exit(w);
            break;
        case 3:
            do_exec(w);
            break;
        case 4:
            do_change(w);
            break;
        case 5:
            do_socket(w);
            break;
        default:
            do_file(w);
            break;
        }
    }
    w->facts[random_below(&w->random, 4)] = (uint8_t)random_below(&w->random, 3);
}

void world_init(struct world *w, uint64_t seed, bool events_work, bool never_races, unsigned busy)
{
    memset(w, 0, sizeof(*w));
    w->random.state = seed;
    w->events_work = events_work;
    w->never_races = never_races;
    w->busy = busy;
    w->t = w->now = 1000000;
    w->procs[1] = (struct world_proc){ .alive = true, .changed = true, .jiffies = 1 };
}

static void process_record(const struct world *w, uint32_t pid, struct rec_process *r)
{
    const struct world_proc *p = &w->procs[pid];

    memset(r, 0, sizeof(*r));
    r->pid = pid;
    r->start_jiffies = p->jiffies;
    r->ppid = p->ppid;
    r->ruid = r->euid = r->suid = r->fsuid = p->uid;
    r->login_uid = REC_LOGIN_UID_UNSET;
    r->command = slice_str("comm");
    r->exe = r->arguments = slice_str(programs[p->program]);
    r->exe_inode = p->program;
    r->cwd = slice_str(directories[p->cwd]);
    r->ns_net = 1 + pid % 2;
}

static void file_record_of(const struct world *w, uint32_t pid, unsigned fd, struct rec_file *r)
{
    const struct world_file *f = &w->procs[pid].files[fd];

    memset(r, 0, sizeof(*r));
    r->pid = pid;
    r->start_jiffies = w->procs[pid].jiffies;
    r->thread = fd >= WORLD_FILES / 2 && pid % 5 == 0 ? pid + 1000 : 0;
    r->fd = fd;
    r->path = slice_str(f->kind == REC_FILE_SOCKET ? "socket:[1]" : paths[f->path]);
    r->kind = f->kind;
    r->access_mode = f->mode;
    r->inode = f->inode;
}

/* Read one process as a look would; it may vanish half way. */
static void read_one(struct world *w, struct state *s, uint32_t pid, enum look_why why)
{
    struct look_how how = { .why = why };
    struct rec_process p;
    struct rec_file f;
    bool vanishes = !w->never_races && random_chance(&w->random, 3) && pid != 1;

    process_record(w, pid, &p);
    if (!w->procs[pid].alive) {
        how.zombie = how.exit_known = true;
        p.exe = p.arguments = p.cwd = SLICE_EMPTY;
        p.exe_inode = 0;
        state_look_sink.process(s, &p, &how);
        state_look_sink.process_end(s, &how);
        return;
    }
    if (!w->procs[pid].attributes_read || why != LOOK_WHY_CLOCK || random_chance(&w->random, 20) ||
        !state_look_sink.process_held(s, pid, w->procs[pid].jiffies, &how)) {
        state_look_sink.process(s, &p, &how);
    }
    for (unsigned fd = 0; fd < WORLD_FILES; fd++) {
        bool changed = w->procs[pid].changed || why == LOOK_WHY_FIRST;

        if (!w->procs[pid].files[fd].open) {
            continue;
        }
        file_record_of(w, pid, fd, &f);
        if (changed || !random_chance(&w->random, 50) ||
            !state_look_sink.file_held(s, (uint32_t)f.thread, (uint32_t)f.fd)) {
            state_look_sink.file(s, &f);
        }
    }
    if (vanishes) {
        struct event *e;

        w->procs[pid].alive = false;
        w->procs[pid].zombie_waits = false;
        w->now++;
        e = tell(w, EVENT_EXIT, pid);
        e->exit_status = 9;
        how.gone = true;
        state_look_sink.process_end(s, &how);
        return;
    }
    state_look_sink.files_end(s, 0, 0, UINT32_MAX);
    if (pid % 5 == 0) {
        state_look_sink.files_end(s, pid + 1000, 0, UINT32_MAX);
    }
    how.whole = true;
    state_look_sink.process_end(s, &how);
    w->procs[pid].changed = false;
    w->procs[pid].attributes_read = true;
}

static void look(struct world *w, struct state *s, bool first)
{
    state_look_begin(s, first);
    for (uint32_t i = 1; i <= WORLD_PIDS; i++) {
        uint32_t pid = i;
        struct world_proc *p = &w->procs[pid];

        if (!w->never_races && random_chance(&w->random, 10)) {
            live(w, 1); /* while the look goes on */
        }
        if (!p->alive) {
            if (p->zombie_waits) {
                read_one(w, s, pid, LOOK_WHY_CLOCK);
                p->zombie_waits = false;
            }
            continue;
        }
        if (!p->changed && random_chance(&w->random, 90) && state_look_sink.held(s, pid, p->jiffies)) {
            continue;
        }
        read_one(w, s, pid, p->changed ? LOOK_WHY_CLOCK : LOOK_WHY_RECONCILE);
    }
    state_look_end(s, true);
}

static void sockets(struct world *w, struct state *s, bool first)
{
    state_sockets_begin(s, first);
    for (uint64_t netns = 1; netns <= 2; netns++) {
        struct look_netns_result result = { .inode = netns, .whole = LOOK_SOCK_ALL };

        if (netns == 2 && random_chance(&w->random, 50)) {
            continue; /* not its turn */
        }
        for (unsigned i = 0; i < WORLD_SOCKS; i++) {
            const struct world_sock *k = &w->socks[i];
            struct rec_socket r = {
                .netns = netns, .cookie = k->cookie, .family = 2, .protocol = 6, .inode = k->inode
            };

            if (k->there && k->netns == netns) {
                r.remote_port = k->port;
                r.local_address = slice_of("\x7f\0\0\1", 4);
                state_sock_sink.socket(s, &r);
            }
        }
        state_sock_sink.netns_end(s, &result);
    }
    state_sockets_end(s);
}

static void facts(const struct world *w, struct state *s, bool first)
{
    static const char *const names[] = { "hostname", "kernel", "os", "timezone" };
    static const char *const values[] = { "", "a", "b" };

    for (unsigned i = 0; i < 4; i++) {
        struct record r = { .kind = REC_KIND(REC_HOSTINFO, REC_START), .entity = REC_HOSTINFO };

        if (w->facts[i] == 0) {
            continue;
        }
        r.hostinfo = (struct rec_hostinfo){ .name = slice_str(names[i]), .value = slice_str(values[w->facts[i]]) };
        state_fact(s, &r, first);
    }
    state_facts_end(s, REC_HOSTINFO, true);
}

uint64_t world_next(struct world *w)
{
    live(w, w->busy);
    w->t = (w->now > w->t ? w->now : w->t) + 200;
    w->now = w->t;
    return w->t;
}

void world_tick(struct world *w, struct state *s, bool first)
{
    bool lost = w->events_work && !w->never_races && random_chance(&w->random, 10);
    unsigned until = w->events_len;
    unsigned seens_until =
        w->seens_len - (unsigned)(!w->never_races && w->seens_len > w->seens_told && random_chance(&w->random, 30));

    for (; w->told < until; w->told++) {
        if (w->events_work && !(lost && random_chance(&w->random, 30)) && w->events[w->told].boot_us <= w->t) {
            state_event(s, &w->events[w->told]);
        }
    }
    for (; w->seens_told < seens_until; w->seens_told++) {
        if (w->events_work) {
            state_exec(s, &w->seens[w->seens_told]);
        }
    }
    state_events_apply(s, w->events_work && !lost);
    if (w->told == w->events_len && w->seens_told == w->seens_len) {
        w->told = w->events_len = w->seens_told = w->seens_len = 0;
    }
    look(w, s, first);
    sockets(w, s, first);
    facts(w, s, first);
}

void world_counts(const struct world *w, size_t *out_processes, size_t *out_files)
{
    *out_processes = *out_files = 0;
    for (uint32_t pid = 1; pid <= WORLD_PIDS; pid++) {
        *out_processes += w->procs[pid].alive;
        for (unsigned fd = 0; w->procs[pid].alive && fd < WORLD_FILES; fd++) {
            *out_files += w->procs[pid].files[fd].open;
        }
    }
}
