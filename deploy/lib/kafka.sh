# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# kafka.sh -- one real broker on loopback (KRaft: no second service), from jars.
#
# The first half needs base.sh only and serves deploy/kafka/fetch too; the part's functions need proc.sh
# and state.sh.

# kafka_cache: where the jars are kept, named by what the pom.xml says. In the source tree's build folder:
# what is built and what is fetched goes together, and a broker that is not root must be able to read it.
kafka_cache() {
    local sum base=$POFR_TREE/build/cache
    sum=$(sha256sum <"$POFR_TREE/deploy/kafka/pom.xml")
    [[ -w $POFR_TREE || -w $base ]] || base=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pofr
    printf '%s/kafka-%s' "${POFR_CACHE:-$base}" "${sum:0:12}"
}

# kafka_archive: the class archive for the Java of this machine
kafka_archive() {
    local sum
    sum=$(java -version 2>&1 | sha256sum)
    printf '%s/kafka-%s.jsa' "$(kafka_cache)" "${sum:0:12}"
}

kafka_tool() {
    java -Xshare:auto -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$(kafka_cache)/lib/*" "$@"
}

# kafka_properties DATA PORT CONTROLLER_PORT [CERTIFICATE CA]: server.properties on stdout; with TLS where there is a certificate
kafka_properties() {
    local protocol=PLAINTEXT
    local -a files=("$POFR_TREE/deploy/kafka/server.properties.in")
    [[ -z ${4:-} ]] || { files+=("$POFR_TREE/deploy/kafka/tls.properties.in") && protocol=SSL; }
    sed -e "s|@DATA@|$1|" -e "s|@PORT@|$2|" -e "s|@CONTROLLER_PORT@|$3|" -e "s|@PROTOCOL@|$protocol|g" \
        -e "s|@CERTIFICATE@|${4:-}|" -e "s|@CA@|${5:-}|" "${files[@]}"
}

# kafka_format PROPERTIES: give the log folder its identity
kafka_format() {
    local id
    # 16 random bytes in URL-safe base64, as `StorageTool random-uuid` makes them, without its second
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | tr -d '=')
    kafka_tool kafka.tools.StorageTool format -t "$id" -c "$1"
}

# kafka_command PROPERTIES HEAP [JVM OPTION...]: fills the array KAFKA_COMMAND
kafka_command() {
    local properties=$1 heap=$2
    shift 2
    KAFKA_COMMAND=(java "-Xms$heap" "-Xmx$heap" -XX:+UseSerialGC -XX:TieredStopAtLevel=1
        -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true "$@"
        "-Dlog4j2.configurationFile=$POFR_TREE/deploy/kafka/log4j2.yaml"
        -cp "$(kafka_cache)/lib/*" kafka.Kafka "$properties")
}

# kafka_make_archive: one short life of a broker whose classes are written down at its end
kafka_make_archive() {
    local work archive port controller pid status=0
    archive=$(kafka_archive)
    work=$(mktemp -d "$(kafka_cache)/train.XXXXXX")
    port=$(free_port)
    controller=$(free_port "$port")
    mkdir "$work/data"
    kafka_properties "$work/data" "$port" "$controller" >"$work/server.properties"
    kafka_format "$work/server.properties" >"$work/log" 2>&1 || status=1
    if [[ $status -eq 0 ]]; then
        kafka_command "$work/server.properties" 256m "-XX:ArchiveClassesAtExit=$work/kafka.jsa" -Xshare:auto
        "${KAFKA_COMMAND[@]}" >>"$work/log" 2>&1 </dev/null &
        pid=$!
        wait_until 60 port_is_open "$port" || status=1
        kafka_tool org.apache.kafka.tools.TopicCommand --bootstrap-server "127.0.0.1:$port" --create \
            --topic train --partitions 2 --replication-factor 1 >>"$work/log" 2>&1 || status=1
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" || true # 143: ended by the signal, as asked
        [[ -s $work/kafka.jsa ]] || status=1
    fi
    if [[ $status -eq 0 ]]; then
        mv -- "$work/kafka.jsa" "$archive"
    else
        last_lines "$work/log"
    fi
    rm -rf -- "$work"
    return "$status"
}

# --- the part ---------------------------------------------------------------------------------------

kafka_configure() {
    local -a tls=()
    ! tls_is_on || tls=("$TLS_DIR/kafka.pem" "$TLS_DIR/ca.crt")
    kafka_properties "$STATE/data/kafka" "${PORTS[kafka]}" "${PORTS[kafka-controller]}" "${tls[@]}" |
        write_file "$STATE/etc/kafka.properties" 644
}

kafka_start() {
    local -a jvm=()
    local archive new
    if [[ ! -e $STATE/data/kafka/meta.properties ]]; then
        new=$STATE/data/kafka.new.$$
        remove_unfinished "$STATE/data/kafka"
        mkdir -- "$new"
        kafka_properties "$new" "${PORTS[kafka]}" "${PORTS[kafka-controller]}" >"$STATE/tmp/kafka-format.properties"
        run_logged kafka "formatting" "$STATE/log/kafka-format.log" \
            kafka_format "$STATE/tmp/kafka-format.properties" ||
            fail kafka "could not format its folder" "$STATE/log/kafka-format.log" "room on the disk? df -h $STATE"
        mv -T -- "$new" "$STATE/data/kafka"
    fi
    give_to "$(user_of kafka)" "$STATE/data/kafka"
    mkdir -p -- "$STATE/tmp/kafka"
    give_to "$(user_of kafka)" "$STATE/tmp/kafka"
    archive=$(kafka_archive)
    [[ ! -s $archive ]] || jvm+=("-XX:SharedArchiveFile=$archive")
    kafka_command "$STATE/etc/kafka.properties" "${POFR_KAFKA_HEAP:-256m}" "${jvm[@]}" \
        "-Djava.io.tmpdir=$STATE/tmp/kafka"
    spawn kafka "${KAFKA_COMMAND[@]}"
}

kafka_ready() { port_is_open "${PORTS[kafka]}"; }
