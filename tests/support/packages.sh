# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# packages.sh -- what is asked of Debian packages, on this machine and in others.

# package_file FOLDER NAME: the newest build leaves one of each
package_file() { find "$1" -maxdepth 1 -name "$2_*.deb"; }

# packages_lintian FOLDER [COMMAND...]: neither an error nor a warning; COMMAND is where it is asked
packages_lintian() {
    local said folder=$1
    shift
    said=$("$@" sh -c "lintian --allow-root --fail-on none $folder/*.changes")
    printf '%s\n' "$said"
    equal "$(sed -n '/^[EW]:/p' <<<"$said")" "" "what lintian says"
}

# packages_block N: the Nth block of commands of "From packages"
packages_block() {
    page_block docs/OPERATING.md '## From packages' "$1"
}
