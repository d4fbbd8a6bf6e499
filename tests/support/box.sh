# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# box.sh -- a machine of its own with systemd as its first process (systemd-nspawn), on this machine's network.
#
#   source …/support/chroot.sh     # for the minimal system it is made of
#   source …/support/box.sh
#   box_make FOLDER; box_start     # as a new machine; ends with the test, by box_stop
#   in_box COMMAND...              # as root in there
#
# Needs root. What is installed comes from build/release, so the box has this machine's Debian.

BOX='' BOX_PID='' BOX_LEADER=''
readonly BOX_LIBRARIES=(librdkafka1 libmariadb3 libssh-4 libssh2-1 libssl3 libzstd1 libmicrohttpd12 libcap2 libseccomp2)
readonly BOX_PACKAGES=(systemd systemd-sysv procps util-linux)

# box_libraries: their packages' names on this very machine (Debian 13 has others)
box_libraries() {
    local program
    for program in agent/pofr-agent gateway/pofr-gateway workers/pofr-worker merger/pofr-merger; do
        ldd "build/release/$program"
    done | sed -nE 's/.* => (\/[^ ]+) .*/\1/p' | sort -u | while read -r library; do
        dpkg-query -S "*/${library##*/}" 2>/dev/null | sed -nE 's/^([^:,]+):[a-z0-9]+: .*/\1/p' | head -n 1
    done | sort -u
}

# box_base: prints the archive of a minimal system with systemd and our libraries, made when it is not there
box_base() {
    local name tar base root=$POFR_TEST_WORK/base
    local -a packages
    name=$(sed -nE 's/^VERSION_CODENAME=//p' /etc/os-release)
    mapfile -t packages < <(box_libraries)
    packages+=("${BOX_PACKAGES[@]}")
    tar=$POFR_TREE/build/chroot/systemd-$name-$(printf '%s\n' "${packages[@]}" | sha256sum | cut -c1-8).tar
    if [[ ! -s $tar ]]; then
        base=$(chroot_base "$name") || return 1
        mkdir -p -- "$root"
        tar -C "$root" -xf "$base"
        cat /etc/resolv.conf >"$root/etc/resolv.conf"
        [[ -z $(apt_proxy) ]] || printf 'Acquire::http::Proxy "%s";\n' "$(apt_proxy)" >"$root/etc/apt/apt.conf.d/99proxy"
        printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
        chmod 755 -- "$root/usr/sbin/policy-rc.d"
        ROOT=$root in_chroot apt-get -q update >&2 || return 1
        ROOT=$root DEBIAN_FRONTEND=noninteractive in_chroot apt-get -q -o Dpkg::Use-Pty=0 install -y --no-install-recommends \
            "${packages[@]}" >&2 || return 1
        rm -rf -- "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb
        : >"$root/etc/machine-id"
        tar -C "$root" -cf "$tar.new" . && mv -- "$tar.new" "$tar"
        rm -rf --one-file-system -- "$root"
    fi
    printf '%s' "$tar"
}
