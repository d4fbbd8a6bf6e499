# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# base.sh -- what every script of deploy/ and tests/ uses: messages, waiting, free ports, small files.
#
# Sourced. Sets no option of the shell and starts nothing. Descriptor 9 is the lock of the caller; no
# child may inherit it, or the lock would live as long as the cluster.

POFR_TREE=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
export LC_ALL=C.UTF-8
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # where mariadbd is, and an ordinary user does not look
umask 022

# Exit codes of INTERFACES: 0 done, 1 the answer is no, 2 wrong use, 3 not now, 4 refused.
readonly EXIT_NO=1 EXIT_USAGE=2 EXIT_LATER=3 EXIT_REFUSED=4

now_ms() { printf '%s' "$((${EPOCHREALTIME/./} / 1000))"; }
POFR_BEGIN_MS=${POFR_BEGIN_MS:-$(now_ms)}

# seconds MS: "12.3"
seconds() { printf '%d.%d' "$(($1 / 1000))" "$(($1 % 1000 / 100))"; }

# progress PART TEXT...: one line for people, with the time since the start
progress() {
    local part=$1 ms=$((${EPOCHREALTIME/./} / 1000 - POFR_BEGIN_MS))
    shift
    printf '[%4d.%d s] %-10s %s\n' "$((ms / 1000))" "$((ms % 1000 / 100))" "$part" "$*" >&2
}

# tree_files: what belongs to the tree, with or without git; names from the root, a NUL behind each
tree_files() {
    local file
    {
        git -C "$POFR_TREE" ls-files -z -co --exclude-standard 2>/dev/null ||
            (cd -- "$POFR_TREE" && find . \( -path ./build -o -path ./.pofr -o -path ./.git \) -prune -o -type f -printf '%P\0')
    } | while IFS= read -r -d '' file; do [[ ! -e $POFR_TREE/$file ]] || printf '%s\0' "$file"; done
}

# last_lines FILE [N]: the end of a log, indented
last_lines() {
    [[ -s $1 ]] || return 0
    printf '  last lines of %s:\n' "$1" >&2
    tail -n "${2:-15}" -- "$1" | cut -c1-300 | sed 's/^/    | /' >&2
}

# fail PART WHAT LOG HINT...: say what went wrong, show the log, say what to try; ends the script
fail() {
    local part=$1 what=$2 log=$3 hint
    shift 3
    printf '\nFAILED at %s: %s\n' "$part" "$what" >&2
    [[ -z $log ]] || last_lines "$log"
    for hint in "$@"; do
        printf '  what to try: %s\n' "$hint" >&2
    done
    exit "$EXIT_LATER"
}

# not_built PROGRAM: ends the script
not_built() {
    printf 'not built yet: deploy/quickstart builds it (without --no-build). %s is not there\n' "$1" >&2
    exit "$EXIT_LATER"
}

refuse() {
    printf 'refused: %s\n' "$*" >&2
    exit "$EXIT_REFUSED"
}

# run_logged PART WHAT LOG COMMAND...: run it with its output in LOG; every few seconds a sign of life
run_logged() {
    local part=$1 what=$2 log=$3 begin pid status=0 next=5000
    shift 3
    begin=$(now_ms)
    "$@" >"$log" 2>&1 </dev/null 9>&- &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        if (($(now_ms) - begin > next)); then
            progress "$part" "$what ($((next / 1000)) s): $(tail -n 1 -- "$log" | tr -d '\r' | cut -c1-90)"
            next=$((next + 10000))
        fi
        sleep 0.1
    done
    wait "$pid" || status=$?
    return "$status"
}

# wait_until SECONDS COMMAND...: try until it succeeds; 1 when the time is over
wait_until() {
    local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@"; do
        ((${EPOCHREALTIME/./} < deadline)) || return 1
        sleep 0.05
    done
}

# port_is_open PORT: does anything on loopback accept connections there?
port_is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# ports_in_use: every local TCP port, in whatever state, of IPv4 and IPv6, one a line
ports_in_use() {
    local -a hex
    mapfile -t hex < <(sed -n 's/^ *[0-9]*: [0-9A-F]*:\([0-9A-F]\{4\}\) .*/0x\1/p' /proc/net/tcp /proc/net/tcp6 2>/dev/null | sort -u)
    [[ ${#hex[@]} -eq 0 ]] || printf '%d\n' "${hex[@]}"
}

# pick_port TAKEN...: sets PORT_PICKED, to one below the range that outgoing connections use. No process is started.
pick_port() {
    local taken=" $* " try
    for ((try = 0; try < 1000; try++)); do
        PORT_PICKED=$((20000 + RANDOM % 12000))
        [[ $taken == *" $PORT_PICKED "* ]] || return 0
    done
    return 1
}

# free_port [TAKEN...]: prints one that nobody uses
free_port() {
    local used
    used=$(ports_in_use | tr '\n' ' ')
    pick_port "$used" "$@" && printf '%d' "$PORT_PICKED"
}

# write_file PATH MODE [FIRST LINE]: stdin (text) becomes the file, whole or not at all; untouched when it is the
# same. No other program is needed for that: it happens a dozen times at each start.
write_file() {
    local path=$1 mode=$2 text='' before=''
    local new=$path.new.$$
    IFS= read -r -d '' text || true
    text=${3:+$3$'\n'}$text
    if [[ -f $path ]]; then
        IFS= read -r -d '' before <"$path" || true
        [[ $text != "$before" ]] || return 0
    fi
    (umask 077 && printf '%s' "$text" >"$new")
    chmod "$mode" -- "$new"
    mv -f -- "$new" "$path"
}

# http_status PORT PATH: the status code of a GET on loopback, "000" when there is no answer
http_status() {
    local line code=000
    if { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null; then
        printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3 2>/dev/null || true
        read -r -t 2 line <&3 && [[ $line =~ ^HTTP/1\.[01]\ ([0-9]{3}) ]] && code=${BASH_REMATCH[1]}
        exec 3>&-
    fi
    printf '%s' "$code"
}
