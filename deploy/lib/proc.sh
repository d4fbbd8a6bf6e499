# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# proc.sh -- start a part so that it outlives us, know it again later, end it.
#
# A pid alone says nothing: numbers are used again, and after a reboot they start anew. So run/PART.pid
# holds pid, start time (jiffies since boot) and boot id, written by the child itself before it becomes
# the program: however this script dies, what it started is known.

BOOT_ID=$(</proc/sys/kernel/random/boot_id)

# proc_start PID: sets PROC_START; 1 when there is no such process, or only its remains
proc_start() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    stat=${stat##*) } # a name may hold spaces and parentheses
    # shellcheck disable=SC2086 # the fields, one by one
    set -- $stat
    [[ $1 != Z && $1 != X ]] || return 1
    PROC_START=${20}
}

# part_is_alive PART: sets PART_PID while it lives; else 1
part_is_alive() {
    local pid start boot
    PART_PID=
    [[ -f $STATE/run/$1.pid ]] && read -r pid start boot <"$STATE/run/$1.pid" || return 1
    [[ $boot == "$BOOT_ID" && $pid =~ ^[0-9]+$ ]] || return 1
    proc_start "$pid" && [[ $PROC_START == "$start" ]] || return 1
    PART_PID=$pid
}

part_is_gone() { ! part_is_alive "$1"; }

log_of() { printf '%s/log/%s.log' "$STATE" "$1"; }

# rotate_log FILE: a part that is started anew begins a new file when the old one has grown
rotate_log() {
    local size
    size=$(stat -c %s -- "$1" 2>/dev/null || echo 0)
    ((size < 10485760)) || mv -f -- "$1" "$1.1"
}

# spawn PART COMMAND...: in a session of its own, as the part's user, output to its log
spawn() {
    local name=$1 user log me
    local -a as=()
    shift
    user=$(user_of "$name")
    log=$(log_of "$name")
    rotate_log "$log"
    [[ $user == "$ME" ]] ||
        as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups --no-new-privs
            --inh-caps=-all --bounding-set=-all --)
    rm -f -- "$STATE/run/$name.pid"
    (
        exec 9>&-
        cd -- "$STATE" || exit
        printf -- '--- %(%FT%TZ)T %s starts\n' -1 "$name"
        me=$BASHPID
        proc_start "$me"
        printf '%s %s %s\n' "$me" "$PROC_START" "$BOOT_ID" >"$STATE/run/$name.pid.new"
        mv -f -- "$STATE/run/$name.pid.new" "$STATE/run/$name.pid"
        exec setsid "${as[@]}" "$@"
    ) </dev/null >>"$log" 2>&1 &
    # until it has said who it is, it would be taken for one that has ended
    wait_until 10 test -e "$STATE/run/$name.pid" ||
        fail "$name" "no process could be started" "$log" "processes and memory of this machine: ulimit -a, free -m"
    disown "$!" # else bash reports its end in the middle of our own lines
}

# end_parts SECONDS PART...: SIGTERM to all, then wait; what is left after the time is killed
end_parts() {
    local limit=$1 name
    shift
    for name; do
        if part_is_alive "$name"; then
            kill -TERM "$PART_PID" 2>/dev/null || true
            kill -CONT "$PART_PID" 2>/dev/null || true # one that somebody stopped must hear it
        fi
    done
    for name; do
        if ! wait_until "$limit" part_is_gone "$name"; then
            progress "$name" "did not end within $limit s: killed"
            kill_part "$name"
        fi
        rm -f -- "$STATE/run/$name.pid" "$STATE/run/$name.spec"
    done
}

# kill_part PART: kill -9 by the recorded pid; 1 when it was not running
kill_part() {
    part_is_alive "$1" || return 1
    kill -KILL "$PART_PID" 2>/dev/null || true
    wait_until 10 part_is_gone "$1"
}
