# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# spaces.sh -- machines for what configures machines: namespaces of their own (mounts, name, network, processes) over a
# copy-on-write view of this machine's root, with our programs installed. Each has a name, a machine id, an address.
#
#   enter_own_mounts "$@"; enter_own_network   # before suite.sh
#   source …/support/suite.sh; source …/support/hosts.sh; source …/support/spaces.sh
#   spaces_begin            # the layer with the programs, and SPACES_GATEWAY, the address that all of them reach
#   space_make NAME         # $SPACES/NAME.pid; its root is $SPACES/NAME/root
#   in_space NAME COMMAND...
#
# A suite that uses it ends them:    trap 'hosts_end; spaces_end; suite_finish' EXIT

SPACES=$POFR_TEST_WORK/s
SPACES_GATEWAY=10.99.255.1

# enter_own_network: start this script again with a network of its own, where nothing but what it makes is reachable
enter_own_network() {
    [[ -z ${POFR_TEST_OWN_NETWORK:-} ]] || return 0
    exec env POFR_TEST_OWN_NETWORK=yes unshare --net "$0" "$@"
}

# Not in a file system that is itself seen through it
spaces_begin() {
    mkdir -p -- "$SPACES"
    mount -t tmpfs -o size=1g,mode=711 spaces "$SPACES"
    mkdir -p -- "$SPACES/layer/etc/pofr"
    DESTDIR=$SPACES/layer cmake --install build/release >/dev/null
    ip link set lo up
    ip address add "$SPACES_GATEWAY/32" dev lo
}

# Whoever was in there has ended
spaces_end() { ! mountpoint -q "$SPACES" || umount -R --lazy "$SPACES"; }

space_make() {
    local name=$1 dir=$SPACES/$1 n a holder pid folder node
    mkdir -p -- "$dir"
    n=$(find "$SPACES" -mindepth 1 -maxdepth 1 -type d | wc -l) # a variable would be forgotten: each case is a shell of its own
    a=10.99.$((n / 64)).$((n % 64 * 4))
    mkdir -- "$dir/upper" "$dir/work" "$dir/root"
    mount -t overlay -o "lowerdir=$SPACES/layer:/,upperdir=$dir/upper,workdir=$dir/work" space "$dir/root"
    tr -d - </proc/sys/kernel/random/uuid >"$dir/root/etc/machine-id"
    printf '%s\n' "$name" >"$dir/root/etc/hostname"
    printf '127.0.0.1 localhost\n' >"$dir/root/etc/hosts"
    mkdir -p -- "$dir/root/var/lib/pofr"
    for folder in dev root run tmp var/tmp var/log var/lib/pofr; do # what is this machine's own is not seen
        mount -t tmpfs -o size=64m space "$dir/root/$folder"
    done
    chmod 700 -- "$dir/root/root"
    chmod 755 -- "$dir"/root/{dev,run,var/log,var/lib/pofr}
    for node in null zero full random urandom tty; do
        touch -- "$dir/root/dev/$node"
        mount --bind "/dev/$node" "$dir/root/dev/$node"
    done
    ln -s /proc/self/fd "$dir/root/dev/fd"
    # shellcheck disable=SC2016
    setsid unshare --mount --uts --net --ipc --pid --fork --kill-child sh -ec '
        mount -t proc proc "$1/proc"
        hostname "$0"
        exec chroot "$1" sleep infinity' "$name" "$dir/root" </dev/null >"$SPACES/$name.log" 2>&1 &
    holder=$!
    mkdir -p -- "$HOSTS/$name"
    process_note "$name/space" "$holder"
    wait_until 10 has_child "$holder"
    pid=$(child_of "$holder")
    printf '%s\n' "$pid" >"$SPACES/$name.pid"
    wait_until 10 space_is_there "$pid"
    ip link add "v$n" type veth peer name eth0 netns "$pid"
    ip address add "${a%.*}.$((${a##*.} + 1))/30" dev "v$n"
    ip link set "v$n" up
    in_space "$name" sh -ec "ip link set lo up; ip address add ${a%.*}.$((${a##*.} + 2))/30 dev eth0; ip link set eth0 up
        ip route add default via ${a%.*}.$((${a##*.} + 1))"
}
space_is_there() { [[ $(cat "/proc/$1/comm" 2>/dev/null) == sleep ]]; }

in_space() {
    nsenter --target "$(cat "$SPACES/$1.pid")" --mount --uts --net --ipc --pid --root --wdns=/ env -i HOME=/root LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${@:2}"
}
