# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# libraries.sh -- what a program loads and whose it is, for what is given away together with its libraries (archive,
# container images). Needs Debian's dpkg; may follow base.sh or stand alone.

# libraries_of PROGRAM: name and file of each library that it loads, the loader too
libraries_of() { ldd "$1" | sed -nE 's/^[[:space:]]*([^ ]+) => (\/[^ ]+) .*/\1 \2/p; s/^[[:space:]]*(\/[^ ]+) \(.*/\1 \1/p'; }

# package_of FILE: Debian's, whose licence it has. /lib and /usr/lib are one folder, and dpkg knows a file by one name
package_of() { { dpkg-query -S "$1" || dpkg-query -S "/usr$1" || dpkg-query -S "${1#/usr}"; } 2>/dev/null | sed -nE '1s/^([^:,]+)[:,].*/\1/p'; }

# library_note NAME FILE FOLDER: its licence into the folder; prints "NAME PACKAGE VERSION". 1: it is of no package
library_note() {
    local package
    package=$(package_of "$2")
    [[ -n $package ]] || { printf '%s is of no package\n' "$2" >&2; return 1; }
    cp -- "/usr/share/doc/$package/copyright" "$3/$package" || return 1
    printf '%s %s\n' "${1##*/}" "$(dpkg-query -W -f '${Package} ${Version}\n' "$package" | head -n 1)"
}
