#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# enrolment without anybody looking on: who is refused, who may come at once, clones, and what stays on disk
# timeout: 400
# long-timeout: 1800
# order: 57
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/chroot.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/spaces.sh"
[[ -n ${POFR_TEST_OWN_MOUNTS:-} ]] || "$(dirname -- "${BASH_SOURCE[0]}")/../../deploy/kafka/fetch" >/dev/null # while there is a network
enter_own_mounts "$@"
enter_own_network "$@"
ip link set lo up
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/hosts.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/ansible.sh"
SPACES=$POFR_TEST_WORK/s
trap 'hosts_end; spaces_end; suite_finish' EXIT

W=$POFR_TEST_WORK
M=$W/m # machines, each with a name, a machine id and a state folder of its own
HOSTS_TICK=300ms HOSTS_BUNDLE_AGE=500ms

cluster() {
    [[ ! -e $W/cluster ]] || return 0
    [[ -e /etc/machine-id ]] || etc_of_our_own
    cluster_start gateway worker1 worker2
    hosts_network 2
    touch "$W/cluster"
}

# Only for us, as all mounts: a file can be put over another one only where that is
etc_of_our_own() {
    cp -a /etc "$W/etc"
    : >"$W/etc/machine-id"
    mount --bind "$W/etc" /etc
}

catalog() { admin_sql head "USE pofr_catalog; $1"; }
hosts() { catalog 'SELECT COUNT(*) FROM host'; }

# token FILE [OPTION...]: prints its number
token() {
    ctl --json token create --force --gateway "127.0.0.1:$(part_field gateway 3)" --output "$1" "${@:2}" | jq -r .token_id
}
token_is() { [[ $(ctl --json token list | jq -r ".[] | select(.token_id == $1) | .state") == "$2" ]]; }
secret_of() { sed 's/.*\.//' "$1"; }

# machine NAME [MACHINE_ID]
machine() {
    mkdir -p -- "$M/$1/run"
    printf '%s\n' "${2:-$(tr -d - </proc/sys/kernel/random/uuid)}" >"$M/$1/machine-id"
    printf '[agent]\nstate_dir = %s/state\nruntime_dir = %s/run\n[ship]\nconnect_timeout = 20s\n' "$M/$1" "$M/$1" >"$M/$1/agent.conf"
}

# on NAME COMMAND...: as that machine
on() {
    # shellcheck disable=SC2016
    unshare --mount --uts sh -ec 'mount --bind "$0/machine-id" /etc/machine-id; hostname "${0##*/}"; exec "$@"' "$M/$1" "${@:2}"
}
enrol() { on "$1" "$HOSTS_AGENT" enrol --config "$M/$1/agent.conf" --token-file "$2" "${@:3}"; }

# refused NAME FILE [OPTION...]: for good, with the words that all get, and nothing was entered
refused() {
    local before
    before=$(hosts)
    exit_code 4 enrol "$@" 2>"$W/said" || { cat -- "$W/said" >&2; return 1; }
    grep -F 'the token is unknown, used up, expired or not for this host' "$W/said"
    equal "$(hosts)" "$before" "hosts"
    [[ ! -e $M/$1/state/host.uuid ]]
}

a_token_that_is_not_for_a_host_is_refused() {
    local id t=$W/token
    cluster
    machine web1
    machine db1
    id=$(token "$t" --expires 1s)
    wait_until 20 token_is "$id" expired
    refused web1 "$t"
    id=$(token "$t" --pattern 'web%')
    refused db1 "$t"
    enrol web1 "$t" # who was refused has not used it up
    token_is "$id" used
    refused db1 "$t"
    refused db1 "$t" --name web2
    id=$(token "$t" --uses 3)
    ctl token revoke "$id"
    token_is "$id" revoked
    refused db1 "$t"
    token "$t"
    sed -i 's/......$/AAAAAA/' "$t"
    refused db1 "$t"
    id=$(token "$t" --uses 2 --group databases)
    enrol db1 "$t"
    equal "$(catalog "SELECT CONCAT(host_group, ' ', hostname) FROM host WHERE host = 'db1'")" "databases db1"
    equal "$(catalog "SELECT machine_id FROM host WHERE host = 'db1'")" "$(cat "$M/db1/machine-id")"
    token_is "$id" good
    enrol db1 "$t" # again: nothing is used
    equal "$(catalog "SELECT uses_left FROM token WHERE token_id = $id")" 1
}

# outcome NAME FILE [OPTION...]: its exit code becomes a file
outcome() {
    local status=0
    enrol "$@" >"$M/$1/said" 2>&1 || status=$?
    printf '%s\n' "$status" >"$M/$1/status"
}

a_token_with_a_count_is_for_exactly_so_many_at_once() {
    local id i t=$W/token name before
    cluster
    before=$(hosts)
    id=$(token "$t" --uses 5 --pattern 'node_')
    for i in {1..9}; do machine "node$i"; done
    for i in {1..9}; do outcome "node$i" "$t" & done
    wait
    equal "$(sort "$M"/node?/status | uniq -c | awk '{ print $1 "x" $2 }' | paste -sd' ')" "5x0 4x4" "exit codes"
    equal "$(hosts)" $((before + 5)) "hosts"
    equal "$(catalog "SELECT CONCAT(uses_left, ' ', (SELECT COUNT(*) FROM token_use u WHERE u.token_id = t.token_id)) FROM token t WHERE token_id = $id")" "0 5"
    # who had an answer that got lost asks again with the same key, and has the same answer
    name=$(grep -lx 0 "$M"/node?/status | head -n 1)
    name=$(basename "$(dirname "$name")")
    i=$(cat "$M/$name/state/host.uuid")
    rm -- "$M/$name/state/host.uuid"
    enrol "$name" "$t"
    equal "$(cat "$M/$name/state/host.uuid")" "$i" "the identity"
    equal "$(hosts)" $((before + 5)) "hosts"
}

# Each with a token of its own, all of one name: as images do that were not told who they are
machines_of_one_name_can_come_at_once() {
    local i
    cluster
    for i in {1..6}; do
        machine "image$i"
        token "$M/image$i/token"
    done
    for i in {1..6}; do outcome "image$i" "$M/image$i/token" --name localhost & done
    wait
    equal "$(cat "$M"/image?/status | sort -u)" 0 "exit codes"
    equal "$(catalog "SELECT GROUP_CONCAT(host ORDER BY number SEPARATOR ' ') FROM host WHERE hostname = 'localhost'")" \
        "localhost localhost-2 localhost-3 localhost-4 localhost-5 localhost-6"
}

# not_told SECRET PID...: by what everybody, or who is of the same user, sees of a process
not_told() {
    local pid
    for pid in "${@:2}"; do
        cat "/proc/$pid/cmdline" "/proc/$pid/environ" >"$W/told"
        [[ -s $W/told ]]
        nowhere "$1" "$W/told"
    done
}

# asking: the pid of the agent that has a connection to the gateway
asking() { ss -Htnp state established "dport = :$(part_field gateway 3)" | sed -n 's/.*"pofr-agent",pid=\([0-9]*\),.*/\1/p'; }
is_asking() { [[ -n $(asking) ]]; }

nothing_secret_stays_but_the_key() {
    local secret gateway waiter pid t=$W/token
    cluster
    machine plain
    token "$t" --uses 3
    secret=$(secret_of "$t")
    ((${#secret} >= 32))
    fails nowhere "$secret" "$W" # it would be found
    # while it is at work: the gateway stands still, so that there is time to look
    gateway=$(part_field gateway 2)
    kill -STOP "$gateway"
    enrol plain "$t" --remove-token --wait 60 &
    waiter=$!
    wait_until 20 is_asking || { kill -CONT "$gateway"; return 1; }
    pid=$(asking)
    not_told "$secret" "$pid" "$gateway" || { kill -CONT "$gateway"; return 1; }
    kill -CONT "$gateway"
    wait "$waiter"
    [[ ! -e $t ]]
    sync
    nowhere "$secret" "$W" # cluster, with its databases and logs, and machines
    equal "$(find "$M/plain/state" -type f -printf '%f %m\n' | sort | paste -sd' ')" \
        "enrol.lock 640 gateway.list 644 gateway.pin 644 host.key 600 host.name 644 host.uuid 644"
    equal "$(find "$M/plain/state" -type f -exec grep -lq 'PRIVATE KEY' {} \; -printf '%f\n')" host.key "files with a key"
}

# --- clones ---------------------------------------------------------------------------------------------------

cloned() { ctl --json host list | jq -r ".[] | select(.host == \"$1\") | .cloned"; }
answers() { [[ $(quickstart sql -N "$1") == "$2" ]]; }
finding() { answers "SELECT COUNT(*) FROM finding WHERE host = '$1' AND kind = '$2'" "$3"; }

# One that looks every second; the findings of machines that were enrolled come with its copy of the catalog's hosts
merger() {
    sed -e 's/^name = .*/&\nperiod = 1s/' "$POFR_STATE/etc/merger.conf" >"$W/merger.conf"
    "$BUILD/merger/pofr-merger" --config "$W/merger.conf" </dev/null >>"$W/merger.log" 2>&1 &
    process_note merger "$!"
}

merger_has_looked() { [[ $(metric merger pofr_merger_passes_total) -ge 2 ]]; }

a_clone_made_before_it_was_enrolled_is_noticed() {
    local id
    cluster
    merger
    id=$(tr -d - </proc/sys/kernel/random/uuid)
    for name in twin1 twin2 twin3; do machine "$name" "$id"; done
    token "$W/token" --uses 3
    enrol twin1 "$W/token"
    equal "$(cloned twin1)" null
    enrol twin2 "$W/token"
    equal "$(cloned twin1) $(cloned twin2)" "machine_id machine_id"
    enrol twin3 "$W/token"
    wait_until 30 answers "SELECT GROUP_CONCAT(DISTINCT host ORDER BY host) FROM finding WHERE kind = 'machine_id'" twin1,twin2,twin3
    answers "SELECT DISTINCT detail LIKE 'host twin1 has the same machine id%' FROM finding WHERE host = 'twin2'" 1
    ctl host show twin2 | grep -F 'host twin1 has the same machine id'
    equal "$(ctl --json host show twin2 | jq -r '.host[0].same_machine_id')" "twin1 twin3"
    ctl --json status >"$W/status" || true
    equal "$(jq -r '.cloned[] | .host + ":" + .cloned' "$W/status" | grep twin | paste -sd' ')" "twin1:machine_id twin2:machine_id twin3:machine_id"
    # a machine that was enrolled anew has its older host retired
    ctl host retire twin1
    ctl host retire twin3
    equal "$(cloned twin1) $(cloned twin2)" "null null"
    process_kill TERM merger
    merger # which looks at all hosts anew, and says nothing twice
    wait_until 20 merger_has_looked
    equal "$(quickstart sql -N "SELECT COUNT(*) - COUNT(DISTINCT host_id, at_time) FROM finding WHERE kind = 'machine_id'")" 0 "findings that were made twice"
    process_kill TERM merger
}

sealed() { python3 tests/support/spool.py "$HOSTS/$1/state" | sed -n '1s/.*sequence \([0-9]*\),.*/\1/p'; }
has_sealed() { [[ $(sealed "$1") -ge $2 ]]; }

one_key_on_two_machines_is_noticed() {
    cluster
    host_make host1
    host_space host1
    host_start host1
    wait_until 30 has_sealed host1 2
    process_kill TERM host1/collector host1/shipper
    equal "$(cloned host1)" null
    # its disk, copied
    mkdir -p -- "$HOSTS/host2/run"
    host_conf host2
    cp -a -- "$HOSTS/host1/state" "$HOSTS/host2/state"
    host_space host2
    for name in host1 host2; do host_start "$name"; done
    wait_until 60 finding host1 clone 2
    wait_until 10 finding host1 branch 1
    equal "$(cloned host1)" key
    ctl --json status >"$W/status" || true
    equal "$(jq -r '.cloned[] | select(.host == "host1") | .cloned' "$W/status")" key
    ctl host show host1 | grep -F "the host's key and state are on two machines"
    for name in host1 host2; do process_kill TERM "$name/collector" "$name/shipper"; done
}

# --- Ansible --------------------------------------------------------------------------------------------------

# A gateway for all of them, with the key that tokens name, as the user that the cluster's own one is
gateway_for_spaces() {
    local owner
    owner=$(stat -c %u:%g "$POFR_STATE/secrets/gateway.pw")
    mkdir -p -- "$W/gateway"
    chown "$owner" "$W/gateway"
    sed -e "s|^listen = 127.0.0.1:$(part_field gateway 3)|listen = $SPACES_GATEWAY:7022|" -e "s|^state_dir = .*|state_dir = $W/gateway|" \
        -e "s/^name = .*/name = spaces/" -e '/^\[metrics\]/,$d' "$POFR_STATE/etc/gateway.conf" >"$W/gateway.conf"
    setpriv --reuid="${owner%:*}" --regid="${owner#*:}" --clear-groups "$BUILD/gateway/pofr-gateway" --config "$W/gateway.conf" </dev/null >>"$W/gateway.log" 2>&1 &
    process_note gateway-for-spaces "$!"
    wait_until 20 grep -q ' gateway ready ' "$W/gateway.log"
    sed "s|^addresses = .*|addresses = $SPACES_GATEWAY:7022|" "$POFR_STATE/etc/ctl.conf" >"$W/ctl.conf"
}

ansible_begin() {
    [[ ! -e $A ]] || return 0
    spaces_begin
    gateway_for_spaces
    ansible_make
    cat >"$A/variables.yml" <<EOV
pofr_agent_packages: []
pofr_agent_options:
  agent: {state_dir: /var/lib/pofr/agent, runtime_dir: /run/pofr}
  collect: {bundle_age: 1s, sandbox: "no"}
pofr_ctl: [$BUILD/ctl/pofrctl, --config, $W/ctl.conf]
EOV
}

# inventory NAME...: of these machines, which are made
inventory() {
    local name
    local -a pids=()
    for name; do
        [[ -e $SPACES/$name.pid ]] || space_make "$name"
        pids+=("$name" "$(cat "$SPACES/$name.pid")")
    done
    inventory_of "${pids[@]}"
}

of_group() { catalog "SELECT CONCAT_WS(' ', COUNT(*), COUNT(DISTINCT machine_id), COUNT(DISTINCT peer), SUM(hostname = host), COUNT(DISTINCT host_uuid)) FROM host WHERE host_group = '$1'"; }
group_state() { printf '%s' "$SPACES/$1/root/var/lib/pofr/agent"; }

# What modules tell the machine's log, from its socket there
syslog_of() {
    python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True: sys.stdout.buffer.write(s.recv(65536) + b"\n"); sys.stdout.flush()' "$SPACES/$1/root/dev/log" >"$W/syslog" &
    process_note syslog "$!"
    wait_until 10 test -S "$SPACES/$1/root/dev/log"
}

# enrolled_by_ansible GROUP NAME...: each is what the catalog says, and nothing is left of any token; a second run changes nothing
enrolled_by_ansible() {
    local group=$1 name n=$(($# - 1))
    shift
    inventory "$@"
    syslog_of "$1"
    play "$W/first" -e "pofr_token_group=$group"
    equal "$(recap "$W/first" failed) $(recap "$W/first" unreachable)" "0 0"
    equal "$(of_group "$group")" "$n $n $n $n $n" "hosts, their machine ids, addresses, names, identities"
    for name; do
        equal "$(catalog "SELECT CONCAT(machine_id, ' ', LOWER(HEX(host_uuid))) FROM host WHERE host = '$name'")" \
            "$(cat "$SPACES/$name/root/etc/machine-id") $(tr -d - <"$(group_state "$name")/host.uuid")" "what $name is"
    done
    equal "$(catalog "SELECT CONCAT(COUNT(*), ' ', SUM(uses_left)) FROM token WHERE note = 'ansible' AND host_group = '$group'")" "$n 0" "tokens"
    grep -q 'ansible' "$W/syslog"
    nowhere "pofr1.$SPACES_GATEWAY:7022." "$W"/[!s]* "$W/syslog" "$SPACES"/*/upper "$SPACES"/*/root/{root,run,tmp,var/tmp,var/log,var/lib/pofr}
    process_kill KILL syslog
    rm -f -- "$SPACES/$1/root/dev/log"
    play "$W/second" -e "pofr_token_group=$group"
    equal "$(recap "$W/second" changed) $(recap "$W/second" failed)" "0 0" "changes"
    equal "$(of_group "$group")" "$n $n $n $n $n" "hosts"
}

ansible_enrols_machines_and_changes_nothing_then() {
    local holder
    cluster
    ansible_begin
    enrolled_by_ansible few few1 few2 few3 few4
    # and one of them records
    in_space few2 sh -c 'pofr-agent run --config /etc/pofr/agent.conf >/run/agent.log 2>&1 & echo $!' >"$W/agent.pid"
    wait_until 60 answers "SELECT COUNT(*) FROM host WHERE host = 'few2' AND bundles > 0" 1 || { cat -- "$SPACES/few2/root/run/agent.log"; return 1; }
    in_space few2 kill -TERM "$(cat "$W/agent.pid")"
}

# --- the rest: with --long --------------------------------------------------------------------------------------

ansible_enrols_a_hundred_machines() {
    local -a names
    cluster
    ansible_begin
    mapfile -t names < <(seq -f 'hundred%g' 100)
    enrolled_by_ansible hundred "${names[@]}"
}

# Of two machines with a token for one, the other is told why, and comes with the next
ansible_takes_a_token_with_a_count() {
    cluster
    ansible_begin
    inventory count1 count2
    token "$A/token" --gateway "$SPACES_GATEWAY:7022" --group count
    fails play "$W/first" -e "pofr_token_file=$A/token"
    equal "$(recap "$W/first" failed)" 1
    grep -F 'the token is unknown, used up, expired or not for this host' "$W/first"
    token "$A/token" --gateway "$SPACES_GATEWAY:7022" --group count
    play "$W/second" -e "pofr_token_file=$A/token"
    equal "$(recap "$W/second" failed) $(recap "$W/second" changed)" "0 1"
    equal "$(of_group count)" "2 2 2 2 2" "hosts"
    nowhere "$(secret_of "$A/token")" "$W/first" "$W/second" "$SPACES"/*/upper "$SPACES"/*/root/{root,run,tmp,var/tmp,var/log,var/lib/pofr}
}

# A token that was made for a machine which can't be enrolled is good for nobody
ansible_revokes_what_was_not_used() {
    cluster
    ansible_begin
    inventory lost1
    fails play "$W/first" -e pofr_token_group=lost -e pofr_enrol_wait=1 -e "pofr_ctl=['$BUILD/ctl/pofrctl','--config','$W/nowhere.conf']"
    sed 's/^addresses = .*/addresses = 10.99.255.1:1/' "$W/ctl.conf" >"$W/nowhere.conf"
    fails play "$W/first" -e pofr_token_group=lost -e pofr_enrol_wait=1 -e "{\"pofr_ctl\": [\"$BUILD/ctl/pofrctl\", \"--config\", \"$W/nowhere.conf\"]}"
    grep -F '10.99.255.1:1' "$W/first"
    equal "$(catalog "SELECT GROUP_CONCAT(revoked) FROM token WHERE host_group = 'lost'")" 1 "revoked"
}

snippets_are_without_fault() {
    local program
    /usr/bin/python3 - deploy/enrol/cloud-init/pofr-agent.yaml "$W/first-boot" <<'EOP'
import sys
import yaml
with open(sys.argv[1], encoding="utf-8") as file:
    told = yaml.safe_load(file)
(script,) = (f["content"] for f in told["write_files"] if f["path"].endswith("first-boot"))
with open(sys.argv[2], "w", encoding="utf-8") as file:
    file.write(script)
EOP
    part deploy/enrol/kickstart/pofr-agent.ks '%post --erroronfail --log=/var/log/pofr-post.log' %end >"$W/post"
    part deploy/enrol/kickstart/pofr-agent.ks "cat >/etc/pofr/first-boot <<'EOF_FIRST_BOOT'" EOF_FIRST_BOOT >"$W/kickstart-first-boot"
    for program in first-boot post kickstart-first-boot; do
        [[ -s $W/$program ]]
        shellcheck --shell=sh --severity=warning "$W/$program"
    done
    (cd -- deploy/enrol/ansible && HOME=$W ansible-playbook -i localhost, --syntax-check enrol.yml)
}

QUICK=(snippets_are_without_fault
    a_token_that_is_not_for_a_host_is_refused a_token_with_a_count_is_for_exactly_so_many_at_once
    machines_of_one_name_can_come_at_once nothing_secret_stays_but_the_key
    a_clone_made_before_it_was_enrolled_is_noticed one_key_on_two_machines_is_noticed
    ansible_enrols_machines_and_changes_nothing_then)
LONG=(ansible_enrols_a_hundred_machines ansible_takes_a_token_with_a_count ansible_revokes_what_was_not_used)

each_case "${QUICK[@]}"
if is_more_wanted "${QUICK[@]}"; then each_case "${LONG[@]}"; fi
[[ $suite_failures -eq 0 ]]
