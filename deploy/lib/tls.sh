# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# tls.sh -- certificates for every connection inside the private cluster, where they are asked for (start --tls, or
# POFR_TLS=yes). A cluster stays as it was started first until it is told otherwise (POFR_TLS=no).
#
# secrets/pki holds the CA and a file NAME.pem per part: key and certificate. pofrctl pki makes what is missing and
# renews what ends soon, at each start.

readonly TLS_DIR=$STATE/secrets/pki
readonly TLS_HOSTS=127.0.0.1 # as all addresses of the cluster are written; localhost is another name

tls_is_on() { [[ -e $STATE/etc/tls ]]; }

# tls_user NAME: who reads its file
tls_user() {
    case $1 in
    pofr-gateway | pofr-worker | pofr-merger) user_of "${1#pofr-}" ;;
    pofr-admin) printf '%s' "$ME" ;;
    *) user_of "$1" ;;
    esac
}

tls_settle() {
    local name
    local -a names=(kafka head shard1 shard2)
    case ${POFR_TLS:-} in
    yes) : >"$STATE/etc/tls" ;;
    no) rm -f -- "$STATE/etc/tls" ;;
    esac
    tls_is_on || return 0
    [[ -x $BUILD/ctl/pofrctl ]] || not_built "$BUILD/ctl/pofrctl"
    "$BUILD/ctl/pofrctl" --quiet --config /dev/null pki ensure --dir "$TLS_DIR" \
        "${names[@]/%/=$TLS_HOSTS}" pofr-gateway pofr-worker pofr-merger pofr-admin ||
        fail tls "the certificates could not be made" ""
    chmod 711 -- "$TLS_DIR"
    for name in "${names[@]}" pofr-gateway pofr-worker pofr-merger pofr-admin; do
        give_to "$(tls_user "$name")" "$TLS_DIR/$name.pem"
    done
}

# tls_principals: who they are to the brokers
tls_principals() {
    ! tls_is_on || printf '%s_principal = User:CN=pofr-%s\n' gateway gateway worker worker merger merger
}

# tls_options NAME: the lines of a section of our own configuration files
tls_options() {
    ! tls_is_on || printf '%s\n' 'tls = yes' "ca_file = $TLS_DIR/ca.crt" "certificate_file = $TLS_DIR/$1.pem"
}
