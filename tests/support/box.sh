# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# box.sh -- a machine of its own with systemd as its first process (systemd-nspawn), on this machine's network.
#
#   source …/support/chroot.sh     # for the minimal system it is made of
#   source …/support/box.sh
#   box_make full|empty            # with what `cmake --install` puts there, or without
#   box_start                      # ends with box_end
#   in_box COMMAND...              # as root in there
#
# There is one, unless box_choose names others (machines.sh).
#
# Needs root. The box has this machine's release of Debian, since it runs the programs of build/release.

BOX_NAME=box
BOX=$POFR_TEST_WORK/$BOX_NAME
BOX_PID='' BOX_LEADER=''
readonly BOX_PACKAGES=(systemd systemd-sysv procps util-linux)
BOX_MORE=()    # whatever else a suite wants in it
BOX_BARE=no    # yes: without the libraries that our programs need
BOX_OPTIONS=() # more for systemd-nspawn

# box_choose NAME: the one that everything else is about from now on
box_choose() {
    BOX_NAME=$1 BOX=$POFR_TEST_WORK/$1 BOX_PID='' BOX_LEADER=''
    [[ ! -e $BOX.pids ]] || read -r BOX_PID BOX_LEADER <"$BOX.pids"
}

# box_libraries: the packages that our programs' libraries come from
box_libraries() {
    local program
    for program in agent/pofr-agent gateway/pofr-gateway workers/pofr-worker merger/pofr-merger; do
        ldd "build/release/$program"
    done | sed -nE 's/.* => (\/[^ ]+) .*/\1/p' | sort -u | while read -r library; do
        { dpkg-query -S "$library" || dpkg-query -S "/usr$library"; } 2>/dev/null | sed -nE '1s/^([^:,]+)[:,].*/\1/p'
    done | sort -u
}

# box_base: prints the archive of a minimal system with systemd and our libraries, made when it is not there
box_base() {
    local name tar base root=$POFR_TEST_WORK/base proxy
    local -a packages=()
    name=$(sed -nE 's/^VERSION_CODENAME=//p' /etc/os-release)
    [[ $BOX_BARE == yes ]] || mapfile -t packages < <(box_libraries)
    packages+=("${BOX_PACKAGES[@]}" "${BOX_MORE[@]}")
    tar=$POFR_TREE/build/chroot/box-$name-$(printf '%s\n' "${packages[@]}" | sha256sum | cut -c1-8).tar
    if [[ ! -s $tar ]]; then
        base=$(debian_base "$name") || return 1
        mkdir -p -- "$root"
        tar -C "$root" -xf "$base"
        cat /etc/resolv.conf >"$root/etc/resolv.conf"
        proxy=$(apt_proxy)
        [[ -z $proxy ]] || printf 'Acquire::http::Proxy "%s";\n' "$proxy" >"$root/etc/apt/apt.conf.d/99proxy"
        {
            ROOT=$root in_chroot apt-get -q update
            ROOT=$root in_chroot env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 install -y \
                --no-install-recommends "${packages[@]}"
        } >&2 || return 1
        rm -rf -- "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
        tar -C "$root" -cf "$tar.new" . && mv -- "$tar.new" "$tar"
        rm -rf --one-file-system -- "$root"
    fi
    printf '%s' "$tar"
}

# Not a first boot, at which systemd would enable whatever there is; and nothing that would touch this machine's network.
box_make() {
    local tar unit
    tar=$(box_base)
    mkdir -p -- "$BOX"
    tar -C "$BOX" -xf "$tar"
    tr -d - </proc/sys/kernel/random/uuid >"$BOX/etc/machine-id"
    printf '%s\n' "$BOX_NAME" >"$BOX/etc/hostname"
    printf '127.0.0.1 localhost %s\n' "$BOX_NAME" >"$BOX/etc/hosts"
    for unit in systemd-networkd.service systemd-networkd.socket systemd-resolved.service systemd-timesyncd.service \
        systemd-network-generator.service console-getty.service apt-daily.timer apt-daily-upgrade.timer; do
        ln -sf /dev/null "$BOX/etc/systemd/system/$unit"
    done
    [[ $1 == empty ]] || DESTDIR=$BOX cmake --install build/release >/dev/null
}

in_box() {
    nsenter -t "$BOX_LEADER" --all env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        SYSTEMD_PAGER= SYSTEMD_COLORS=0 "$@" </dev/null
}

# Its exit status says no where any unit failed
box_is_up() { [[ $(in_box systemctl is-system-running 2>/dev/null || true) =~ ^(running|degraded)$ ]]; }

# box_group: where the control groups of systemd are version 1, one of the box's own: two that share one take each other's
# services for theirs
box_group() {
    local all=/sys/fs/cgroup/systemd
    [[ -w $all/cgroup.procs ]] || return 0
    mkdir -p -- "$all/${POFR_TEST_WORK##*/}-$BOX_NAME"
    printf '%s\n' "$BASHPID" >"$all/${POFR_TEST_WORK##*/}-$BOX_NAME/cgroup.procs"
}

# What the kernel takes from whoever lacks it can't be given: a container gets what this machine has.
box_start() {
    (
        box_group
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=0 exec systemd-nspawn -D "$BOX" --boot --register=no --keep-unit --machine="$BOX_NAME" \
            --capability=CAP_NET_ADMIN,CAP_PERFMON,CAP_SYS_NICE --link-journal=no "${BOX_OPTIONS[@]}"
    ) >>"$BOX.log" 2>&1 </dev/null &
    BOX_PID=$!
    printf '%s\n' "$BOX_PID" >"$BOX.pids" # a case is a shell of its own, and the next one ends its box
    wait_until 30 box_leader_is_there || { cat -- "$BOX.log" >&2; return 1; }
    printf '%s %s\n' "$BOX_PID" "$BOX_LEADER" >"$BOX.pids"
    wait_until 60 box_is_up || { in_box systemctl list-jobs; in_box systemctl is-system-running; return 1; } >&2
}

box_leader_is_there() {
    BOX_LEADER=$(pgrep -P "$BOX_PID" | head -n 1)
    [[ -n $BOX_LEADER && $(readlink -- "/proc/$BOX_LEADER/exe") == */systemd ]]
}

# box_stop: as if its power were cut; what is on its disk stays
box_stop() {
    [[ -n $BOX_PID || ! -e $BOX.pids ]] || read -r BOX_PID BOX_LEADER <"$BOX.pids"
    [[ -n $BOX_PID ]] || return 0
    rm -f -- "$BOX.pids"
    in_box systemctl --force --force poweroff >/dev/null 2>&1 || true
    wait_until 10 box_is_gone || kill -KILL ${BOX_LEADER:+"$BOX_LEADER"} "$BOX_PID" 2>/dev/null || true
    wait "$BOX_PID" 2>/dev/null || true
    BOX_PID=''
    box_group_end
}
box_is_gone() { ! kill -0 "$BOX_PID" 2>/dev/null; }

box_group_end() {
    local group=/sys/fs/cgroup/systemd/${POFR_TEST_WORK##*/}-$BOX_NAME
    [[ ! -d $group ]] || find "$group" -depth -type d -exec rmdir -- {} + 2>/dev/null || true
}

box_end() {
    box_stop
    rm -rf --one-file-system -- "$BOX"
}
