-- SPDX-License-Identifier: GPL-2.0-or-later
-- What analysts see on a shard: database pofr, views over pofr_store that show owned slots only. Joins to
-- string and boot are outer joins on unique keys, so that the optimizer drops those a query does not use.
-- The head has Spider tables over these views, with the same names and columns.

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.psinfo AS
SELECT h.host, p.host_id, p.boot, p.pid, p.started, p.first_seen,
  IF(p.end_source = 'open', b.last_tick, p.last_seen) AS last_seen, p.ended, p.end_source, p.end_inferred, p.time_source, p.own_first_seen, p.own_ended, p.start_unseen,
  p.exit_status, IF(p.exit_status & 127 = 0, p.exit_status >> 8, NULL) AS exit_code, NULLIF(p.exit_status & 127, 0) AS exit_signal, p.cpu_us,
  p.ppid, p.parent_started, p.ruid, p.euid, p.suid, p.fsuid, p.rgid, p.egid, p.sgid, p.fsgid, p.login_uid, p.session, p.tty,
  c.text AS command, e.text AS exe, CONCAT(p.exe_device >> 32, ':', p.exe_device & 4294967295) AS exe_device, p.exe_inode, p.exe_deleted,
  p.arguments, p.arguments_cut, w.text AS cwd, g.text AS cgroup, k.text AS container,
  p.ns_mnt, p.ns_pid, p.ns_net, p.ns_user, p.ns_uts, p.ns_ipc, p.ns_cgroup, p.kernel_thread, p.recorder, p.unreadable
FROM pofr_store.psinfo p
  JOIN pofr_store.host h ON h.host_id = p.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = p.host_id AND b.boot = p.boot
  LEFT JOIN pofr_store.string c ON c.id = p.command_id
  LEFT JOIN pofr_store.string e ON e.id = p.exe_id
  LEFT JOIN pofr_store.string w ON w.id = p.cwd_id
  LEFT JOIN pofr_store.string g ON g.id = p.cgroup_id
  LEFT JOIN pofr_store.string k ON k.id = p.container_id;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.process AS
SELECT h.host, p.host_id, p.boot, p.pid, p.started, p.first_seen,
  IF(p.end_source = 'open', b.last_tick, p.last_seen) AS last_seen, p.ended, p.end_source, p.end_inferred, p.time_source, p.own_first_seen, p.own_ended, p.start_unseen,
  p.exit_status, IF(p.exit_status & 127 = 0, p.exit_status >> 8, NULL) AS exit_code, NULLIF(p.exit_status & 127, 0) AS exit_signal, p.cpu_us,
  p.ppid, p.parent_started, p.ruid, p.euid, p.suid, p.fsuid, p.rgid, p.egid, p.sgid, p.fsgid, p.login_uid, p.session, p.tty,
  c.text AS command, e.text AS exe, CONCAT(p.exe_device >> 32, ':', p.exe_device & 4294967295) AS exe_device, p.exe_inode, p.exe_deleted,
  p.arguments, p.arguments_cut, w.text AS cwd, g.text AS cgroup, k.text AS container,
  p.ns_mnt, p.ns_pid, p.ns_net, p.ns_user, p.ns_uts, p.ns_ipc, p.ns_cgroup, p.kernel_thread, p.recorder, p.unreadable
FROM pofr_store.psinfo p
  JOIN pofr_store.host h ON h.host_id = p.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = p.host_id AND b.boot = p.boot
  LEFT JOIN pofr_store.string c ON c.id = p.command_id
  LEFT JOIN pofr_store.string e ON e.id = p.exe_id
  LEFT JOIN pofr_store.string w ON w.id = p.cwd_id
  LEFT JOIN pofr_store.string g ON g.id = p.cgroup_id
  LEFT JOIN pofr_store.string k ON k.id = p.container_id
WHERE p.end_source NOT IN ('exec', 'change');

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.fileinfo AS
SELECT h.host, f.host_id, f.boot, f.pid, f.started, f.thread,
  c.text AS command, f.fd, q.text AS path, f.path_cut, f.kind, f.access_mode, CONCAT(f.device >> 32, ':', f.device & 4294967295) AS device, f.inode, f.deleted,
  f.first_seen, IF(f.end_source = 'open', b.last_tick, f.last_seen) AS last_seen, f.ended, f.end_source, f.end_inferred, f.time_source, f.own_first_seen, f.own_ended
FROM pofr_store.fileinfo f
  JOIN pofr_store.host h ON h.host_id = f.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = f.host_id AND b.boot = f.boot
  LEFT JOIN pofr_store.string c ON c.id = f.command_id
  LEFT JOIN pofr_store.string q ON q.id = f.path_id;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.netinfo AS
SELECT h.host, n.host_id, n.boot, NULLIF(n.pid, 0) AS pid, IF(n.pid = 0, NULL, n.started) AS started,
  IF(n.pid = 0, NULL, c.text) AS command,
  n.netns, CASE n.family WHEN 1 THEN 'unix' WHEN 2 THEN 'inet' WHEN 10 THEN 'inet6' WHEN 16 THEN 'netlink' WHEN 17 THEN 'packet' ELSE CONCAT(n.family) END AS family,
  CASE WHEN n.family IN (2, 10) THEN CASE n.protocol WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp' WHEN 1 THEN 'icmp' WHEN 58 THEN 'icmpv6'
      WHEN 132 THEN 'sctp' WHEN 136 THEN 'udplite' WHEN 255 THEN 'raw' ELSE CONCAT(n.protocol) END
    WHEN n.family = 1 THEN CASE n.type WHEN 1 THEN 'stream' WHEN 2 THEN 'dgram' WHEN 5 THEN 'seqpacket' ELSE CONCAT(n.type) END
    ELSE CONCAT(n.protocol) END AS protocol,
  n.local_address, n.local_port, n.remote_address, n.remote_port,
  CASE n.state WHEN 1 THEN 'ESTABLISHED' WHEN 2 THEN 'SYN_SENT' WHEN 3 THEN 'SYN_RECV' WHEN 4 THEN 'FIN_WAIT1' WHEN 5 THEN 'FIN_WAIT2' WHEN 6 THEN 'TIME_WAIT' WHEN 7 THEN 'CLOSE' WHEN 8 THEN 'CLOSE_WAIT' WHEN 9 THEN 'LAST_ACK' WHEN 10 THEN 'LISTEN' WHEN 11 THEN 'CLOSING' WHEN 12 THEN 'NEW_SYN_RECV' ELSE NULL END AS state,
  n.cookie, n.cookie_kind, n.inode, n.uid, n.interface, n.peer_inode, n.bytes_sent, n.bytes_received,
  n.first_seen, IF(n.end_source = 'open', b.last_tick, n.last_seen) AS last_seen, n.ended, n.end_source, n.end_inferred, n.time_source, n.own_first_seen, n.own_ended
FROM pofr_store.netinfo n
  JOIN pofr_store.host h ON h.host_id = n.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = n.host_id AND b.boot = n.boot
  LEFT JOIN pofr_store.string c ON c.id = n.command_id;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.process_file AS
SELECT h.host, p.host_id, p.boot, p.pid, p.started, p.first_seen AS version_first_seen, p.ended AS version_ended,
  p.ppid, p.parent_started, p.ruid, p.euid, p.suid, p.rgid, p.egid, p.login_uid, p.session, p.tty,
  c.text AS command, e.text AS exe, p.arguments, w.text AS cwd, g.text AS cgroup, k.text AS container, p.recorder,
  f.thread, f.fd, q.text AS path, f.path_cut, f.kind, f.access_mode, CONCAT(f.device >> 32, ':', f.device & 4294967295) AS device, f.inode, f.deleted,
  f.first_seen, IF(f.end_source = 'open', b.last_tick, f.last_seen) AS last_seen, f.ended, f.end_source, f.end_inferred
FROM pofr_store.psinfo p
  JOIN pofr_store.fileinfo f ON f.host_id = p.host_id AND f.boot = p.boot AND f.pid = p.pid AND f.started = p.started
    AND f.first_seen < p.ended AND f.ended > p.first_seen
  JOIN pofr_store.host h ON h.host_id = p.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = p.host_id AND b.boot = p.boot
  LEFT JOIN pofr_store.string c ON c.id = p.command_id
  LEFT JOIN pofr_store.string e ON e.id = p.exe_id
  LEFT JOIN pofr_store.string w ON w.id = p.cwd_id
  LEFT JOIN pofr_store.string g ON g.id = p.cgroup_id
  LEFT JOIN pofr_store.string k ON k.id = p.container_id
  LEFT JOIN pofr_store.string q ON q.id = f.path_id;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.process_socket AS
SELECT h.host, p.host_id, p.boot, p.pid, p.started, p.first_seen AS version_first_seen, p.ended AS version_ended,
  p.ppid, p.parent_started, p.ruid, p.euid, p.suid, p.rgid, p.egid, p.login_uid, p.session, p.tty,
  c.text AS command, e.text AS exe, p.arguments, w.text AS cwd, g.text AS cgroup, k.text AS container, p.recorder,
  n.netns, CASE n.family WHEN 1 THEN 'unix' WHEN 2 THEN 'inet' WHEN 10 THEN 'inet6' WHEN 16 THEN 'netlink' WHEN 17 THEN 'packet' ELSE CONCAT(n.family) END AS family,
  CASE WHEN n.family IN (2, 10) THEN CASE n.protocol WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp' WHEN 1 THEN 'icmp' WHEN 58 THEN 'icmpv6'
      WHEN 132 THEN 'sctp' WHEN 136 THEN 'udplite' WHEN 255 THEN 'raw' ELSE CONCAT(n.protocol) END
    WHEN n.family = 1 THEN CASE n.type WHEN 1 THEN 'stream' WHEN 2 THEN 'dgram' WHEN 5 THEN 'seqpacket' ELSE CONCAT(n.type) END
    ELSE CONCAT(n.protocol) END AS protocol,
  n.local_address, n.local_port, n.remote_address, n.remote_port,
  CASE n.state WHEN 1 THEN 'ESTABLISHED' WHEN 2 THEN 'SYN_SENT' WHEN 3 THEN 'SYN_RECV' WHEN 4 THEN 'FIN_WAIT1' WHEN 5 THEN 'FIN_WAIT2' WHEN 6 THEN 'TIME_WAIT' WHEN 7 THEN 'CLOSE' WHEN 8 THEN 'CLOSE_WAIT' WHEN 9 THEN 'LAST_ACK' WHEN 10 THEN 'LISTEN' WHEN 11 THEN 'CLOSING' WHEN 12 THEN 'NEW_SYN_RECV' ELSE NULL END AS state,
  n.cookie, n.cookie_kind, n.inode, n.uid, n.interface, n.peer_inode, n.bytes_sent, n.bytes_received,
  n.first_seen, IF(n.end_source = 'open', b.last_tick, n.last_seen) AS last_seen, n.ended, n.end_source, n.end_inferred
FROM pofr_store.psinfo p
  JOIN pofr_store.netinfo n ON n.host_id = p.host_id AND n.boot = p.boot AND n.pid = p.pid AND n.started = p.started
    AND n.first_seen < p.ended AND n.ended > p.first_seen
  JOIN pofr_store.host h ON h.host_id = p.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = p.host_id AND b.boot = p.boot
  LEFT JOIN pofr_store.string c ON c.id = p.command_id
  LEFT JOIN pofr_store.string e ON e.id = p.exe_id
  LEFT JOIN pofr_store.string w ON w.id = p.cwd_id
  LEFT JOIN pofr_store.string g ON g.id = p.cgroup_id
  LEFT JOIN pofr_store.string k ON k.id = p.container_id;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.userinfo AS
SELECT h.host, x.host_id, x.boot, x.name, x.uid, x.gid, x.comment, x.home, x.shell, x.origin,
  x.first_seen, IF(x.end_source = 'open', b.last_tick, x.last_seen) AS last_seen, x.ended, x.end_source, x.end_inferred, x.time_source, x.own_first_seen, x.own_ended
FROM pofr_store.userinfo x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = x.host_id AND b.boot = x.boot;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.groupinfo AS
SELECT h.host, x.host_id, x.boot, x.name, x.gid, x.members, x.origin,
  x.first_seen, IF(x.end_source = 'open', b.last_tick, x.last_seen) AS last_seen, x.ended, x.end_source, x.end_inferred, x.time_source, x.own_first_seen, x.own_ended
FROM pofr_store.groupinfo x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = x.host_id AND b.boot = x.boot;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.netint AS
SELECT h.host, x.host_id, x.boot, x.netns, x.interface, x.name, CASE x.family WHEN 1 THEN 'unix' WHEN 2 THEN 'inet' WHEN 10 THEN 'inet6' WHEN 16 THEN 'netlink' WHEN 17 THEN 'packet' ELSE CONCAT(x.family) END AS family, x.address, x.prefix, x.hardware_address, x.mtu, x.flags, x.broadcast,
  x.first_seen, IF(x.end_source = 'open', b.last_tick, x.last_seen) AS last_seen, x.ended, x.end_source, x.end_inferred, x.time_source, x.own_first_seen, x.own_ended
FROM pofr_store.netint x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = x.host_id AND b.boot = x.boot;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.netroute AS
SELECT h.host, x.host_id, x.boot, x.netns, CASE x.family WHEN 1 THEN 'unix' WHEN 2 THEN 'inet' WHEN 10 THEN 'inet6' WHEN 16 THEN 'netlink' WHEN 17 THEN 'packet' ELSE CONCAT(x.family) END AS family, x.route_table, x.destination, x.prefix, x.gateway, x.interface, x.interface_name, x.metric, x.type, x.scope, x.protocol, x.source,
  x.first_seen, IF(x.end_source = 'open', b.last_tick, x.last_seen) AS last_seen, x.ended, x.end_source, x.end_inferred, x.time_source, x.own_first_seen, x.own_ended
FROM pofr_store.netroute x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = x.host_id AND b.boot = x.boot;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.hostinfo AS
SELECT h.host, x.host_id, x.boot, x.name, x.value,
  x.first_seen, IF(x.end_source = 'open', b.last_tick, x.last_seen) AS last_seen, x.ended, x.end_source, x.end_inferred, x.time_source, x.own_first_seen, x.own_ended
FROM pofr_store.hostinfo x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = x.host_id AND b.boot = x.boot;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.hwinfo AS
SELECT h.host, x.host_id, x.boot, x.class, x.name, x.value,
  x.first_seen, IF(x.end_source = 'open', b.last_tick, x.last_seen) AS last_seen, x.ended, x.end_source, x.end_inferred, x.time_source, x.own_first_seen, x.own_ended
FROM pofr_store.hwinfo x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = x.host_id AND b.boot = x.boot;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.login AS
SELECT h.host, x.host_id, x.boot, x.session, x.user, x.uid, x.tty, x.remote_host, x.service, x.leader, x.since, x.origin,
  x.first_seen, IF(x.end_source = 'open', b.last_tick, x.last_seen) AS last_seen, x.ended, x.end_source, x.end_inferred, x.time_source, x.own_first_seen, x.own_ended
FROM pofr_store.login x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = x.host_id AND b.boot = x.boot;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.coverage AS
SELECT h.host, x.host_id, x.boot, x.source, x.first_seen AS from_time, x.ended AS to_time, IF(x.end_source = 'open', b.last_tick, x.last_seen) AS last_seen,
  x.mode, x.seen, x.lost, x.lost_at_least, x.reason, x.end_source, x.end_inferred
FROM pofr_store.coverage x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.boot b ON b.host_id = x.host_id AND b.boot = x.boot;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.gap AS
SELECT h.host, x.host_id, x.boot, x.from_time, x.to_time, x.kind, x.lost, x.explained, x.first_sequence, x.last_sequence, x.digest, x.detail, x.noted, x.gap_id
FROM pofr_store.gap x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned';

-- Messages that were gone before they were stored; whose they were is known only when a host's next bundle comes (gap).
CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.slot_gap AS
SELECT x.slot, x.incarnation, x.from_offset, x.to_offset, x.kind, x.noted
FROM pofr_store.slot_gap x
  JOIN pofr_store.slot s ON s.slot = x.slot AND s.state = 'owned';

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.finding AS
SELECT h.host, x.host_id, x.boot, x.at_time, x.kind, x.detail, x.finding_id
FROM pofr_store.finding x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned';

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.bundle AS
SELECT h.host, x.host_id, x.run, x.boot, x.sequence, x.statement_digest, x.previous_digest, x.payload_digest, x.key_id, x.signature,
  x.boot_id, x.origin, x.from_boot_us, x.to_boot_us, x.from_wall_us, x.to_wall_us, x.ticks, x.ticks_total, x.keyframe, x.counts,
  x.records, x.records_total, x.lost_total, x.payload_size, x.payload_bytes, x.recorder, x.captured_from, x.captured_to,
  x.clock_offset, x.clock_uncertainty, x.received, x.stored, x.slot, x.incarnation, x.kafka_offset, x.bytes, x.unknown_records, x.replayed
FROM pofr_store.bundle x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned';

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.set_aside AS
SELECT h.host, x.host_id, x.slot, x.incarnation, x.kafka_offset, x.received, x.noted, x.reason, x.detail, x.records,
  x.message_key, x.message, x.relayed, x.replayed
FROM pofr_store.set_aside x
  JOIN pofr_store.slot s ON s.slot = x.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.host h ON h.host_id = x.host_id;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.host AS
SELECT h.host, h.host_id, LOWER(INSERT(INSERT(INSERT(INSERT(HEX(h.host_uuid), 9, 0, '-'), 14, 0, '-'), 19, 0, '-'), 24, 0, '-')) AS host_uuid,
  h.host_group, h.state, h.enrolled, t.last_bundle, t.complete_to, t.last_tick, t.bundles, t.records, t.records_total, t.lost_total, h.slot, h.zone, t.recorder
FROM pofr_store.host h
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  LEFT JOIN pofr_store.host_state t ON t.host_id = h.host_id;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr.boot AS
SELECT h.host, x.host_id, x.boot, x.boot_id, x.branch, x.anchor_us, x.anchor_source, x.anchor_uncertainty_us, x.host_anchor_us, x.first_sequence, x.tip_sequence, x.last_tick, x.drift_us, x.closed
FROM pofr_store.boot x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned';
