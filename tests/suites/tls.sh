#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# inside the cluster: pofrctl pki makes the certificates
# timeout: 300
# order: 47
# jobs: 1
source "$(dirname -- "${BASH_SOURCE[0]}")/../support/suite.sh"

BUILD=$POFR_TREE/build/release
PKI=$POFR_TEST_WORK/pki

pki() { "$BUILD/ctl/pofrctl" --config /dev/null pki "$@"; }

modes_of() { (cd -- "$1" && find . -printf '%m %P\n' | sort -k2); }

a_ca_and_what_it_issues_are_in_their_folder_with_their_modes() {
    build_preset release --target pofrctl
    exit_code 1 pki show --dir "$PKI"
    pki init --dir "$PKI"
    pki issue kafka1 --server --names localhost,127.0.0.1 --dir "$PKI"
    pki issue pofr-gateway --dir "$PKI"
    equal "$(modes_of "$PKI")" "700 
644 ca.crt
600 ca.key
700 issued
644 issued/kafka1.crt
644 issued/pofr-gateway.crt
600 kafka1.pem
600 pofr-gateway.pem"
    openssl verify -x509_strict -CAfile "$PKI/ca.crt" -purpose sslserver -verify_hostname localhost "$PKI/issued/kafka1.crt"
    openssl verify -x509_strict -CAfile "$PKI/ca.crt" -purpose sslserver -verify_ip 127.0.0.1 "$PKI/kafka1.pem"
    openssl verify -x509_strict -CAfile "$PKI/ca.crt" -purpose sslclient "$PKI/pofr-gateway.pem"
    fails openssl verify -CAfile "$PKI/ca.crt" -purpose sslserver "$PKI/pofr-gateway.pem"
    fails openssl verify -CAfile "$PKI/ca.crt" -purpose sslserver -verify_hostname other "$PKI/kafka1.pem"
    equal "$(openssl pkey -in "$PKI/kafka1.pem" -pubout)" "$(openssl x509 -in "$PKI/kafka1.pem" -noout -pubkey)" "public key"
}

nothing_is_overwritten_unless_it_is_said() {
    local before
    before=$(sha256sum "$PKI"/* "$PKI"/issued/* 2>/dev/null || true)
    exit_code 4 pki init --dir "$PKI"
    exit_code 4 pki issue kafka1 --server --dir "$PKI"
    exit_code 4 pki issue another --dir "$PKI" --output "$PKI/kafka1.pem"
    exit_code 2 pki issue ca --dir "$PKI"
    exit_code 2 pki issue ../kafka1 --dir "$PKI"
    exit_code 2 pki issue kafka2 --server --names 'a b' --dir "$PKI"
    equal "$(sha256sum "$PKI"/* "$PKI"/issued/* 2>/dev/null || true)" "$before" "the folder"
    pki issue kafka1 --server --names localhost --dir "$PKI" --force
    fails openssl verify -CAfile "$PKI/ca.crt" -verify_ip 127.0.0.1 "$PKI/kafka1.pem"
    pki issue kafka1 --server --names localhost,127.0.0.1 --dir "$PKI" --force
}

# The key of before is gone from where it was used, too: what is renewed is written from what was issued.
renewing_keeps_name_and_names_and_takes_a_new_key() {
    local before serial
    before=$(openssl x509 -in "$PKI/kafka1.pem" -noout -pubkey)
    serial=$(pki --json show --dir "$PKI" | jq -r '.[] | select(.name == "kafka1").serial')
    rm -- "$PKI/kafka1.pem"
    pki renew kafka1 --dir "$PKI" --days 30
    fails equal "$(openssl x509 -in "$PKI/kafka1.pem" -noout -pubkey)" "$before"
    openssl verify -CAfile "$PKI/ca.crt" -purpose sslserver -verify_ip 127.0.0.1 "$PKI/kafka1.pem"
    pki --json show --dir "$PKI" | jq -e --arg serial "$serial" \
        '.[] | select(.name == "kafka1") | .serial != $serial and .kind == "server" and .days >= 29 and .days <= 30
            and .names == "DNS:localhost,IP:127.0.0.1" and .state == "good"'
    before=$(sha256sum "$PKI/kafka1.pem" "$PKI/pofr-gateway.pem")
    pki renew --all --within 20 --dir "$PKI"
    equal "$(sha256sum "$PKI/kafka1.pem" "$PKI/pofr-gateway.pem")" "$before" "what is good for longer"
    exit_code 1 pki show --dir "$PKI" --within 40
    pki renew --all --within 40 --dir "$PKI" --days 90
    pki show --dir "$PKI" --within 40
    fails sha256sum --check --status <(head -n 1 <<<"$before")
    sha256sum --check <(tail -n 1 <<<"$before")
    exit_code 1 pki renew nobody --dir "$PKI"
}

a_renewed_ca_vouches_for_what_is_in_use() {
    cp -- "$PKI/ca.crt" "$POFR_TEST_WORK/ca.before"
    pki renew ca --days 5000 --dir "$PKI"
    openssl verify -CAfile "$PKI/ca.crt" "$PKI/kafka1.pem" "$PKI/pofr-gateway.pem"
    pki renew pofr-gateway --dir "$PKI"
    openssl verify -CAfile "$POFR_TEST_WORK/ca.before" "$PKI/pofr-gateway.pem" # who has not got the new one yet
}

certificates_that_were_brought_along_are_shown() {
    pki init --dir "$POFR_TEST_WORK/other" --name other-ca
    pki issue stranger --server --dir "$POFR_TEST_WORK/other"
    pki show --dir "$PKI" "$PKI/kafka1.pem" "$PKI/ca.crt"
    exit_code 1 pki --json show --dir "$PKI" "$POFR_TEST_WORK/other/stranger.pem" >"$POFR_TEST_WORK/shown"
    jq -e '.[0] | .state == "other CA" and .issuer == "CN=other-ca" and .names == "DNS:stranger"' "$POFR_TEST_WORK/shown"
    exit_code 1 pki show --dir "$PKI" /etc/passwd
    chmod 644 -- "$POFR_TEST_WORK/other/ca.key"
    exit_code 4 pki issue more --dir "$POFR_TEST_WORK/other"
}

cases a_ca_and_what_it_issues_are_in_their_folder_with_their_modes nothing_is_overwritten_unless_it_is_said \
    renewing_keeps_name_and_names_and_takes_a_new_key a_renewed_ca_vouches_for_what_is_in_use \
    certificates_that_were_brought_along_are_shown
