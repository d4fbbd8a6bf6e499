# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# chroot.sh -- a fresh Debian in a folder, to see that the tree builds and runs where nothing was prepared.
#
#   source …/support/chroot.sh
#   enter_own_mounts "$@"          # first of all: mounts are ours alone and end with us
#   source …/support/suite.sh
#   chroot_make trixie             # a minimal system with this tree in /src
#   in_chroot COMMAND…
#
# Needs root.

source "$(dirname -- "${BASH_SOURCE[0]}")/../../deploy/lib/debian.sh"

# enter_own_mounts ARGUMENT...: start this script again with mounts of its own
enter_own_mounts() {
    [[ -z ${POFR_TEST_OWN_MOUNTS:-} ]] || return 0
    [[ $EUID -eq 0 ]] || { printf 'a chroot needs root\n' >&2; exit 3; }
    exec env POFR_TEST_OWN_MOUNTS=yes unshare --mount --propagation private "$0" "$@"
}

chroot_make() {
    local tar node proxy
    ROOT=$POFR_TEST_WORK/root
    tar=$(debian_base "$1") || return 1
    mkdir -p -- "$ROOT"
    tar -C "$ROOT" -xf "$tar"
    # no device of the machine can be reached through this folder, whoever removes it
    mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
    for node in null zero full random urandom tty; do
        touch -- "$ROOT/dev/$node"
        mount --bind "/dev/$node" "$ROOT/dev/$node"
    done
    mkdir -- "$ROOT/dev/shm"
    chmod 1777 -- "$ROOT/dev/shm"
    ln -s /proc/self/fd "$ROOT/dev/fd"
    mkdir -- "$ROOT/dev/pts"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$ROOT/dev/pts"
    ln -s pts/ptmx "$ROOT/dev/ptmx"
    mount -t proc proc "$ROOT/proc"
    mount -t sysfs -o ro sysfs "$ROOT/sys" || true

    cat /etc/resolv.conf >"$ROOT/etc/resolv.conf"
    printf '127.0.0.1 localhost\n' >"$ROOT/etc/hosts"
    proxy=$(apt_proxy)
    [[ -z $proxy ]] || printf 'Acquire::http::Proxy "%s";\n' "$proxy" >"$ROOT/etc/apt/apt.conf.d/99proxy"
    if [[ -f ${HOME:-/root}/.m2/settings.xml ]]; then
        mkdir -p -- "$ROOT/root/.m2"
        cp -- "${HOME:-/root}/.m2/settings.xml" "$ROOT/root/.m2/"
    fi
    mkdir -p -- "$ROOT/src"
    tree_files | tar --null -T - -cf - | tar -C "$ROOT/src" -xf -
    # the broker's jars need not come through the network twice
    if [[ -d $POFR_TREE/build/cache ]]; then
        mkdir -p -- "$ROOT/src/build"
        cp -a -- "$POFR_TREE/build/cache" "$ROOT/src/build/"
    fi
}

in_chroot() {
    env -i HOME=/root TERM=dumb LANG=C.UTF-8 CI=true PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$ROOT" "$@" </dev/null
}

# chroot_pids: what runs in there
chroot_pids() {
    local entry
    for entry in /proc/[0-9]*; do
        [[ $(readlink -- "$entry/root" 2>/dev/null) != "$ROOT" ]] || printf '%s\n' "${entry#/proc/}"
    done
}

chroot_is_empty() { [[ -z $(chroot_pids) ]]; }

# chroot_end: end all that was started in there; the mounts end with this process
chroot_end() {
    local pid
    [[ -n ${ROOT:-} && -d $ROOT ]] || return 0
    for pid in $(chroot_pids); do kill -KILL "$pid" 2>/dev/null || true; done
    wait_until 10 chroot_is_empty || true # what still ends holds its folders
    umount -R -- "$ROOT/dev" "$ROOT/proc" "$ROOT/sys" 2>/dev/null || true
    rm -rf --one-file-system -- "$ROOT"
}

# --- what every fresh Debian has to show ------------------------------------------------------------

POLICY_BEFORE='#!/bin/sh
# the one that was there before
exit 104'

packages_come_and_nothing_starts() {
    printf '%s\n' "$POLICY_BEFORE" >"$ROOT/usr/sbin/policy-rc.d"
    chmod 751 -- "$ROOT/usr/sbin/policy-rc.d"
    in_chroot /src/deploy/deps install --test
    equal "$(cat -- "$ROOT/usr/sbin/policy-rc.d")" "$POLICY_BEFORE" policy-rc.d
    equal "$(stat -c '%a %u' -- "$ROOT/usr/sbin/policy-rc.d")" "751 0" "mode of policy-rc.d"
    [[ ! -e $ROOT/usr/sbin/policy-rc.d.pofr-saved ]]
    equal "$(chroot_pids)" "" "processes that the packages started"
    equal "$(find "$ROOT/etc/systemd/system" "$ROOT"/etc/rc?.d \( -path '*wants/mariadb.service' -o -name 'S*mariadb' \))" "" \
        "the system's database would start at boot"
    in_chroot /src/deploy/deps check --test
}

unit_tests_pass() {
    local last
    in_chroot /src/tests/run unit | tee "$POFR_TEST_WORK/unit.out"
    last=$(tail -n 1 "$POFR_TEST_WORK/unit.out")
    [[ $last =~ ^[1-9][0-9]*\ passed,\ 0\ failed$ ]]
}

quickstart_answers() {
    local last
    in_chroot /src/deploy/quickstart
    in_chroot /src/deploy/quickstart # again: nothing is done twice
    [[ $(in_chroot /src/deploy/quickstart sql -N 'SELECT COUNT(*) FROM process') -gt 0 ]]
    in_chroot /src/deploy/quickstart status
    in_chroot /src/deploy/quickstart destroy
    equal "$(chroot_pids)" "" "processes left"
}
