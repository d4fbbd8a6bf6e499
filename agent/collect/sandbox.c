/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/collect/sandbox.h"

#include <errno.h>
#include <limits.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/spool/format.h"
#include "common/base/compiler.h"
#include "common/os/fsio.h"
#include "common/os/log.h"
#include "common/os/service.h"

/*
 * The folder, made where missing, belongs to who is to write it. What is above it and missing too stays root's: so it must
 * not lose the right to be passed by others, which the mask of a service takes.
 */
static int give(const char *path, mode_t mode, uid_t uid, gid_t gid, struct pofr_err *err)
{
    mode_t mask = umask(022);
    int rc = fsio_mkdirs(path, mode & 0777, err);

    (void)umask(mask);
    if (rc == 0 && geteuid() == 0 && chown(path, uid, gid) != 0) {
        rc = pofr_err_sys(err, POFR_EPERMISSION, "%s: owner", path);
    }
    if (rc == 0 && geteuid() == 0 && chmod(path, mode) != 0) {
        rc = pofr_err_sys(err, POFR_EPERMISSION, "%s: mode", path);
    }
    return rc;
}

/* Anyone may come to the socket (it asks who they are) and to the pin; the spool is the collector's, and its group the shipper's. */
static int give_folders(const struct agent_conf *conf, const struct service_identity *id, struct pofr_err *err)
{
    struct service_identity shipper = *id;
    char spool[PATH_MAX];
    int rc = 0;

    if (snprintf(spool, sizeof(spool), "%s/%s", conf->state_dir, SPOOL_DIR) >= (int)sizeof(spool)) {
        return pofr_err_set(err, POFR_ETOOBIG, "%s: path too long", conf->state_dir);
    }
    if (conf->shipper_user[0] != '\0') {
        rc = service_lookup_user(conf->shipper_user, &shipper, err);
    }
    if (rc == 0) {
        rc = give(conf->state_dir, 0755, id->uid, id->gid, err);
    }
    if (rc == 0) {
        rc = give(conf->runtime_dir, 0755, id->uid, id->gid, err);
    }
    /* files made in it get the shipper's group */
    return rc != 0 ? rc : give(spool, 02750, id->uid, shipper.gid, err);
}

int sandbox_user(const struct agent_conf *conf, struct pofr_err *err)
{
    struct service_identity id = { .keep_caps = { "cap_sys_ptrace", "cap_dac_read_search", "cap_net_admin",
                                                  "cap_sys_admin", "cap_sys_nice", "cap_perfmon", NULL } };
    struct service_identity user;
    int rc;

    if (conf->collector_user[0] == '\0') {
        user = (struct service_identity){ .uid = geteuid(), .gid = getegid() };
        return give_folders(conf, &user, err);
    }
    rc = service_lookup_user(conf->collector_user, &user, err);
    if (rc == 0) {
        id.uid = user.uid;
        id.gid = user.gid;
        rc = give_folders(conf, &id, err);
    }
    return rc != 0 ? rc : service_drop(&id, err);
}

static const int denied[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(fsconfig),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(bpf),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
};

/* Families that reach the network. sock_diag asks by netlink; AF_UNIX is the shipper's. */
static const int denied_families[] = { AF_INET, AF_INET6, AF_PACKET, AF_VSOCK, AF_BLUETOOTH,
                                       AF_CAN,  AF_TIPC,  AF_X25,    AF_XDP };

int sandbox_calls(struct pofr_err *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    int rc = ctx == NULL ? -ENOMEM : 0;

    for (size_t i = 0; i < pofr_countof(denied) && rc == 0; i++) {
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
        rc = rc == -EDOM || rc == -EFAULT ? 0 : rc; /* this architecture has no such call */
    }
    for (size_t i = 0; i < pofr_countof(denied_families) && rc == 0; i++) {
        const struct scmp_arg_cmp family = { .arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)denied_families[i] };

        rc = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, &family);
    }
    if (rc == 0) {
        rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
    }
    if (rc == 0) {
        rc = seccomp_load(ctx);
    }
    if (ctx != NULL) {
        seccomp_release(ctx);
    }
    if (rc == -ENOSYS || rc == -EINVAL) {
        log_warn("collect", "no_seccomp", "error=\"%s\"", strerrordesc_np(-rc));
        return 0; /* a kernel without it: the rights that were dropped still hold */
    }
    if (rc != 0) {
        errno = -rc;
        return pofr_err_sys(err, POFR_ESYSTEM, "seccomp");
    }
    return 0;
}
