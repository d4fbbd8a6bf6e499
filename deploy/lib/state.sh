# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# state.sh -- the state folder: who may use it, what lies where, which ports and secrets are ours.
#
#   .pofr-quickstart  says that the folder is ours; nothing is deleted without it
#   etc/              generated configuration, written anew at each start; etc/ports: name=port
#   secrets/          one password a file, 0600, for the user of the part that reads it
#   data/PART/        what must survive
#   run/PART.pid      "pid start boot-id"; run/PART.spec: what the running part was started with
#   log/PART.log      standard output and error; the one before as .log.1 when it has grown

STATE=${POFR_STATE:-$POFR_TREE/.pofr}
[[ $STATE == /* ]] || STATE=$PWD/$STATE
STATE=$(realpath -m -- "$STATE")

ME=$(id -un 2>/dev/null || id -u)
readonly ME
readonly STATE_MARK=.pofr-quickstart
readonly STATE_PATH_MAX=80 # sockets lie below it, and their paths end at 107 bytes

PORT_NAMES=(kafka kafka-controller head shard1 shard2 gateway
    gateway-metrics worker1-metrics worker2-metrics merger-metrics)
SECRET_NAMES=(admin analyst gateway worker merger spider)

state_exists() { [[ -f $STATE/$STATE_MARK ]]; }

# not_writable [WHY]: ends the script
not_writable() {
    fail state "this folder can't be written: $STATE${1:+ (${1##*: })}" "" \
        "the user who made it, or another place: POFR_STATE=/a/folder/of/yours deploy/quickstart"
}

state_create() {
    local why
    [[ ${#STATE} -le $STATE_PATH_MAX ]] ||
        refuse "the state folder's path is ${#STATE} bytes long, at most $STATE_PATH_MAX: POFR_STATE=/a/shorter/one"
    [[ $STATE =~ ^[A-Za-z0-9._/+,@:-]+$ ]] ||
        refuse "the state folder's path may hold letters (a-z), digits and ._/+,@:- only, for it goes into many files: $STATE" \
            "(POFR_STATE=/another/place deploy/quickstart)"
    if ! state_exists; then
        [[ ! -e $STATE || -z $(ls -A -- "$STATE") ]] ||
            refuse "$STATE is not empty and not a state folder of quickstart: POFR_STATE=/another/one"
        why=$(mkdir -p -- "$STATE" 2>&1 && chmod 711 -- "$STATE" 2>&1) || not_writable "$why"
        [[ -w $STATE ]] || not_writable
        printf 'made by deploy/quickstart; deploy/quickstart destroy removes the folder\n' >"$STATE/$STATE_MARK"
    fi
    [[ -w $STATE ]] || not_writable
    mkdir -p -- "$STATE"/{etc,run,log,data,tmp,secrets}
    chmod 711 -- "$STATE/secrets"
}

# lock_state NAME SECONDS: one change at a time; descriptor 9 holds it until this script ends
lock_state() {
    mkdir -p -- "$STATE/run" 2>/dev/null || true # else it is said below
    [[ -w $STATE/run && (! -e $STATE/run/lock || -w $STATE/run/lock) ]] || not_writable
    exec 9>>"$STATE/run/lock"
    if [[ $2 -gt 10 ]] && ! flock -n 9; then
        progress "$1" "waiting for another quickstart (pid $(tr -d '\n' <"$STATE/run/lock")), at most $2 s"
    fi
    flock -w "$2" 9 || fail "$1" "another quickstart is at work on $STATE (pid $(tr -d '\n' <"$STATE/run/lock"))" "" \
        "wait until it has finished, then again"
    : >"$STATE/run/lock"
    printf '%d\n' "$$" >&9
}

# state_is_removed: what lies in the folder, its mark last, so that a removal can be gone on with
state_is_removed() {
    find "$STATE" -mindepth 1 ! -path "$STATE/$STATE_MARK" -delete 2>/dev/null &&
        rm -f -- "$STATE/$STATE_MARK" 2>/dev/null
}

# state_removal_error: what stands in the way, in one line
state_removal_error() { rm -rf -- "${STATE:?}"/* 2>&1 | head -n 1; }

# --- users ------------------------------------------------------------------------------------------

# Root starts servers as users that may do nothing else. Where those can't reach the files (a source tree
# in /root) or the change of user is not allowed, everything runs as the caller, and start says so.
declare -A POFR_USERS=()
readonly COLLECTOR_USER=sys SHIPPER_USER=daemon # two that every Debian has and nothing else runs as

can_run_as() {
    setpriv --reuid="$1" --regid="$(id -g "$1")" --clear-groups --no-new-privs -- \
        bash -c '[[ -r $1 && -r $2 && -r $3 ]] && { [[ ! -d $4 ]] || [[ -r $4/.complete ]]; }' - \
        "$STATE/etc" "$POFR_TREE/deploy" "$POFR_TREE/build" "$(kafka_cache)" 2>/dev/null
}

users_find() {
    local user
    [[ $EUID -eq 0 ]] || return 0
    for user in mysql nobody "$COLLECTOR_USER" "$SHIPPER_USER"; do
        if id "$user" >/dev/null 2>&1 && can_run_as "$user"; then
            POFR_USERS[$user]=yes
        fi
    done
}

# user_of PART: the user it runs as
user_of() {
    local user
    case $1 in
    head | shard*) user=mysql ;;
    collector | shipper) user=root ;; # the agent takes COLLECTOR_USER and SHIPPER_USER itself, and keeps what capture needs
    *) user=nobody ;;
    esac
    if [[ -n ${POFR_USERS[$user]:-} ]]; then printf '%s' "$user"; else printf '%s' "$ME"; fi
}

# give_to USER PATH...: with all that is in it, when it is not so already
give_to() {
    local user=$1 path
    shift
    [[ $EUID -eq 0 ]] || return 0
    for path; do
        if [[ -n $(find "$path" ! -user "$user" -print -quit) ]]; then
            chown -R "$user:$(id -g "$user")" -- "$path"
        fi
    done
}

# remove_unfinished PATH: PATH.new.* of starts that were killed; one whose maker still writes stays for now
remove_unfinished() { rm -rf -- "$1".new.* 2>/dev/null || true; }

# --- ports ------------------------------------------------------------------------------------------

declare -A PORTS=()

ports_load() {
    local name value
    PORTS=()
    [[ -f $STATE/etc/ports ]] || return 0
    while IFS='=' read -r name value; do
        [[ $name == '#'* || ! $value =~ ^[0-9]+$ ]] || PORTS[$name]=$value
    done <"$STATE/etc/ports"
}

# ports_settle: keep those we have; pick new ones where there is none, or where somebody else sits on ours
ports_settle() {
    local name used part
    ports_load
    used=" $(ports_in_use | tr '\n' ' ')"
    for name in "${PORT_NAMES[@]}"; do
        if [[ -n ${PORTS[$name]:-} ]]; then
            part=${name%-metrics}
            ! part_is_alive "${part%-controller}" || continue
            [[ $used == *" ${PORTS[$name]} "* ]] || continue
            port_is_open "${PORTS[$name]}" || continue
            progress ports "${PORTS[$name]} of $name is taken by someone else: another one"
        fi
        pick_port "$used" "${PORTS[@]}" || fail ports "no free TCP port found" ""
        PORTS[$name]=$PORT_PICKED
    done
    for name in "${PORT_NAMES[@]}"; do
        printf '%s=%s\n' "$name" "${PORTS[$name]}"
    done | write_file "$STATE/etc/ports" 644
}

# --- secrets ----------------------------------------------------------------------------------------

# secret NAME: what secrets/NAME.pw holds
secret() {
    local value
    read -r value <"$STATE/secrets/$1.pw" && printf '%s' "$value"
}

secrets_settle() {
    local name file
    for name in "${SECRET_NAMES[@]}"; do
        file=$STATE/secrets/$name.pw
        if [[ ! -s $file ]]; then
            (umask 077 && od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$file.new" && echo >>"$file.new")
            mv -f -- "$file.new" "$file"
        fi
        case $name in
        gateway | worker | merger) give_to "$(user_of "$name")" "$file" ;;
        esac
    done
}
