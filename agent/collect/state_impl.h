/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * state_impl.h -- the inside of state.h, for its own files (state*.c) alone.
 *
 * MOMENTS  t = the tick. What a look shows happens at t; what an event tells happens at its time, but not
 *          after t - EVENT_MARGIN, so that several events of one slot and then a look keep their order.
 *          Within a slot an interval ends after it began, and the next one begins no earlier than that.
 *
 * START    procfs is right. A fork event tells the same moment or a later one: the kernel takes the time first, and may be
 *          held up before it tells. So what lives under a pid with a start no later than that of the process known
 *          there is that process; an identity that was sent stays as it was sent.
 *
 * PROCESS  is known (in by_pid) from a fork event or a look on, and told when a look has read it or it has ended. Told means:
 *          a START was emitted for version v. One whose exit came before the exec reader's word waits in
 *          dying; its last version stays open for readers until it is told.
 */
#pragma once

#include "agent/collect/state.h"
#include "agent/collect/strpool.h"
#include "common/base/buf.h"
#include "common/base/hashmap.h"

#define EVENT_MARGIN 64u

struct ident {
    uint64_t jiffies;
    uint32_t pid;
    uint32_t number;
};

/* What a process is: the AT fields. */
struct version {
    uint64_t exe_device, exe_inode;
    uint64_t ns_mnt, ns_pid, ns_net, ns_user, ns_uts, ns_ipc, ns_cgroup;
    struct str *command, *exe, *arguments, *cwd, *cgroup, *container;
    uint32_t ruid, euid, suid, fsuid, rgid, egid, sgid, fsgid, login_uid, session, tty;
    uint8_t exe_deleted, arguments_cut, kernel_thread, recorder, unreadable;
    uint8_t stripped; /* not AT: arguments were left out */
};

struct file {
    uint64_t device, inode, first_seen, hash;
    struct str *path, *command;
    uint32_t thread, fd;
    uint8_t kind, access_mode, deleted, path_cut, start_unseen;
    uint8_t told;
};

struct exec_note { /* an exec event whose version is not told yet */
    uint64_t at_us;
    const struct exec_info *info; /* what the exec reader saw; NULL: nothing */
};

enum exit_known {
    EXIT_UNKNOWN,
    EXIT_TOLD
};

struct proc {
    struct ident id;
    struct ident parent; /* pid: always; the rest where parent_known */
    struct version v;
    uint64_t first_seen; /* of v */
    uint64_t last_seen;  /* tick of the last look that showed it */
    uint64_t read_us;    /* tick of the last look that read it */
    uint64_t hash;       /* of v, where told */
    uint64_t cpu_us;
    uint64_t look;         /* number of the last look that named it */
    uint64_t missing_us;   /* tick of the first complete look that did not; 0: none */
    uint64_t end_us;       /* dying: when */
    struct exec_note exec; /* at_us 0: none */
    struct file *files;    /* by (thread, fd) */
    uint32_t files_len;
    uint32_t exit_status;
    uint8_t told, parent_known, start_unseen, exit_known, ended;
    uint8_t listed;  /* in fresh */
    uint8_t no_fork; /* a look showed it, and no fork event yet */
    uint8_t image;   /* v is of an exec, no longer what fork copied */
    uint8_t blocked;
};

struct exec_info { /* copy of struct exec_seen */
    uint64_t at_us, start_jiffies, exe_device, exe_inode;
    struct str *arguments, *exe, *command;
    uint32_t pid, euid, egid, ppid, session, tty;
    uint8_t arguments_cut, arguments_known, exe_deleted, ids_known, used;
};

struct recent { /* an identity that ended not long ago */
    struct ident id;
    uint64_t ended_us, tick_us;
};

struct sock_owner {  /* one interval */
    struct ident id; /* pid 0: none known */
    uint64_t first_seen, hash, inode, peer_inode;
    struct str *command;
    uint8_t start_unseen, keep;
};

struct sock {
    uint64_t netns, cookie;
    uint32_t cookie_kind;
    uint32_t family, protocol, type, local_port, remote_port, uid, interface; /* AT */
    struct str *local_address, *remote_address;                               /* AT */
    uint64_t inode, peer_inode;
    uint64_t bytes_sent, bytes_received;
    uint64_t look, first_us, last_seen;
    struct sock_owner *owners; /* by identity */
    uint32_t owners_len;
    uint32_t state;
    uint8_t bytes_known, start_unseen, fresh;
    uint8_t missed; /* by the text of procfs, which may miss one that is there: the next look decides */
};

struct fact {
    struct record r; /* as its START; strings are the pool's */
    uint64_t hash;
    uint64_t look; /* tick of the last look that showed it */
};

struct vec { /* of pointers or small structs; grows */
    void *data;
    size_t len, cap;
};

struct gone { /* who ended in this tick: for its sockets */
    struct ident id;
    uint64_t ended_us;
    uint64_t source;
};

struct owner_ref { /* who holds socket inode */
    uint64_t inode;
    struct proc *p;
};

struct range {
    uint32_t thread, low, high;
};

struct state {
    struct state_conf conf;
    struct strpool strings;
    struct hashmap by_pid;    /* pid -> struct proc */
    struct hashmap recent;    /* pid -> struct recent */
    struct hashmap socks;     /* (netns, cookie, kind) -> struct sock */
    struct hashmap facts;     /* hash of ID -> struct fact */
    struct hashmap recorders; /* pid -> struct ident */
    struct vec dying;         /* struct proc * */
    struct vec fresh;         /* struct proc *: read in this look, not told */
    struct vec no_forks;      /* uint32_t: pids with no_fork */
    struct vec events;        /* struct event */
    struct vec execs;         /* struct exec_info * */
    struct vec gone;          /* struct gone */
    struct vec owners;        /* struct owner_ref, by inode */
    struct vec netns;         /* struct look_netns */
    struct vec order;         /* scratch of pointers */
    struct state_sum sums[STATE_GROUPS];
    struct state_figures figures;
    struct buf scratch;
    uint64_t t, t_before;                          /* this tick, the one before */
    uint64_t look;                                 /* number of this look */
    uint64_t facts_seen[REC_LOGIN - REC_USER + 1]; /* tick of the last look */
    uint32_t stamp;
    int err;
    bool lean, first;
    bool events_there; /* events were whole in this tick and the one before */
    bool owners_dirty, socks_fresh, sock_first;
    bool look_complete;

    /* the process that is being read */
    struct proc *cur;
    bool cur_held; /* its version goes on: cand is empty */
    struct version cand;
    uint64_t cand_cpu_us;
    struct vec cand_files;  /* struct file */
    struct vec cand_ranges; /* struct range */
};

void state_fail(struct state *s, int code);
/* Room for n more of size; NULL with s->err. Does not raise len. */
void *vec_more(struct state *s, struct vec *v, size_t n, size_t size);
void vec_free(struct vec *v);

void state_emit(struct state *s, const struct record *r);
/* The sum of a group: an interval was opened, closed. */
void state_opened(struct state *s, enum state_group g, uint64_t hash);
void state_closed(struct state *s, enum state_group g, uint64_t hash);

static inline bool ident_eq(const struct ident *a, const struct ident *b)
{
    return a->pid == b->pid && a->jiffies == b->jiffies && a->number == b->number;
}
int ident_cmp(const struct ident *a, const struct ident *b);

/* state_version.c */
void version_of(struct state *s, const struct rec_process *p, struct version *out);
void version_copy(struct version *to, const struct version *from);
void version_drop(struct state *s, struct version *v);
bool version_same(const struct version *a, const struct version *b);
void proc_record(const struct proc *p, struct record *out, unsigned verb);

/* state_proc.c */
struct proc *proc_by_pid(const struct state *s, uint32_t pid);
struct proc *proc_make(struct state *s, uint32_t pid, uint64_t jiffies);
/* procfs shows when it really began: what its fork event told was that or later. Nothing of p was told yet. */
void proc_began(struct state *s, struct proc *p, uint64_t jiffies);
void proc_free(struct state *s, struct proc *p);
bool proc_is_recorder(const struct state *s, const struct ident *id);
void proc_mark_recorder(struct state *s, const struct ident *id);
/* A moment for an event of a slot that was last used at after. */
uint64_t event_moment(const struct state *s, uint64_t wanted, uint64_t after);
void proc_start(struct state *s, struct proc *p, uint64_t at_us);
void proc_end(struct state *s, struct proc *p, uint64_t at_us, uint64_t last_seen, uint64_t source);
/* The process is over: its version, its files; it is freed. */
void proc_finish(struct state *s, struct proc *p, uint64_t at_us, uint64_t last_seen, uint64_t source);
void version_of_child(struct state *s, const struct proc *parent, struct version *out);
/* What p->exec says becomes a version (the one before ends), told unless it is the first since the fork. */
void proc_exec(struct state *s, struct proc *p);
/* So that a pid that comes again in the same jiffy gets the next number. */
void proc_remember(struct state *s, const struct proc *p, uint64_t at_us);
void proc_forget_recent(struct state *s);
void proc_take_over(struct state *s, struct proc *p, struct version *v, uint64_t at_us, uint64_t source);

/* state_event.c */
void no_fork_yet(struct state *s, struct proc *p);
void dying_tell(struct state *s, bool all);
void execs_forget(struct state *s, bool all);

/* state_file.c */
void file_record(const struct proc *p, const struct file *f, struct record *out, unsigned verb);
void file_start(struct state *s, struct proc *p, struct file *f, uint64_t at_us);
void file_end(struct state *s, struct proc *p, struct file *f, uint64_t at_us, uint64_t last_seen, uint64_t source);
void files_drop(struct state *s, struct proc *p);
void files_merge(struct state *s, struct proc *p, uint64_t last_seen);

/* state_sock.c, state_fact.c */
void sock_record(const struct sock *k, const struct sock_owner *o, struct record *out, unsigned verb);
void sock_free(struct state *s, struct sock *k);
void fact_free(struct state *s, struct fact *f);
int sock_restore(struct state *s, const struct rec_socket *r);
int fact_restore(struct state *s, const struct record *r);
