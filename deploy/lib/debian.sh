# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# debian.sh -- a minimal Debian in one archive, from the mirror that apt uses on this machine. Follows base.sh.

# debian_mirror: where apt gets Debian's main archive from
debian_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
        awk '$3 == "Debian" && $2 !~ /security|updates|backports/ { print $1; exit }'
}

apt_proxy() { apt-config dump 2>/dev/null | sed -n 's/^Acquire::http::Proxy "\(.*\)";$/\1/p' | head -n 1; }

# debian_base NAME: prints the archive of the minimal system, made when it is not there (build/chroot/NAME.tar). Needs root
debian_base() {
    local tar=$POFR_TREE/build/chroot/$1.tar new mirror proxy
    if [[ ! -s $tar ]]; then
        mkdir -p -- "$(dirname -- "$tar")"
        new=$(mktemp -d "$tar.XXXXXX")
        chmod 755 -- "$new" # it becomes the root folder
        mirror=$(debian_mirror)
        proxy=$(apt_proxy)
        [[ -z $proxy ]] || export http_proxy=$proxy
        debootstrap --variant=minbase "$1" "$new" "${mirror:-http://deb.debian.org/debian}" >&2 || { rm -rf --one-file-system -- "$new"; return 1; }
        tar -C "$new" -cf "$tar.new" . && mv -- "$tar.new" "$tar"
        rm -rf --one-file-system -- "$new"
    fi
    printf '%s' "$tar"
}
