# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# machines.sh -- several boxes (box.sh) as the machines of one network that nobody else sees: each with an address and a name,
# ssh among them, and a mirror of Debian's packages, but no way out.
#
#   machines_begin                     # of the array MACHINES: "NAME ADDRESS"; mirror, switch, cables; ends with machines_end
#   machine_make NAME; box_start       # the last one named is the one of in_box
#   in_machine NAME COMMAND...
#   in_network NAME COMMAND...         # of this machine, with that one's network
#
# Needs root, and mounts of the suite's own (enter_own_mounts).

DOMAIN=example.org
BOX_BARE=yes
MIRROR=            # folder of the packages
MIRROR_PACKAGES=() # what can be installed in the machines, with what it depends on
declare -A ADDRESS=() HOLDER=()

# mirror_make: the packages as apt gets them for a machine that has nothing yet
mirror_make() {
    local tar proxy root=$POFR_TEST_WORK/base
    tar=$(box_base) || return 1
    MIRROR=${tar%.tar}-$(printf '%s\n' "${MIRROR_PACKAGES[@]}" | sha256sum | cut -c1-8)
    [[ ! -s $MIRROR/Packages || $tar -nt $MIRROR/Packages ]] || return 0
    rm -rf -- "$MIRROR.new"
    mkdir -p -- "$root" "$MIRROR.new"
    tar -C "$root" -xf "$tar"
    cat /etc/resolv.conf >"$root/etc/resolv.conf"
    proxy=$(apt_proxy)
    [[ -z $proxy ]] || printf 'Acquire::http::Proxy "%s";\n' "$proxy" >"$root/etc/apt/apt.conf.d/99proxy"
    {
        ROOT=$root in_chroot apt-get -q update
        ROOT=$root in_chroot apt-get -q -o Dpkg::Use-Pty=0 install -y --download-only --no-install-recommends "${MIRROR_PACKAGES[@]}"
    } >&2 || return 1
    mv -- "$root"/var/cache/apt/archives/*.deb "$MIRROR.new/"
    (cd -- "$MIRROR.new" && dpkg-scanpackages --multiversion . /dev/null >Packages) || return 1
    rm -rf --one-file-system -- "$root" "$MIRROR"
    mv -- "$MIRROR.new" "$MIRROR"
}

# network_hold: HELD is the process that keeps a network namespace of its own. It ends with the suite, however that ends
network_hold() {
    setpriv --pdeathsig KILL unshare --net sleep infinity </dev/null >/dev/null 2>&1 &
    HELD=$!
    wait_until 10 network_is_held
}
network_is_held() { [[ $(readlink "/proc/$HELD/ns/net") != "$(readlink /proc/self/ns/net)" && $(cat "/proc/$HELD/comm") == sleep ]]; }

in_network() { nsenter --target "${HOLDER[$1]}" --net "${@:2}"; }

machines_begin() {
    local name address
    mirror_make || return 1
    network_hold
    HOLDER[switch]=$HELD
    in_network switch ip link add switch type bridge
    in_network switch ip link set switch up
    printf '127.0.0.1 localhost\n' >"$POFR_TEST_WORK/hosts"
    while read -r name address; do
        ADDRESS[$name]=$address
        printf '%s %s.%s %s\n' "$address" "$name" "$DOMAIN" "$name" >>"$POFR_TEST_WORK/hosts"
        network_hold
        HOLDER[$name]=$HELD
        in_network switch ip link add "$name" type veth peer name eth0 netns "$HELD"
        in_network switch ip link set "$name" master switch up
        in_network "$name" ip address add "$address/24" dev eth0
        in_network "$name" ip link set eth0 up
        in_network "$name" ip link set lo up
    done < <(printf '%s\n' "${MACHINES[@]}")
    mount --bind "$POFR_TEST_WORK/hosts" /etc/hosts # these names, for us alone
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$POFR_TEST_WORK/ssh_key"
}

# machine_use NAME [NSPAWN OPTION...]
machine_use() {
    box_choose "$1"
    BOX_OPTIONS=("--network-namespace-path=/proc/${HOLDER[$1]}/ns/net" "--bind-ro=$MIRROR:/srv/mirror" "${@:2}")
}

# machine_make NAME: Debian, its mirror, and root's ssh to all others
machine_make() {
    machine_use "$1"
    box_make empty
    cat -- "$POFR_TEST_WORK/hosts" >"$BOX/etc/hosts"
    rm -f -- "$BOX"/etc/apt/apt.conf.d/99proxy "$BOX"/etc/apt/sources.list.d/*
    printf 'deb [trusted=yes] file:/srv/mirror ./\n' >"$BOX/etc/apt/sources.list"
    install -d -m 700 -- "$BOX/root/.ssh"
    install -m 600 -- "$POFR_TEST_WORK/ssh_key" "$BOX/root/.ssh/id_ed25519"
    install -m 600 -- "$POFR_TEST_WORK/ssh_key.pub" "$BOX/root/.ssh/authorized_keys"
    printf 'StrictHostKeyChecking accept-new\nLogLevel ERROR\n' >"$BOX/root/.ssh/config"
}

in_machine() {
    box_choose "$1"
    in_box "${@:2}"
}

# What was said there stays where a case failed.
machines_end() {
    local name
    for name in "${!ADDRESS[@]}"; do
        box_choose "$name"
        [[ $suite_failures -eq 0 ]] || in_box journalctl --no-pager -o short-iso-precise >"$BOX.journal.log" 2>&1 || true
        box_end || true
    done
    for name in "${!HOLDER[@]}"; do kill -KILL "${HOLDER[$name]}" 2>/dev/null || true; done
}
