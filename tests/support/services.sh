# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# services.sh -- our programs as services in the box (box.sh), with the Kafka and MariaDB of the suite's own cluster, which
# must have been started with --tls: that is what first configurations ask for.
#
#   box_configure FOLDER; box_start; box_give_keys; systemctl start …; box_enrol
#   witness NAME      # what a process in there did is found in SQL

SERVICES=(pofr-collector pofr-shipper pofr-gateway pofr-worker@1 pofr-worker@2 pofr-merger@shard1 pofr-merger@shard2)

sql() { quickstart sql -N "$1"; }
answers_to() { [[ $(sql "$1") == "$2" ]]; }
ctl() { build/release/ctl/pofrctl --config "$POFR_TEST_WORK/ctl.conf" "$@"; }
show() { in_box systemctl show -P "$2" "$1"; }
is_inactive() { [[ $(show "$1" ActiveState) == inactive ]]; }
is_active() { [[ $(show "$1" ActiveState) == active ]]; }
said() { in_box journalctl --no-pager -o cat -u "$1"; }
has_said() { said "$1" | grep -qE -- "$2"; }

all_are_active() {
    local unit
    for unit in "${SERVICES[@]}"; do is_active "$unit" || return 1; done
}

# box_configure FOLDER: as an operator would, beginning with the first configurations, which lie in this folder of the box
box_configure() {
    local kafka head part etc=$BOX/etc/pofr
    kafka=127.0.0.1:$(part_field kafka 3)
    head=127.0.0.1:$(part_field head 3)
    GATEWAY=$(free_port)
    METRICS=$(free_port "$GATEWAY")
    install -d -m 755 -- "$etc"
    install -d -m 700 -- "$etc/secrets"
    install -d -m 755 -- "$etc/tls"
    install -m 644 -- "$POFR_STATE/secrets/pki/ca.crt" "$etc/tls/ca.crt"
    for part in gateway worker merger; do
        install -m 600 -- "$POFR_STATE/secrets/$part.pw" "$etc/secrets/$part.pw"
        install -m 640 -- "$POFR_STATE/secrets/pki/pofr-$part.pem" "$etc/tls/$part.pem"
        sed -e "s/^brokers = .*/brokers = $kafka/" -e "s/^address = .*/address = $head/" -e "s/:9465/:$METRICS/" \
            "$BOX$1/$part.conf" >"$etc/$part.conf.new"
        mv -- "$etc/$part.conf.new" "$etc/$part.conf"
    done
    printf '\n[metrics]\nlisten = 127.0.0.101:%s\n' "$METRICS" >>"$etc/gateway.conf"
    printf '\n[metrics]\nlisten = 127.0.0.102:%s\n' "$METRICS" >>"$etc/merger.conf"
    sed "s/127.0.0.102/127.0.0.103/" "$etc/merger.conf" >"$etc/merger-shard2.conf"
    mkdir -p -- "$BOX/etc/systemd/system/pofr-gateway.socket.d" "$BOX/etc/systemd/system/pofr-merger@shard2.service.d"
    printf '[Socket]\nListenStream=\nListenStream=127.0.0.1:%s\n' "$GATEWAY" >"$BOX/etc/systemd/system/pofr-gateway.socket.d/port.conf"
    printf '[Service]\nEnvironment=POFR_CONF=/etc/pofr/merger-shard2.conf\n' >"$BOX/etc/systemd/system/pofr-merger@shard2.service.d/conf.conf"
    sed -e "s/^addresses = .*/addresses = 127.0.0.1:$GATEWAY/" \
        -e "s|^host_key_file = .*|host_key_file = $BOX/var/lib/pofr/gateway/host_key.pub|" "$POFR_STATE/etc/ctl.conf" >"$POFR_TEST_WORK/ctl.conf"
}

# box_give_keys: to the users, who are there by now
box_give_keys() {
    local part
    for part in gateway worker merger; do in_box chgrp "pofr-$part" "/etc/pofr/tls/$part.pem"; done
}

# box_enrol: the box as a host of that name
box_enrol() {
    (umask 077 && ctl token create --output "$BOX/var/tmp/token")
    in_box pofr-agent enrol --config /etc/pofr/agent.conf --token-file /var/tmp/token --name box
    rm -- "$BOX/var/tmp/token"
}

# witness NAME: a process with a program, a folder and an open file that only a sandbox would hide
witness() {
    in_box sh -c "mkdir -p /home/1 /root/1 && cp /bin/sleep /home/1/$1 && cd /root/1 && exec 3>/tmp/$1.file && setsid /home/1/$1 900 >/dev/null 2>&1 &"
    wait_until 60 witness_is_found "$1" || { sql "SELECT * FROM host"; return 1; }
}
witness_is_found() {
    answers_to "SELECT COUNT(*) FROM process_file WHERE host = 'box' AND exe = '/home/1/$1' AND cwd = '/root/1' AND path = '/tmp/$1.file' AND fd = 3" 1
}

# knock SECONDS: connects all the time, says how many were refused, and how many came while the gateway was not there
knock() {
    python3 - "$GATEWAY" "$1" <<'EOP'
import socket, sys, time
port, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
refused = greeted = 0
waiting = []
while time.monotonic() < end:
    try:
        waiting.append(socket.create_connection(("127.0.0.1", port), 20))
    except OSError as error:
        refused += 1
        print("not connected:", error, file=sys.stderr)
    time.sleep(0.2)
    if len(waiting) > 20:
        waiting.pop(0).close()
last = socket.create_connection(("127.0.0.1", port), 20)
last.settimeout(20)
greeted = last.recv(8) == b"SSH-2.0-"
print(refused, greeted)
EOP
}
