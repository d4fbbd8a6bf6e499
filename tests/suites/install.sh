#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# what `cmake --install` puts into an empty folder: programs that run and are hardened, schema, manual pages, services
# timeout: 600
# order: 44
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

PROGRAMS=(pofr-agent pofr-gateway pofr-worker pofr-merger pofrctl)
ROOT=$POFR_TEST_WORK/root
PREFIX=$ROOT/usr/local # the preset's

everything_is_installed() {
    build_preset release
    DESTDIR=$ROOT cmake --install build/release
    diff <(cd "$PREFIX" && find . -type f | sed 's|^\./||' | sort) <({
        printf 'bin/%s\n' "${PROGRAMS[@]}" pofr-backup
        printf 'share/man/man8/%s.8\n' "${PROGRAMS[@]}" pofr-backup
        printf 'share/man/man5/%s.conf.5\n' "${PROGRAMS[@]}"
        printf 'share/bash-completion/completions/%s\n' "${PROGRAMS[@]}"
        find sql -type f -printf 'share/pofr/%p\n'
        find deploy/monitoring -name '*.yml' -printf 'share/pofr/monitoring/%P\n' -o -name '*.json' -printf 'share/pofr/monitoring/%P\n'
        find deploy/systemd/etc -type f -printf 'share/pofr/etc/%f\n'
        find deploy/systemd -maxdepth 1 \( -name '*.service' -o -name '*.socket' -o -name '*.target' -o -name '*.timer' \) -printf 'lib/systemd/system/%f\n'
        find deploy/systemd/sysusers -type f -printf 'lib/sysusers.d/%f\n'
        find deploy/systemd/tmpfiles -type f -printf 'lib/tmpfiles.d/%f\n' | sed 's/\.in$//'
    } | sort)
    diff -r sql "$PREFIX/share/pofr/sql"
    diff -r --exclude README.md --exclude generate deploy/monitoring "$PREFIX/share/pofr/monitoring"
}

programs_run_where_there_is_no_source_tree() {
    local program
    for program in "${PROGRAMS[@]}" pofr-backup; do
        (cd / && env -i PATH=/usr/bin "$PREFIX/bin/$program" --version) >"$POFR_TEST_WORK/version"
        grep -E "^$program [0-9]+\.[0-9]+\.[0-9]+$" "$POFR_TEST_WORK/version"
        fails grep -qaF "$POFR_TREE" "$PREFIX/bin/$program"
    done
}

# It is a script: nothing fills these in.
the_script_is_of_this_version_and_its_page_has_all_of_it() {
    local word
    equal "$("$PREFIX/bin/pofr-backup" --version)" "pofr-backup $(sed -nE 's/^project\(pofr VERSION ([0-9.]+).*/\1/p' CMakeLists.txt)" version
    "$PREFIX/bin/pofr-backup" --help >"$POFR_TEST_WORK/help"
    grep -oE '^  +(pofr-backup [a-z]+|--[a-z-]+)' "$POFR_TEST_WORK/help" | sed -E 's/^ +(pofr-backup )?//' | sort -u >"$POFR_TEST_WORK/words"
    [[ $(wc -l <"$POFR_TEST_WORK/words") -eq 8 ]]
    while read -r word; do
        sed 's/\\-/-/g' "$PREFIX/share/man/man8/pofr-backup.8" | grep -qE -- "^\.BI? $word( |\$)" || { printf 'pofr-backup.8: no %s\n' "$word" >&2; return 1; }
    done <"$POFR_TEST_WORK/words"
}

programs_are_hardened_and_have_no_stop_points() {
    local program headers
    for program in "${PROGRAMS[@]}"; do
        headers=$(readelf --wide --file-header --program-headers --dynamic --dyn-syms "$PREFIX/bin/$program")
        grep -qE 'Type: +DYN ' <<<"$headers"
        grep -qE 'BIND_NOW' <<<"$headers"
        grep -qE 'GNU_RELRO' <<<"$headers"
        grep -qE '__stack_chk_fail' <<<"$headers"
        grep -qE 'GNU_STACK .* RW ' <<<"$headers"
        fails grep -qE 'RPATH|RUNPATH' <<<"$headers"
        fails grep -qa POFR_STOP_AT "$PREFIX/bin/$program"
    done
}

# A file that names the prefix names this one; one that a service asks for is there.
services_find_what_they_start() {
    local unit program
    fails grep -rnE '@[A-Z]+@' "$PREFIX/lib" "$PREFIX/share/pofr/etc"
    for unit in "$PREFIX"/lib/systemd/system/*.service; do
        while read -r program; do
            [[ -x $ROOT$program || ($program == /bin/* && -x $program) ]] || { printf '%s: no %s\n' "$unit" "$program" >&2; return 1; }
        done < <(sed -nE 's/^Exec[A-Za-z]*=([^ ]+).*/\1/p' "$unit")
    done
    grep -oE '/[^ ]*/share/pofr/etc/.*' "$PREFIX/lib/tmpfiles.d/pofr-etc.conf" | while read -r program; do [[ -s $ROOT$program ]]; done
}

cases everything_is_installed programs_run_where_there_is_no_source_tree the_script_is_of_this_version_and_its_page_has_all_of_it programs_are_hardened_and_have_no_stop_points \
    services_find_what_they_start
