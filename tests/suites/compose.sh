#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# the containers: no service may more than it needs; with --long compose.yaml on a real engine: up, scaled, killed, restarted
# timeout: 120
# long-timeout: 3000
# order: 47
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/hosts.sh"
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/engine.sh"
trap 'hosts_end; engine_end; suite_finish' EXIT

W=$POFR_TEST_WORK
P=$W/tree/deploy/compose # one broker, in a copy of the tree, as README.md there says
P3=$W/pofr3              # three, in a folder of its own
COMPOSE_FILE=$POFR_TREE/deploy/compose/compose.yaml

config() { docker-compose --env-file "$1" --file "$COMPOSE_FILE" config; }

no_service_may_more_than_it_needs() {
    deploy/compose/prepare "$W/a"
    config "$W/a/.env" >"$W/config"
    tests/support/compose_services.py <"$W/config"
    sed -E 's/^( *)privileged: .*//; s/^( *)read_only: true$/\1read_only: false/' "$W/config" >"$W/config.bad" # would it say something?
    fails tests/support/compose_services.py <"$W/config.bad"
}

nothing_starts_that_was_not_prepared() {
    : >"$W/empty"
    fails config "$W/empty" 2>"$W/said"
    grep -q 'run deploy/compose/prepare first' "$W/said"
}

what_was_prepared_is_kept() {
    deploy/compose/prepare "$W/b"
    (cd -- "$W/b" && find . -type f -exec sha256sum {} +) >"$W/before"
    equal "$(wc -l <"$W/before")" 15 "files"
    equal "$(find "$W/b/secrets" -type f ! -perm 640)" "" "secrets that others may read"
    deploy/compose/prepare "$W/b"
    (cd -- "$W/b" && sha256sum --quiet -c "$W/before")
    exit_code 4 deploy/compose/prepare --cluster "$W/b"
    deploy/compose/prepare --cluster "$W/c"
    deploy/compose/prepare "$W/c"
    config "$W/c/.env" >"$W/config"
    grep -q 'KAFKA_CONTROLLER_QUORUM_VOTERS: 1@kafka:9093,2@kafka2:9093,3@kafka3:9093' "$W/config"
    fails cmp -s -- "$W/b/secrets/admin.pw" "$W/c/secrets/admin.pw"
    grep -q '^COMPOSE_PROJECT_NAME=c$' "$W/c/.env"
    deploy/compose/prepare --monitoring "$W/c"
    deploy/compose/prepare --monitoring --agent "$W/c"
    equal "$(grep '^COMPOSE_PROFILES=' "$W/c/.env")" COMPOSE_PROFILES=cluster,monitoring,agent "what is used"
    mkdir -- "$W/d"
    printf 'POFR_WORKERS=3\n' >"$W/d/.env" # written before
    deploy/compose/prepare "$W/d"
    equal "$(grep -cE '^(POFR_WORKERS=3|POFR_KAFKA_CLUSTER_ID=.+)$' "$W/d/.env")" 2 "lines of .env"
    exit_code 2 deploy/compose/prepare --shards
}

# What a clone under umask 077 has: MariaDB passes over a file that it may not read, and says nothing.
containers_can_read_what_they_are_given() {
    mkdir -- "$W/strict"
    tar -cf - deploy | tar -C "$W/strict" -xf -
    chmod -R go-rwx -- "$W/strict"
    "$W/strict/deploy/compose/prepare" 2>/dev/null
    "$W/strict/deploy/compose/prepare" "$W/g" 2>/dev/null
    equal "$(find "$W/strict/deploy"/{compose/etc,mariadb,monitoring} "$W/g/etc" \( ! -perm -o=r -o -type d ! -perm -o=x \))" "" "what others can't read"
    equal "$(find "$W/strict/deploy/compose/secrets" -type f -perm /o=rwx)" "" "secrets that others may read"
}

configurations_are_good() {
    build_preset dev --target pofr-agent pofr-gateway pofr-worker pofr-merger pofrctl >/dev/null
    build/dev/agent/pofr-agent collect --config "$PWD/deploy/compose/etc/agent.conf" --check-config
    build/dev/gateway/pofr-gateway --config "$PWD/deploy/compose/etc/gateway.conf" --check-config
    build/dev/workers/pofr-worker --config "$PWD/deploy/compose/etc/worker.conf" --check-config
    build/dev/merger/pofr-merger --config "$PWD/deploy/compose/etc/merger.conf" --check-config
    build/dev/ctl/pofrctl --config "$PWD/deploy/compose/etc/ctl.conf" --check-config
    promtool check config --syntax-only deploy/compose/etc/prometheus.yml
}

# pofrctl says 1 where something is wrong: where nobody can be asked it is not 1.
where_no_engine_answers_ctl_says_3() {
    mkdir -p -- "$W/client" "$W/e1"
    printf 'COMPOSE_PROJECT_NAME=e1\n' >"$W/e1/.env"
    printf '#!/bin/sh\necho "no engine answers" >&2; exit 1\n' >"$W/client/docker"
    chmod 755 -- "$W/client/docker"
    exit_code 3 deploy/compose/ctl --folder "$W/client" status 2>"$W/said"
    grep -q 'deploy/compose/prepare makes it' "$W/said"
    PATH=$W/client:$PATH exit_code 3 deploy/compose/ctl --folder "$W/e1" topic health 2>"$W/said"
    grep -q 'no engine answers' "$W/said"
    exit_code 3 deploy/compose/reload --folder "$W/client" 2>"$W/said"
    grep -q 'deploy/compose/prepare makes it' "$W/said"
    PATH=$W/client:$PATH exit_code 3 deploy/compose/reload --folder "$W/e1" 2>"$W/said"
    grep -q 'no engine answers' "$W/said"
}

# As the engine does: what .dockerignore lets through, and nothing else. All that the configuration reads must be there.
an_image_gets_all_that_its_build_reads() {
    mkdir -- "$W/context"
    sed -n 's/^!//p' .dockerignore | xargs tar -cf - -- | tar -C "$W/context" -xf -
    cmake -S "$W/context" -B "$W/context/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DBUILD_TESTING=OFF
    ninja -C "$W/context/build" -n pofr-agent pofr-gateway pofr-worker pofr-merger pofrctl >/dev/null
}

# With an engine that ends at once; afterwards nothing else of --long is tried.
where_no_engine_can_be_started_the_test_says_so() {
    mkdir -- "$W/none"
    printf '#!/bin/sh\necho "not on this machine"; exit 1\n' >"$W/none/dockerd"
    chmod 755 -- "$W/none/dockerd"
    PATH=$W/none:$PATH ENGINE=$W/none/e DOCKER_HOST=unix://$W/none/sock fails engine_run 2>"$W/said"
    grep -q 'no container engine can be started here' "$W/said"
    grep -q 'not on this machine' "$W/said"
}

QUICK=(no_service_may_more_than_it_needs nothing_starts_that_was_not_prepared what_was_prepared_is_kept containers_can_read_what_they_are_given configurations_are_good where_no_engine_answers_ctl_says_3 an_image_gets_all_that_its_build_reads where_no_engine_can_be_started_the_test_says_so)

each_case "${QUICK[@]}"
if ! is_more_wanted "${QUICK[@]}"; then
    [[ $suite_failures -eq 0 ]]
    exit
fi

# --- on a real engine ---------------------------------------------------------------------------------------------

HOSTS_COUNT=8 HOSTS_WHOLE=1
PROGRAMS=(agent gateway worker merger ctl)
COLLECTOR_CAPABILITIES=0000000000a81004

an_engine_can_be_started() { engine_start; }

# sql FOLDER STATEMENT: as the analyst, on the head
sql() {
    [[ -s $1/analyst.cnf ]] || (umask 077 && printf '[client]\nhost=127.0.0.1\nport=%s\nuser=pofr_analyst\npassword=%s\ndatabase=pofr\nssl-ca=%s\nssl-verify-server-cert\n' \
        "$(setting "$1" POFR_HEAD_PORT)" "$(cat -- "$1/secrets/analyst.pw")" "$1/secrets/tls/head/ca.crt" >"$1/analyst.cnf")
    mariadb --defaults-file="$1/analyst.cnf" --batch --skip-column-names -e "$2"
}
setting() { sed -n "s/^$2=//p" "$1/.env"; }
answers_to() { [[ $(sql "$1" "$2" 2>/dev/null) == "$3" ]]; }
tool() { deploy/compose/ctl --folder "$1" "${@:2}" </dev/null; }

# env_make FOLDER: small, and on ports that nobody has
env_make() {
    local head gateway gateway2
    head=$(free_port)
    gateway=$(free_port "$head")
    gateway2=$(free_port "$head" "$gateway")
    {
        printf 'POFR_%s\n' "PROMETHEUS_PORT=$(free_port "$head" "$gateway" "$gateway2")" SHARD_POOL=128M SHARD_REDO=96M HEAD_POOL=64M KAFKA_HEAP=384m "HEAD_PORT=$head" \
            GATEWAY_ADDRESS=127.0.0.1 "GATEWAY_PORT=$gateway" "GATEWAY2_PORT=$gateway2"
    } >>"$1/.env"
}

# readme N [LINE]: the Nth block of commands of deploy/compose/README.md, or a line of it, at a terminal. There is no
# `docker compose` for this engine, but docker-compose, which the page says is as good.
readme() {
    [[ -x $W/bin/docker ]] || {
        mkdir -p -- "$W/bin"
        printf '#!/bin/sh\n[ "$1" != compose ] || { shift; exec docker-compose "$@"; }\nexec %s "$@"\n' "$(command -v docker)" >"$W/bin/docker"
        chmod 755 -- "$W/bin/docker"
    }
    awk -v wanted="$1" -v line="${2:-}" '$0 == "```shell" { n++; at = 0; on = n == wanted; next } /^```/ { on = 0 }
        on && (line == "" || ++at == line)' deploy/compose/README.md | grep . >"$W/block"
    (cd -- "$P" && PATH=$W/bin:$PATH COMPOSE_HTTP_TIMEOUT=300 script --quiet --return --command "bash -euxo pipefail $W/block" /dev/null </dev/null)
}

images_are_built() {
    local begin
    mkdir -p -- "$W/tree/build"
    tree_files | tar --null -T - -cf - | tar -C "$W/tree" -xf -
    if [[ -d build/cache ]]; then cp -a -- build/cache "$W/tree/build/"; fi # the broker's jars
    if [[ -d build/chroot ]]; then cp -al -- build/chroot "$W/tree/build/" || cp -a -- build/chroot "$W/tree/build/"; fi
    readme 10
    grep '^POFR_' "$P/.env" >"$W/images"
    env_make "$P"
    begin=$(now_ms)
    readme 1
    printf 'figure: images built in %s s (packages for compiling included)\n' "$(seconds $(($(now_ms) - begin)))"
}

# files_of IMAGE: all that is in it
files_of() {
    local id
    id=$(docker create "$1")
    docker export "$id" | tar -t
    docker rm "$id" >/dev/null
}

images_hold_one_program_and_no_shell() {
    local name image user size
    for name in "${PROGRAMS[@]}"; do
        image=pofr/$name:$(sed -nE 's/^project\(pofr VERSION ([0-9.]+).*/\1/p' CMakeLists.txt)
        size=$(inspect "$image" '{{.Size}}')
        user=$(inspect "$image" '{{.Config.User}}')
        printf 'figure: image %s: %s MB\n' "$name" $((size / 1000000))
        ((size < 40000000))
        [[ $user =~ ^1000[1-6]:1000[1-6]$ || $user =~ ^1000[1-6]$ ]]
        files_of "$image" >"$W/files"
        equal "$(grep -cE '^(usr/)?s?bin/[^/]+$' "$W/files")" 1 "programs in $image"
        fails grep -E '(^|/)(sh|bash|dash|busybox|apt|dpkg|perl|python3)$' "$W/files"
        grep -q '^usr/share/doc/pofr/licences/libc6$' "$W/files"
        [[ $name == ctl || $(inspect "$image" '{{json .Config.Healthcheck.Test}}') == *'"/usr/bin/pofr-'* ]]
    done
}

# healthy FOLDER SERVICE...: all of its containers that run, and one does at least
healthy() {
    local service id folder=$1
    shift
    for service; do
        [[ -n $(containers "$folder" "$service") ]] || return 1
        for id in $(containers "$folder" "$service"); do
            [[ $(inspect "$id" '{{.State.Health.Status}}') == healthy ]] || return 1
        done
    done
}
SERVERS=(kafka head shard1 shard2)
SERVICES=(gateway worker merger collector shipper)

from_nothing_to_rows_in_sql() {
    local begin
    begin=$(now_ms)
    (wait_until 240 answers_to "$P" 'SELECT COUNT(*) > 0 FROM process' 1 && now_ms >"$W/first") &
    readme 2
    wait "$!"
    printf 'figure: from "up" to the first rows in SQL: %s s\n' "$(seconds $(($(cat -- "$W/first") - begin)))"
    equal "$("$P/sql" --folder "$P" -N 'SELECT COUNT(*) > 0 FROM process')" 1 "deploy/compose/sql"
    exit_code 1 "$P/sql" 'DELETE FROM process' # who asks can only read
    all_well "$P" 120 "${SERVERS[@]}" "${SERVICES[@]}"
    compose "$P" run --rm -T ctl topic check
    wait_until 60 is_whole "$P" || { cat -- "$W/health"; return 1; }
    readme 3
    exit_code 2 "$P/ctl" --folder "$P" topic sing
    exit_code 3 "$P/ctl" --folder "$W/d" status # which never ran
    # the machine is enrolled, and its token is no longer anywhere
    equal "$(find "$(docker volume inspect --format '{{.Mountpoint}}' "$(project "$P")_agent")" -name 'token*' -o -name host.uuid | sed 's|.*/||')" host.uuid
}

# Who asks and who answers: a process of this machine, outside of any container
what_happens_on_the_machine_is_found() {
    local witness=$W/witness
    cp -- "$(command -v sleep)" "$witness"
    "$witness" 600 3>"$W/witness.file" &
    wait_until 60 answers_to "$P" "SELECT COUNT(*) FROM process_file WHERE exe = '$witness' AND path = '$W/witness.file' AND pid = $!" 1
    kill "$!"
    # and those in containers, as the kernel names them
    wait_until 60 answers_to "$P" "SELECT COUNT(*) FROM process WHERE exe = '/usr/bin/pofr-merger' AND container = '$(container "$P" merger)' AND ended > UTC_TIMESTAMP()" 1
    answers_to "$P" "SELECT value FROM hostinfo WHERE name = 'hostname' AND ended > UTC_TIMESTAMP()" "$(hostname)"
    [[ ! -r /proc/1/root/etc/passwd ]] || wait_until 60 answers_to "$P" 'SELECT COUNT(*) > 5 FROM userinfo' 1
}

# queried FOLDER QUERY: the values that Prometheus has
queried() { curl -sf --max-time 5 -G --data-urlencode "query=$2" "http://127.0.0.1:$(setting "$1" POFR_PROMETHEUS_PORT)/api/v1/query" | jq -r '.data.result[].value[1]'; }
queried_is() { equal "$(queried "$1" "$2")" "$3" "$2"; }

# Grafana could not be had: of the profile only Prometheus is started.
the_profile_monitoring_watches_each_container() {
    compose "$P" up -d prometheus
    wait_until 120 healthy "$P" prometheus
    wait_until 60 queried_is "$P" 'count by (job) (up{job="pofr-worker"} == 1)' 2
    wait_until 60 queried_is "$P" 'count(up == 1)' 4
    wait_until 60 queried_is "$P" 'pofr:hosts:sum{state="reporting"}' 1
    wait_until 60 queried_is "$P" 'count(ALERTS{alertstate="firing"}) or vector(0)' 0
}

status_of() { sed -nE "s/^$2:[[:space:]]+([^[:space:]]+).*/\1/p" "/proc/$1/status"; }

running_programs_have_no_more_than_they_need() {
    local service id pid capabilities
    for service in "${SERVICES[@]}"; do
        for id in $(containers "$P" "$service"); do
            pid=$(inspect "$id" '{{.State.Pid}}')
            capabilities=0000000000000000
            [[ $service != collector ]] || capabilities=$COLLECTOR_CAPABILITIES
            equal "$(status_of "$pid" CapPrm)" "$capabilities" "capabilities of $service"
            equal "$(status_of "$pid" NoNewPrivs) $(status_of "$pid" Seccomp)" "1 2" "$service"
            [[ $(status_of "$pid" Uid) =~ ^1000[1-6]$ ]]
            equal "$(inspect "$id" '{{.HostConfig.ReadonlyRootfs}}')" true "read-only root of $service"
        done
    done
}

# Each another key, name and spool; the gateway is reached through the published port.
eight_hosts_are_enrolled() {
    local i name dir
    build_preset release --target pofr-agent >/dev/null
    mkdir -p -- "$HOSTS"
    for ((i = 0; i < HOSTS_COUNT; i++)); do setting "$P" POFR_GATEWAY_PORT; done >"$HOSTS/ports"
    tool "$P" token create --uses "$HOSTS_COUNT" --gateway "127.0.0.1:$(setting "$P" POFR_GATEWAY_PORT)" >"$W/token"
    chmod 600 -- "$W/token"
    for name in $(hosts_names); do
        dir=$HOSTS/$name
        mkdir -p -- "$dir/run"
        host_conf "$name"
        "$HOSTS_AGENT" enrol --config "$dir/agent.conf" --token-file "$W/token" --name "$name"
        [[ ${name#host} -le $HOSTS_WHOLE ]] || host_space "$name"
        host_start "$name"
    done
    wait_until 60 answers_to "$P" 'SELECT COUNT(*) FROM host WHERE bundles > 3' $((HOSTS_COUNT + 1))
}

# The machine of this one is a space of its own, and it is in a container of that: names and files of the machine are
# those that process 1 has, not what the container has in their place.
the_machine_is_that_of_process_1() {
    local name=host9 dir=$HOSTS/host9 space
    local -a inside
    setting "$P" POFR_GATEWAY_PORT >>"$HOSTS/ports"
    mkdir -p -- "$dir/run"
    host_conf "$name" 'agent container = yes'
    host_space "$name"
    tool "$P" token create --gateway "127.0.0.1:$(setting "$P" POFR_GATEWAY_PORT)" >"$dir/token"
    chmod 600 -- "$dir/token"
    in_host "$name" "$HOSTS_AGENT" enrol --config "$dir/agent.conf" --token-file "$dir/token" --name "$name"
    printf 'PRETTY_NAME="inside"\n' >"$dir/os-release"
    printf 'inside:x:0:0::/:/bin/sh\n' >"$dir/passwd"
    space=$(child_of "$(process_pid "$name/space")")
    inside=(nsenter --target "$space" --pid --mount --uts -- unshare --uts --mount dash -ec
        'hostname inside; mount --bind "$0/os-release" /etc/os-release; mount --bind "$0/passwd" /etc/passwd; exec "$@"' "$dir")
    setsid "${inside[@]}" "$HOSTS_AGENT" collect --config "$dir/agent.conf" </dev/null >>"$dir/collector.log" 2>&1 &
    wait_until 10 has_child "$!"
    process_note "$name/collector" "$(child_of "$!")" "$!"
    host_start "$name" shipper
    wait_until 60 answers_to "$P" "SELECT COUNT(*) > 0 FROM hostinfo WHERE host = '$name'" 1
    equal "$(sql "$P" "SELECT value FROM hostinfo WHERE host = '$name' AND name = 'hostname'")" "$name" hostname
    equal "$(sql "$P" "SELECT value FROM hostinfo WHERE host = '$name' AND name = 'os'")" "$(. /etc/os-release && printf '%s' "$PRETTY_NAME")" os
    wait_until 60 answers_to "$P" "SELECT COUNT(*) FROM userinfo WHERE host = '$name'" "$(grep -c . /etc/passwd)"
}

# bundles: "host count" a line, for every host
bundles() { sql "$P" "SELECT CONCAT(host, ' ', COALESCE(bundles, 0)) FROM host ORDER BY host"; }
# more_than BEFORE N: has every host N bundles more than then?
more_than() {
    [[ $(join -j 1 <(printf '%s\n' "$1") <(bundles) | awk -v n="$2" '$3 < $2 + n { bad++ } END { print (NR > 8 && !bad) }') == 1 ]]
}
# goes_on N: every host's next N bundles arrive
goes_on() { wait_until 120 more_than "$(bundles)" "$1" || { hosts_gone; dmesg -T | tail -n 5; return 1; }; }

# made_of FOLDER SERVICE: its containers, also those that ended, but none of `compose run`
made_of() {
    docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$(project "$1")" --filter "label=com.docker.compose.service=$2" \
        --filter label=com.docker.compose.oneoff=False
}
# run_of ID: which run of it this is; the engine counts those that it began again by itself
run_of() { inspect "$1" '{{.State.Status}}, begun again {{.RestartCount}} times, runs since {{.State.StartedAt}}'; }

# all_well FOLDER SECONDS SERVICE...: are healthy within that time; how each of their containers runs is noted. What was
# before is forgotten: while others come up, one may end and begin again.
all_well() {
    local service id folder=$1 limit=$2
    shift 2
    wait_until "$limit" healthy "$folder" "$@" || { for service; do for id in $(made_of "$folder" "$service"); do ended_with "$service" "$id"; done; done; return 1; }
    mkdir -p -- "$W/well"
    for service; do
        for id in $(made_of "$folder" "$service"); do run_of "$id" >"$W/well/$id"; done
    done
}
# ended_with SERVICE ID: what it said last before it was begun again, and since
ended_with() {
    local since
    since=$(inspect "$2" '{{.State.StartedAt}}')
    printf '%s %s: %s\n' "$1" "$2" "$(inspect "$2" '{{json .State}}')"
    docker logs --timestamps --until "$since" "$2" 2>&1 | tail -n 20 | cut -c1-300
    printf -- '--- its run since %s\n' "$since"
    docker logs --timestamps --since "$since" "$2" 2>&1 | tail -n 20 | cut -c1-300
}

# nobody_ended FOLDER SERVICE...: by itself, since all_well
nobody_ended() {
    local service id ended=no folder=$1
    shift
    for service; do
        for id in $(made_of "$folder" "$service"); do
            equal "$(run_of "$id")" "$(cat -- "$W/well/$id")" "how $service runs" || { ended=yes; ended_with "$service" "$id"; }
        done
    done
    [[ $ended == no ]]
}

# A replica has no name that outlives it: whoever leaves gives its slots back at once, and nobody waits for it.
workers_come_and_go_and_rows_stay_fresh() {
    local since p99
    since=$(sql "$P" 'SELECT UTC_TIMESTAMP(6)')
    goes_on 5
    readme 4 1
    all_well "$P" 120 worker
    equal "$(containers "$P" worker | wc -l)" 4 workers
    goes_on 15
    readme 4 2
    equal "$(containers "$P" worker | wc -l)" 1 workers
    goes_on 15
    compose "$P" up -d --scale worker=3
    all_well "$P" 120 worker
    goes_on 15
    nobody_ended "$P" "${SERVERS[@]}" "${SERVICES[@]}"
    compose "$P" up -d --scale worker=3 --no-deps --force-recreate worker
    all_well "$P" 120 worker
    goes_on 15
    sql "$P" "SELECT TIMESTAMPDIFF(MICROSECOND, captured_from, stored), TIMESTAMPDIFF(MICROSECOND, captured_to, stored) FROM bundle
        WHERE stored >= '$since'" | awk '{ for (i = 0; i < 20; i++) print ($2 + ($1 - $2) * (i + 0.5) / 20) / 1e6 }' | sort -g >"$W/ages"
    p99=$(awk '{ v[NR] = $1 } END { print v[int(NR * 0.99) + 1] }' "$W/ages")
    printf 'figure: from look to row while workers came and went: p50 %s s, p99 %s s, longest %s s\n' \
        "$(awk '{ v[NR] = $1 } END { print v[int(NR * 0.5) + 1] }' "$W/ages")" "$p99" "$(tail -n 1 "$W/ages")"
    awk -v p99="$p99" 'BEGIN { exit !(p99 <= 15) }'
}

# came_back ID COUNT: started again by the engine, that often or more: on a busy machine a broker may end once again before
# its old registration is over
came_back() {
    local count health
    read -r count health < <(inspect "$1" '{{.RestartCount}} {{.State.Health.Status}}')
    [[ $count -ge $2 && $health == healthy ]]
}

# comes_back SERVICE: killed
comes_back() {
    local id count
    id=$(container "$P" "$1")
    count=$(inspect "$id" '{{.RestartCount}}')
    kill -KILL "$(inspect "$id" '{{.State.Pid}}')"
    wait_until 180 came_back "$id" $((count + 1)) || { inspect "$id" '{{json .State}} {{.RestartCount}}'; docker logs --tail 30 "$id"; return 1; }
    printf '%s is back\n' "$1"
}

a_killed_container_comes_back() {
    local service
    nobody_ended "$P" "${SERVERS[@]}" "${SERVICES[@]}"
    for service in worker gateway shard1 merger collector shipper kafka head; do
        comes_back "$service"
        if [[ $service == worker ]]; then # would it say so, and why?
            fails nobody_ended "$P" worker >"$W/said" 2>&1
            grep -q 'how worker runs: got "running, begun again [1-9][0-9]* times' "$W/said"
            sed '/^--- its run since/,$d' "$W/said" | grep -q 'Z info '
        fi
    done
    all_well "$P" 180 "${SERVERS[@]}" "${SERVICES[@]}"
    goes_on 5
    nobody_ended "$P" "${SERVERS[@]}" "${SERVICES[@]}"
}

# as_they_were: who runs, and since when
as_they_were() { docker ps -q --no-trunc | sort; }

what_an_operator_does_meanwhile_runs() {
    local before service
    readme 5
    [[ -s $P/token && $(stat -c %a "$P/token") == 600 ]]
    readme 6
    for service in gateway worker collector shipper; do wait_until 30 compose_said "$service" ' reloaded'; done
    comes_back gateway # who was told is still started again
    comes_back collector
    printf 'nonsense = 1\n' >>"$P/etc/worker.conf"
    exit_code 1 "$P/reload" --folder "$P" 2>"$W/said"
    grep -q 'unknown option "nonsense"' "$W/said"
    sed -i '$d' "$P/etc/worker.conf"
    exit_code 2 "$P/reload" --folder "$P" kafka 2>/dev/null
    exit_code 3 "$P/reload" --folder "$P" gateway2 2>/dev/null
    printf 'POFR_WORKERS=3\n' >>"$P/.env" # keeps it so
    compose "$P" up -d
    before=$(as_they_were)
    readme 7 # of the same version: nothing is started anew
    equal "$(as_they_were)" "$before" "containers"
    readme 8
    all_well "$P" 240 "${SERVERS[@]}" "${SERVICES[@]}"
    goes_on 5
}
compose_said() { docker logs "$(container "$P" "$1")" >"$W/logged" 2>&1 && grep -q "$2" "$W/logged"; }

# stopped_with FOLDER SERVICE: exit codes
stopped_with() { for id in $(docker ps -aq --filter "label=com.docker.compose.project=$(project "$1")" --filter "label=com.docker.compose.service=$2"); do inspect "$id" '{{.State.ExitCode}}'; done | sort -u; }

all_of_it_stops_cleanly_and_starts_again() {
    local service
    readme 9 1
    for service in "${SERVICES[@]}" head shard1 shard2; do equal "$(stopped_with "$P" "$service")" 0 "exit code of $service"; done
    equal "$(stopped_with "$P" kafka)" 143 "exit code of kafka" # Java's word for a SIGTERM that it obeyed
    readme 9 2
    all_well "$P" 240 "${SERVERS[@]}" "${SERVICES[@]}"
    goes_on 5
    readme 9 3
    readme 9 4
    all_well "$P" 240 "${SERVERS[@]}" "${SERVICES[@]}"
    goes_on 5
}

# address FOLDER SERVICE: which this machine reaches, as it has the network's bridge
address() { inspect "$(container "$1" "$2")" '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'; }

everything_is_found_in_sql() {
    local name states=()
    for name in $(hosts_names); do states+=("$HOSTS/$name/state"); done
    sed '/^ssl-verify/d' "$P/analyst.cnf" >"$P/shards.cnf" # their addresses in the network are in no certificate
    chmod 600 -- "$P/shards.cnf"
    tests/support/equal.py --shards "$(address "$P" shard1):3306,$(address "$P" shard2):3306" --options "$P/shards.cnf" --wait 60 --min 20 "${states[@]}"
    for name in $(sql "$P" 'SELECT host FROM host'); do tool "$P" verify "$name"; done
    equal "$(sql "$P" "SELECT COUNT(*) FROM gap WHERE kind NOT IN ('stopped', 'ticks', 'crash')")" 0 "gaps"
    equal "$(sql "$P" 'SELECT COUNT(*) FROM set_aside')" 0 "set aside"
    tool "$P" status
}

# is_whole FOLDER: each message is as often there as it shall be, and everything written is stored
is_whole() { tool "$1" topic health >"$W/health" 2>&1; }

# left_of FOLDER: of its cluster
left_of() {
    local kind of
    of=label=com.docker.compose.project=$(project "$1")
    docker ps -a --filter "$of" --format '{{.Names}}'
    for kind in volume network; do docker "$kind" ls --filter "$of" --format '{{.Name}}'; done
}

three_brokers_do_without_one() {
    local before id
    if [[ -d $HOSTS ]]; then for id in $(hosts_names) host9; do process_kill TERM "$id/shipper" "$id/collector"; done; fi
    readme 9 5
    equal "$(left_of "$P")" "" "what is left"
    deploy/compose/prepare --cluster --agent "$P3"
    cat -- "$W/images" >>"$P3/.env"
    env_make "$P3"
    compose "$P3" up -d
    all_well "$P3" 180 "${SERVERS[@]}" kafka2 kafka3 gateway2 "${SERVICES[@]}"
    compose "$P3" up -d prometheus
    tool "$P3" topic check
    wait_until 60 answers_to "$P3" 'SELECT bundles > 3 FROM host' 1
    for id in kafka2 kafka gateway2; do
        wait_until 120 is_whole "$P3" || { cat -- "$W/health"; return 1; }
        docker kill "$(container "$P3" "$id")"
        before=$(sql "$P3" 'SELECT bundles + 5 FROM host')
        wait_until 120 answers_to "$P3" "SELECT bundles >= $before FROM host" 1 || { compose "$P3" logs --tail 30; return 1; }
        docker start "$(container "$P3" "$id")"
        wait_until 120 healthy "$P3" "$id"
    done
    nobody_ended "$P3" "${SERVICES[@]}"
    tool "$P3" verify "$(sql "$P3" 'SELECT host FROM host')"
    equal "$(sql "$P3" "SELECT COUNT(*) FROM gap WHERE kind NOT IN ('stopped', 'ticks')")" 0 "gaps"
}

# health_says FOLDER WORDS: and with 1, as not all is well
health_says() {
    local status=0
    tool "$1" topic health >"$W/health" 2>"$W/health.err" || status=$?
    [[ $status -eq 1 ]] && grep -q "$2" "$W/health"
}
# said_of FOLDER WORDS: as above, within a minute
said_of() { wait_until 60 health_says "$@" || { cat -- "$W/health" "$W/health.err"; return 1; }; }
# all_is_well_again FOLDER: to who asks, in figures, and no alert is left of what was
all_is_well_again() {
    wait_until 120 is_whole "$1" || { cat -- "$W/health"; return 1; }
    wait_until 90 queried_is "$1" 'sum(pofr_slots_with)' 0
    wait_until 90 queried_is "$1" 'count(ALERTS{alertname=~"PofrKafka.*|PofrBrokerDown|PofrNoWorkers|PofrSlots.*"}) or vector(0)' 0
}

what_is_missing_is_said_until_it_is_back() {
    local slots
    all_is_well_again "$P3"
    equal "$(queried "$P3" 'max(kafka_brokers)')" 3 brokers
    slots=$(tool "$P3" topic show --json --all --seconds 0 | jq .partitions)
    compose "$P3" stop kafka3
    said_of "$P3" "^under_replicated: a replica is not in sync; $slots slots: 0-$((slots - 1))"
    wait_until 90 queried_is "$P3" 'sum(pofr_slots_with{problem="under_replicated"})' "$slots"
    wait_until 90 queried_is "$P3" 'count(ALERTS{alertname=~"PofrKafkaUnderReplicated|PofrBrokerDown"})' 2
    compose "$P3" start kafka3
    all_is_well_again "$P3"
    nobody_ended "$P3" "${SERVICES[@]}"
    compose "$P3" stop worker
    said_of "$P3" '^no_members: group pofr-ingest is '
    wait_until 90 queried_is "$P3" 'max(kafka_consumergroup_members)' 0
    wait_until 90 queried_is "$P3" 'count(ALERTS{alertname="PofrNoWorkers"})' 1
    compose "$P3" start worker
    all_is_well_again "$P3"
    wait_until 90 queried_is "$P3" 'max(kafka_consumergroup_members)' 2
}

three_brokers_stop_cleanly() {
    local id
    compose "$P3" stop
    for id in "${SERVICES[@]}" gateway2; do equal "$(stopped_with "$P3" "$id")" 0 "exit code of $id"; done
    compose "$P3" down -v
}

the_same_file_serves_compose_2() {
    local folder=$W/pofr2
    compose2_make
    deploy/compose/prepare --agent "$folder"
    cat -- "$W/images" >>"$folder/.env"
    env_make "$folder"
    compose "$folder" version
    compose "$folder" config >"$W/config"
    tests/support/compose_services.py <"$W/config"
    compose "$folder" up -d
    all_well "$folder" 180 "${SERVERS[@]}" "${SERVICES[@]}"
    wait_until 60 answers_to "$folder" 'SELECT COUNT(*) > 0 FROM process' 1
    compose "$folder" run --rm -T ctl topic check
    compose "$folder" up -d --scale worker=3
    all_well "$folder" 120 worker
    equal "$(containers "$folder" worker | wc -l)" 3 workers
    wait_until 60 is_whole "$folder" || { cat -- "$W/health"; return 1; }
    tool "$folder" status
    nobody_ended "$folder" "${SERVERS[@]}" "${SERVICES[@]}"
    compose "$folder" down -v
    equal "$(left_of "$folder")" "" "what is left"
}

each_case an_engine_can_be_started
[[ $suite_failures -eq 0 ]] || exit 1
cases images_are_built images_hold_one_program_and_no_shell from_nothing_to_rows_in_sql what_happens_on_the_machine_is_found the_profile_monitoring_watches_each_container \
    running_programs_have_no_more_than_they_need eight_hosts_are_enrolled the_machine_is_that_of_process_1 \
    workers_come_and_go_and_rows_stay_fresh \
    a_killed_container_comes_back what_an_operator_does_meanwhile_runs all_of_it_stops_cleanly_and_starts_again everything_is_found_in_sql three_brokers_do_without_one \
    what_is_missing_is_said_until_it_is_back three_brokers_stop_cleanly \
    the_same_file_serves_compose_2
