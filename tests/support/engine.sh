# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# engine.sh -- a container engine of the suite's own, and compose on it. After suite.sh.
#
#   engine_start               # its images, containers and volumes lie in $POFR_TEST_WORK/e and go with it
#   compose FOLDER WORD...     # with what `prepare` made in FOLDER: compose.yaml of that folder, else of this tree
#   compose2_make              # from then on compose is Debian 13's docker compose 2
#   engine_end
#
# Needs root. The engine changes no rule of the packet filter and makes no bridge of its own: the networks that compose
# makes are enough, published ports go through its proxy, and images are built on this machine's network.

source "$(dirname -- "${BASH_SOURCE[0]}")/../../deploy/lib/debian.sh"

ENGINE=$POFR_TEST_WORK/e
export DOCKER_HOST=unix://$ENGINE/sock
readonly ENGINE_PACKAGES=(docker.io docker-compose iptables debootstrap)

COMPOSE=docker-compose

# It needs nothing but libc, of Debian 12's version or newer; nothing is installed.
compose2_make() {
    local dir=$POFR_TEST_WORK/compose2
    local -a apt=(apt-get -q -o "Dir::Etc::sourcelist=$dir/sources" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir" -o APT::Sandbox::User=root)
    mkdir -p -- "$dir/lists/partial" "$dir/archives/partial"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$(debian_mirror)" >"$dir/sources"
    "${apt[@]}" update
    (cd -- "$dir" && "${apt[@]}" download docker-compose && dpkg-deb -x docker-compose_*.deb tree)
    COMPOSE=$dir/tree/usr/libexec/docker/cli-plugins/docker-compose
}

# The client of another installation may come first in PATH and not know this engine's words.
compose() {
    local folder=$1 file=$1/compose.yaml
    shift
    [[ -e $file ]] || file=$POFR_TREE/deploy/compose/compose.yaml
    COMPOSE_HTTP_TIMEOUT=300 "$COMPOSE" --env-file "$folder/.env" --file "$file" "$@" </dev/null
}
project() { sed -n 's/^COMPOSE_PROJECT_NAME=//p' -- "$1/.env"; }

engine_answers() { docker info >/dev/null 2>&1; }

# engine_start: 1, and why, where none can be
engine_start() {
    local package
    local -a missing=()
    [[ $EUID -eq 0 ]] || { printf 'a container engine needs root\n' >&2; return 1; }
    for package in "${ENGINE_PACKAGES[@]}"; do is_installed "$package" || missing+=("$package"); done
    if [[ ${#missing[@]} -gt 0 ]]; then
        apt-get -q update >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
    fi
    engine_run
}

# dpkg knows the name of a package, too, that another one recommends.
is_installed() { [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]; }

engine_run() {
    mkdir -p -- "$ENGINE"
    setsid dockerd --bridge=none --iptables=false --ip6tables=false --ip-forward=false --data-root "$ENGINE/root" \
        --exec-root "$ENGINE/exec" --pidfile "$ENGINE/pid" -H "$DOCKER_HOST" </dev/null >>"$ENGINE/dockerd.log" 2>&1 &
    wait_until 60 engine_answers_or_ended "$!"
    engine_answers || { printf 'no container engine can be started here\n' >&2; last_lines "$ENGINE/dockerd.log" 30; return 1; }
}
engine_answers_or_ended() { ! kill -0 "$1" 2>/dev/null || engine_answers; }

engine_is_gone() { ! kill -0 "$1" 2>/dev/null; }

# What its containers said, and what it said of them, where a case failed
engine_keep_logs() {
    local id
    for id in $(docker ps -aq); do
        docker inspect --format '=== {{.Name}} begun again {{.RestartCount}} times: {{json .State}}' "$id"
        docker logs --timestamps --tail 3000 "$id"
    done
    printf '=== dockerd\n'
    tail -n 300 -- "$ENGINE/dockerd.log"
}

engine_end() {
    local pid id
    [[ -s $ENGINE/pid ]] || return 0
    pid=$(cat -- "$ENGINE/pid")
    [[ $suite_failures -eq 0 ]] || engine_keep_logs >"$POFR_TEST_LOGS/$POFR_TEST_SUITE.containers.log" 2>&1 || true
    for id in $(docker ps -aq); do docker rm -f -v "$id"; done >/dev/null 2>&1 || true
    docker network prune -f >/dev/null 2>&1 || true # its bridges
    kill "$pid" 2>/dev/null || true
    wait_until 60 engine_is_gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
    umount -- "$ENGINE/exec/netns/default" 2>/dev/null || true
    umount -R -- "$ENGINE/root" 2>/dev/null || true
    rm -rf --one-file-system -- "$ENGINE"
}

# container FOLDER SERVICE [N]: the id of its N-th
container() { docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$(project "$1")" --filter "label=com.docker.compose.service=$2" --filter "label=com.docker.compose.container-number=${3:-1}"; }
containers() { docker ps -q --filter "label=com.docker.compose.project=$(project "$1")" --filter "label=com.docker.compose.service=$2"; }
# inspect ID FORMAT
inspect() { docker inspect --format "$2" "$1"; }
