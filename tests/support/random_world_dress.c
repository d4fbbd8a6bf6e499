/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/support/random_world_dress.h"

static const char *const names[] = {
    "bash", "sshd", "postgres: writer", "a b", "\xff\xfe", "kworker/0:1", "x\"y\\z", ""
};
static const char *const paths[] = { "/usr/bin/bash",
                                     "/usr/sbin/sshd",
                                     "/var/log/syslog",
                                     "/dev/null",
                                     "pipe:[4711]",
                                     "/srv/a user/\xe4\xb8\xad.txt",
                                     "/tmp/new\nline",
                                     "anon_inode:[eventpoll]",
                                     "" };
static const char *const words[] = {
    "root", "daemon", "users", "eth0", "lo", "kernel", "timezone", "cpu", "disk", "sda"
};
static const uint8_t addresses[] = {
    127, 0, 0, 1, 10, 0, 0, 7, 192, 168, 1, 1, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4
};

#define PICK(w, list) slice_str((list)[random_below(&(w)->random, sizeof(list) / sizeof((list)[0]))])

static struct slice address(struct random_world *w)
{
    return slice_of(addresses + 4 * random_below(&w->random, 3), random_chance(&w->random, 20) ? 16 : 4);
}

static void dress_process(struct random_world *w, struct rec_process *p)
{
    p->ruid = p->euid = p->suid = p->fsuid = random_below(&w->random, 3) * 1000;
    p->rgid = p->egid = p->sgid = p->fsgid = p->ruid;
    p->login_uid = random_chance(&w->random, 50) ? REC_LOGIN_UID_UNSET : 1000;
    p->session = random_below(&w->random, 100);
    p->command = PICK(w, names);
    p->exe = PICK(w, paths);
    p->exe_inode = random_magnitude(&w->random);
    p->arguments = random_chance(&w->random, 5) ? slice_of("ls\0-l\0\0", 7) : PICK(w, names);
    p->cwd = PICK(w, paths);
    p->cgroup = PICK(w, paths);
    if (p->arguments.len == 0 &&
        p->session % 2) { /* they could not be read, or the spool was nearly full when it began */
        p->unreadable = REC_UNREADABLE_ARGUMENTS;
    } else {
        p->unreadable = 0;
    }
}

bool random_world_strips(struct random *random, const struct record *r, struct record *out)
{
    if (r->kind != REC_KIND(REC_PROCESS, REC_END) || r->process.arguments.len == 0 || !random_chance(random, 40)) {
        return false;
    }
    *out = *r;
    out->process.arguments = SLICE_EMPTY;
    out->process.unreadable |= REC_UNREADABLE_ARGUMENTS;
    return true;
}

static void dress_file(struct random_world *w, struct rec_file *f)
{
    f->path = PICK(w, paths);
    f->kind = random_below(&w->random, 9);
    f->access_mode = random_below(&w->random, 4);
    f->device = random_below(&w->random, 3) << 32 | 1;
    f->inode = random_below(&w->random, 100000);
    f->deleted = random_chance(&w->random, 5);
}

static void dress_socket(struct random_world *w, struct rec_socket *s)
{
    s->family = 2;
    s->protocol = 6;
    s->type = 1;
    s->local_address = address(w);
    s->local_port = random_below(&w->random, 65536);
    s->remote_address = address(w);
    s->remote_port = random_below(&w->random, 65536);
    s->uid = random_below(&w->random, 3);
    s->state = 1 + random_below(&w->random, 11);
}

/* The attributes of a fact or a coverage row. */
static void dress_fact(struct random_world *w, struct record *r)
{
    switch (r->entity) {
    case REC_USER:
        r->user.shell = PICK(w, paths);
        break;
    case REC_GROUP:
        r->group.members = PICK(w, words);
        break;
    case REC_NETINT:
        r->netint.mtu = random_below(&w->random, 9000);
        break;
    case REC_NETROUTE:
        r->netroute.scope = random_below(&w->random, 255);
        break;
    case REC_HOSTINFO:
        r->hostinfo.value = PICK(w, paths);
        break;
    case REC_HWINFO:
        r->hwinfo.value = PICK(w, paths);
        break;
    case REC_LOGIN:
        r->login.user = PICK(w, words);
        break;
    default:
        r->coverage.mode = PICK(w, words);
        break;
    }
}

void random_world_dress(struct random_world *w, struct record *r)
{
    switch (r->entity) {
    case REC_PROCESS:
        dress_process(w, &r->process);
        break;
    case REC_FILE:
        dress_file(w, &r->file);
        break;
    case REC_SOCKET:
        dress_socket(w, &r->socket);
        break;
    default:
        dress_fact(w, r);
        break;
    }
}

void random_world_name_fact(struct random_world *w, struct record *r)
{
    struct slice word = PICK(w, words);

    switch (r->entity) {
    case REC_USER:
        r->user.name = word;
        r->user.uid = random_below(&w->random, 4);
        break;
    case REC_GROUP:
        r->group.name = word;
        break;
    case REC_NETINT:
        r->netint.interface = 1 + random_below(&w->random, 4);
        r->netint.address = address(w);
        break;
    case REC_NETROUTE:
        r->netroute.destination = address(w);
        r->netroute.metric = random_below(&w->random, 3);
        break;
    case REC_HOSTINFO:
        r->hostinfo.name = word;
        break;
    case REC_HWINFO:
        r->hwinfo.class = word;
        r->hwinfo.name = PICK(w, words);
        break;
    case REC_LOGIN:
        r->login.session = word;
        break;
    default:
        r->coverage.source = word;
        break;
    }
}
