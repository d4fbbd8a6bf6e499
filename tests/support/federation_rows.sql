-- SPDX-License-Identifier: GPL-2.0-or-later
-- Rows for tests/suites/federation.sh: @shard is 0 or 1; four hosts whose slots are on that shard. Every value is
-- a function of a number, so each run has the same rows. Open and closed intervals, several versions of a
-- process, files and sockets that overlap them or not, NULLs, bytes that are no text.
SET @open = '9999-12-31 23:59:59.999999', @t0 = '2026-03-01 00:00:00.000000';

INSERT INTO string (digest, text, last_used)
  SELECT UNHEX(SHA2(CONCAT('c', seq), 256)), ELT(1 + seq % 7, 'bash', 'httpd', 'nmap', 'chrome', 'it''s', UNHEX('FF00FE'), 'a###b'), '2026-03-01'
  FROM seq_1_to_7;
INSERT INTO string (digest, text, last_used)
  SELECT UNHEX(SHA2(CONCAT('p', seq), 256)),
    CONCAT(ELT(1 + seq % 5, '/usr/lib/lib', '/etc/file', '/srv/u/', '/var/log/l', '/tmp/x y'), seq), '2026-03-01' FROM seq_1_to_200;

INSERT INTO host (host_id, host_uuid, host, host_group, state, slot, enrolled, zone)
  SELECT (seq + 4 * @shard) * 1024 + slot, UNHEX(MD5(CONCAT('h', seq + 4 * @shard))), CONCAT('host', seq + 4 * @shard),
    IF(seq % 2, 'web', 'db'), IF(seq = 4, 'retired', 'active'), slot, @t0, IF(seq % 2, 'Europe/Athens', 'UTC')
  FROM seq_1_to_4 JOIN (SELECT slot, ROW_NUMBER() OVER (ORDER BY slot) AS n FROM slot WHERE state = 'owned') s ON s.n = seq;
INSERT INTO boot (host_id, boot, boot_id, anchor_us, anchor_source, anchor_uncertainty_us, host_anchor_us, first_sequence, first_digest,
    tip_sequence, tip_digest, tip_run, last_tick_us, last_tick)
  SELECT host_id, 1, host_uuid, 1772323200000000, 'gateway', 1000, 1772323200000000, 1, REPEAT('a', 32), 9, REPEAT('b', 32), host_uuid,
    900000000, @t0 + INTERVAL 900 SECOND FROM host;

-- A process lives from second pid * 3; one in three is open; one in four has a second version.
INSERT INTO psinfo (host_id, boot, pid, started, first_seen, last_seen, ended, end_source, hash, exit_status, cpu_us, ppid, parent_started,
    ruid, euid, suid, fsuid, rgid, egid, sgid, fsgid, login_uid, session, tty, command_id, exe_id, exe_device, exe_inode, exe_deleted,
    arguments, arguments_cut, cwd_id, cgroup_id, container_id, ns_mnt, ns_pid, ns_net, ns_user, ns_uts, ns_ipc, ns_cgroup,
    kernel_thread, recorder, unreadable)
  SELECT h.host_id, 1, p.seq, @t0 + INTERVAL p.seq * 3 SECOND, @t0 + INTERVAL p.seq * 3 + v.seq * 5 SECOND,
    @t0 + INTERVAL p.seq * 3 + v.seq * 5 + 4 SECOND,
    CASE WHEN v.seq = 0 AND p.seq % 4 = 0 THEN @t0 + INTERVAL p.seq * 3 + 5 SECOND WHEN p.seq % 3 = 0 THEN @open
      ELSE @t0 + INTERVAL p.seq * 3 + v.seq * 5 + 40 SECOND END,
    CASE WHEN v.seq = 0 AND p.seq % 4 = 0 THEN 'exec' WHEN p.seq % 3 = 0 THEN 'open' ELSE 'exit' END, 0,
    IF(p.seq % 5, NULL, (p.seq % 3) * 256), p.seq * 100, p.seq DIV 10, IF(p.seq % 7, @t0, NULL),
    p.seq % 4 * 1000, IF(p.seq % 11, p.seq % 4 * 1000, 0), 0, 0, 5, 5, 5, 5, IF(p.seq % 2, NULL, 1000), p.seq % 9, 0,
    1 + (p.seq + v.seq) % 7, 8 + p.seq % 200, 0, p.seq, 0, IF(p.seq % 6, CONCAT('cmd', CHAR(0), '-P0', CHAR(0), p.seq, CHAR(0)), NULL), 0,
    8 + p.seq % 13, NULL, NULL, 1, 1, 1, 1, 1, 1, 1, 0, p.seq = 7, 0
  FROM host h JOIN seq_1_to_240 p JOIN seq_0_to_1 v WHERE v.seq = 0 OR p.seq % 4 = 0;
INSERT INTO fileinfo (host_id, boot, pid, started, thread, fd, first_seen, last_seen, ended, end_source, command_id, path_id, path_cut, kind,
    access_mode, device, inode, deleted)
  SELECT h.host_id, 1, p.seq, @t0 + INTERVAL p.seq * 3 SECOND, 0, f.seq, @t0 + INTERVAL p.seq * 3 + f.seq SECOND,
    @t0 + INTERVAL p.seq * 3 + f.seq + 2 SECOND, IF((p.seq + f.seq) % 3, @t0 + INTERVAL p.seq * 3 + f.seq * 4 + 3 SECOND, @open),
    IF((p.seq + f.seq) % 3, 'gone', 'open'), 1 + p.seq % 7, 8 + (p.seq * f.seq) % 200, 0, ELT(1 + f.seq % 3, 'regular', 'socket', 'fifo'),
    ELT(1 + f.seq % 4, '', 'r', 'w', 'rw'), 8 << 32 | 1, p.seq * 100 + f.seq, f.seq = 9
  FROM host h JOIN seq_1_to_240 p JOIN seq_0_to_9 f;
INSERT INTO netinfo (host_id, boot, pid, started, netns, cookie, cookie_kind, first_seen, last_seen, ended, end_source, command_id, family,
    protocol, type, local_address, local_port, remote_address, remote_port, uid, inode, interface, peer_inode, state, bytes_sent, bytes_received)
  SELECT h.host_id, 1, IF(n.seq % 4, p.seq, 0), IF(n.seq % 4, @t0 + INTERVAL p.seq * 3 SECOND, '1970-01-01'), 4026531840, p.seq * 10 + n.seq, 0,
    @t0 + INTERVAL p.seq * 3 + n.seq SECOND, @t0 + INTERVAL p.seq * 3 + n.seq + 2 SECOND,
    IF((p.seq + n.seq) % 3, @t0 + INTERVAL p.seq * 3 + n.seq * 7 SECOND, @open), IF((p.seq + n.seq) % 3, 'close', 'open'), 1 + p.seq % 7,
    IF(n.seq % 3, 2, 10), IF(n.seq % 2, 6, 17), IF(n.seq % 2, 1, 2), '10.0.0.1', 1024 + p.seq, CONCAT('192.168.', n.seq, '.', p.seq % 250), 22 + n.seq,
    p.seq % 4 * 1000, p.seq, 0, 0, 1 + p.seq % 11, IF(p.seq % 2, p.seq * 1000, NULL), IF(p.seq % 2, 5, NULL)
  FROM host h JOIN seq_1_to_240 p JOIN seq_1_to_4 n;
INSERT INTO hostinfo (host_id, boot, name, first_seen, last_seen, value) SELECT host_id, 1, 'kernel', @t0, @t0, '6.1.0' FROM host;
INSERT INTO gap (host_id, boot, kind, from_time, to_time, lost, noted) SELECT host_id, 1, 'sequence', @t0, @t0 + INTERVAL 4 SECOND, 17, @t0 FROM host;
INSERT INTO coverage (host_id, boot, source, first_seen, last_seen, mode, reason, seen, lost, lost_at_least)
  SELECT host_id, 1, 'procfs', @t0, @t0, 'gated', '', 5, 0, 0 FROM host;
