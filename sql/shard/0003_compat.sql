-- SPDX-License-Identifier: GPL-2.0-or-later
-- Database pofr_compat: POFR's own table and column names and meaning, over all hosts, with columns host and
-- host_id more. c... is the first sighting, d... the end (NULL while it is open), both in the host's own time zone;
-- cmsec and dmsec are microseconds, as in POFR. What differs from POFR is in docs/SCHEMA.md.

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr_compat.psinfo AS
SELECT h.host, p.host_id,
  CAST(CONV(LEFT(SHA1(CONCAT_WS('.', p.host_id, p.boot, p.pid, p.started, p.first_seen)), 15), 16, 10) AS UNSIGNED) AS psentity,
  SHA1(CONCAT(p.pid, p.ppid, p.ruid, c.text, COALESCE(p.arguments, ''))) AS shanorm, SHA1(CONCAT(p.pid, p.ppid, p.ruid, c.text, COALESCE(p.arguments, ''))) AS shafull,
  p.ruid, p.euid, p.rgid, p.egid, p.ruid AS uid, p.pid, p.ppid, c.text AS command, p.arguments,
  CONCAT(IF(TIMESTAMPDIFF(MINUTE, p.first_seen, COALESCE(CONVERT_TZ(p.first_seen, 'UTC', h.zone), p.first_seen)) < 0, '-', '+'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, p.first_seen, COALESCE(CONVERT_TZ(p.first_seen, 'UTC', h.zone), p.first_seen))) DIV 60, 2, '0'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, p.first_seen, COALESCE(CONVERT_TZ(p.first_seen, 'UTC', h.zone), p.first_seen))) MOD 60, 2, '0')) AS tzone,
  YEAR(COALESCE(CONVERT_TZ(p.first_seen, 'UTC', h.zone), p.first_seen)) AS cyear,
  MONTH(COALESCE(CONVERT_TZ(p.first_seen, 'UTC', h.zone), p.first_seen)) AS cmonth,
  DAYOFMONTH(COALESCE(CONVERT_TZ(p.first_seen, 'UTC', h.zone), p.first_seen)) AS cday,
  HOUR(COALESCE(CONVERT_TZ(p.first_seen, 'UTC', h.zone), p.first_seen)) AS chour,
  MINUTE(COALESCE(CONVERT_TZ(p.first_seen, 'UTC', h.zone), p.first_seen)) AS cmin,
  SECOND(COALESCE(CONVERT_TZ(p.first_seen, 'UTC', h.zone), p.first_seen)) AS csec,
  MICROSECOND(COALESCE(CONVERT_TZ(p.first_seen, 'UTC', h.zone), p.first_seen)) AS cmsec,
  YEAR(IF(p.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(p.ended, 'UTC', h.zone), p.ended))) AS dyear,
  MONTH(IF(p.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(p.ended, 'UTC', h.zone), p.ended))) AS dmonth,
  DAYOFMONTH(IF(p.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(p.ended, 'UTC', h.zone), p.ended))) AS dday,
  HOUR(IF(p.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(p.ended, 'UTC', h.zone), p.ended))) AS dhour,
  MINUTE(IF(p.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(p.ended, 'UTC', h.zone), p.ended))) AS dmin,
  SECOND(IF(p.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(p.ended, 'UTC', h.zone), p.ended))) AS dsec,
  MICROSECOND(IF(p.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(p.ended, 'UTC', h.zone), p.ended))) AS dmsec
FROM pofr_store.psinfo p
  JOIN pofr_store.host h ON h.host_id = p.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  JOIN pofr_store.string c ON c.id = p.command_id;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr_compat.fileinfo AS
SELECT h.host, f.host_id,
  CAST(CONV(LEFT(SHA1(CONCAT_WS('.', f.host_id, f.boot, f.pid, f.started, f.thread, f.fd, f.first_seen)), 15), 16, 10) AS UNSIGNED) AS fileaccessid,
  SHA1(CONCAT(q.text, COALESCE(p.ruid, ''), f.pid, COALESCE(p.ppid, ''), c.text)) AS shasum,
  IF(f.deleted, CONCAT(q.text, ' (deleted)'), q.text) AS filename,
  p.ruid, p.euid, p.rgid, p.egid, p.ruid AS uid, c.text AS command, f.pid, p.ppid,
  CONCAT(IF(TIMESTAMPDIFF(MINUTE, f.first_seen, COALESCE(CONVERT_TZ(f.first_seen, 'UTC', h.zone), f.first_seen)) < 0, '-', '+'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, f.first_seen, COALESCE(CONVERT_TZ(f.first_seen, 'UTC', h.zone), f.first_seen))) DIV 60, 2, '0'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, f.first_seen, COALESCE(CONVERT_TZ(f.first_seen, 'UTC', h.zone), f.first_seen))) MOD 60, 2, '0')) AS tzone,
  YEAR(COALESCE(CONVERT_TZ(f.first_seen, 'UTC', h.zone), f.first_seen)) AS cyear,
  MONTH(COALESCE(CONVERT_TZ(f.first_seen, 'UTC', h.zone), f.first_seen)) AS cmonth,
  DAYOFMONTH(COALESCE(CONVERT_TZ(f.first_seen, 'UTC', h.zone), f.first_seen)) AS cday,
  HOUR(COALESCE(CONVERT_TZ(f.first_seen, 'UTC', h.zone), f.first_seen)) AS chour,
  MINUTE(COALESCE(CONVERT_TZ(f.first_seen, 'UTC', h.zone), f.first_seen)) AS cmin,
  SECOND(COALESCE(CONVERT_TZ(f.first_seen, 'UTC', h.zone), f.first_seen)) AS csec,
  MICROSECOND(COALESCE(CONVERT_TZ(f.first_seen, 'UTC', h.zone), f.first_seen)) AS cmsec,
  YEAR(IF(f.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(f.ended, 'UTC', h.zone), f.ended))) AS dyear,
  MONTH(IF(f.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(f.ended, 'UTC', h.zone), f.ended))) AS dmonth,
  DAYOFMONTH(IF(f.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(f.ended, 'UTC', h.zone), f.ended))) AS dday,
  HOUR(IF(f.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(f.ended, 'UTC', h.zone), f.ended))) AS dhour,
  MINUTE(IF(f.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(f.ended, 'UTC', h.zone), f.ended))) AS dmin,
  SECOND(IF(f.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(f.ended, 'UTC', h.zone), f.ended))) AS dsec,
  MICROSECOND(IF(f.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(f.ended, 'UTC', h.zone), f.ended))) AS dmsec
FROM pofr_store.fileinfo f
  JOIN pofr_store.host h ON h.host_id = f.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
  JOIN pofr_store.string c ON c.id = f.command_id
  JOIN pofr_store.string q ON q.id = f.path_id
  LEFT JOIN pofr_store.psinfo p ON p.host_id = f.host_id AND p.boot = f.boot AND p.pid = f.pid AND p.started = f.started
    AND p.first_seen <= f.first_seen AND p.ended > f.first_seen;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr_compat.netinfo AS
SELECT h.host, n.host_id,
  CAST(CONV(LEFT(SHA1(CONCAT_WS('.', n.host_id, n.boot, n.netns, n.cookie, n.pid, n.first_seen)), 15), 16, 10) AS UNSIGNED) AS endpointinfo,
  IF(n.protocol = 6, 'tcp', 'udp') AS transport,
  n.local_address AS sourceip, n.local_port AS sourceport, CAST(NULL AS CHAR(255)) AS sourcefqdn,
  n.remote_address AS destip, n.remote_port AS destport, CAST(NULL AS CHAR(255)) AS destfqdn,
  IF(n.family = 2, 4, 6) AS ipversion, NULLIF(n.pid, 0) AS pid, n.uid, n.inode,
  SHA1(CONCAT_WS('.', n.protocol, n.local_address, n.local_port, n.remote_address, n.remote_port, n.pid, n.uid, n.inode)) AS shasum,
  '-' AS country, '-' AS city,
  CONCAT(IF(TIMESTAMPDIFF(MINUTE, n.first_seen, COALESCE(CONVERT_TZ(n.first_seen, 'UTC', h.zone), n.first_seen)) < 0, '-', '+'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, n.first_seen, COALESCE(CONVERT_TZ(n.first_seen, 'UTC', h.zone), n.first_seen))) DIV 60, 2, '0'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, n.first_seen, COALESCE(CONVERT_TZ(n.first_seen, 'UTC', h.zone), n.first_seen))) MOD 60, 2, '0')) AS tzone,
  YEAR(COALESCE(CONVERT_TZ(n.first_seen, 'UTC', h.zone), n.first_seen)) AS cyear,
  MONTH(COALESCE(CONVERT_TZ(n.first_seen, 'UTC', h.zone), n.first_seen)) AS cmonth,
  DAYOFMONTH(COALESCE(CONVERT_TZ(n.first_seen, 'UTC', h.zone), n.first_seen)) AS cday,
  HOUR(COALESCE(CONVERT_TZ(n.first_seen, 'UTC', h.zone), n.first_seen)) AS chour,
  MINUTE(COALESCE(CONVERT_TZ(n.first_seen, 'UTC', h.zone), n.first_seen)) AS cmin,
  SECOND(COALESCE(CONVERT_TZ(n.first_seen, 'UTC', h.zone), n.first_seen)) AS csec,
  MICROSECOND(COALESCE(CONVERT_TZ(n.first_seen, 'UTC', h.zone), n.first_seen)) AS cmsec,
  YEAR(IF(n.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(n.ended, 'UTC', h.zone), n.ended))) AS dyear,
  MONTH(IF(n.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(n.ended, 'UTC', h.zone), n.ended))) AS dmonth,
  DAYOFMONTH(IF(n.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(n.ended, 'UTC', h.zone), n.ended))) AS dday,
  HOUR(IF(n.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(n.ended, 'UTC', h.zone), n.ended))) AS dhour,
  MINUTE(IF(n.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(n.ended, 'UTC', h.zone), n.ended))) AS dmin,
  SECOND(IF(n.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(n.ended, 'UTC', h.zone), n.ended))) AS dsec,
  MICROSECOND(IF(n.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(n.ended, 'UTC', h.zone), n.ended))) AS dmsec
FROM pofr_store.netinfo n
  JOIN pofr_store.host h ON h.host_id = n.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned'
WHERE n.family IN (2, 10) AND n.protocol IN (6, 17);

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr_compat.userinfo AS
SELECT h.host, x.host_id, x.name AS username, x.uid, x.gid, x.comment, x.home AS homedir, x.shell,
  CONCAT(IF(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) < 0, '-', '+'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen))) DIV 60, 2, '0'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen))) MOD 60, 2, '0')) AS tzone,
  YEAR(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cyear,
  MONTH(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmonth,
  DAYOFMONTH(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cday,
  HOUR(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS chour,
  MINUTE(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmin,
  SECOND(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS csec,
  MICROSECOND(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmsec,
  YEAR(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dyear,
  MONTH(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmonth,
  DAYOFMONTH(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dday,
  HOUR(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dhour,
  MINUTE(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmin,
  SECOND(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dsec,
  MICROSECOND(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmsec
FROM pofr_store.userinfo x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned';

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr_compat.groupinfo AS
SELECT h.host, x.host_id, x.name AS groupname, x.gid, x.members,
  CONCAT(IF(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) < 0, '-', '+'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen))) DIV 60, 2, '0'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen))) MOD 60, 2, '0')) AS tzone,
  YEAR(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cyear,
  MONTH(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmonth,
  DAYOFMONTH(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cday,
  HOUR(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS chour,
  MINUTE(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmin,
  SECOND(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS csec,
  MICROSECOND(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmsec,
  YEAR(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dyear,
  MONTH(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmonth,
  DAYOFMONTH(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dday,
  HOUR(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dhour,
  MINUTE(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmin,
  SECOND(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dsec,
  MICROSECOND(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmsec
FROM pofr_store.groupinfo x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned';

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr_compat.hostinfo AS
SELECT h.host, x.host_id, x.name, x.value,
  CONCAT(IF(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) < 0, '-', '+'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen))) DIV 60, 2, '0'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen))) MOD 60, 2, '0')) AS tzone,
  YEAR(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cyear,
  MONTH(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmonth,
  DAYOFMONTH(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cday,
  HOUR(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS chour,
  MINUTE(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmin,
  SECOND(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS csec,
  MICROSECOND(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmsec,
  YEAR(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dyear,
  MONTH(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmonth,
  DAYOFMONTH(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dday,
  HOUR(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dhour,
  MINUTE(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmin,
  SECOND(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dsec,
  MICROSECOND(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmsec
FROM pofr_store.hostinfo x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned';

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr_compat.hwinfo AS
SELECT h.host, x.host_id, x.class, x.name, x.value,
  CONCAT(IF(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) < 0, '-', '+'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen))) DIV 60, 2, '0'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen))) MOD 60, 2, '0')) AS tzone,
  YEAR(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cyear,
  MONTH(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmonth,
  DAYOFMONTH(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cday,
  HOUR(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS chour,
  MINUTE(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmin,
  SECOND(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS csec,
  MICROSECOND(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmsec,
  YEAR(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dyear,
  MONTH(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmonth,
  DAYOFMONTH(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dday,
  HOUR(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dhour,
  MINUTE(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmin,
  SECOND(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dsec,
  MICROSECOND(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmsec
FROM pofr_store.hwinfo x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned';

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr_compat.netint AS
SELECT h.host, x.host_id, x.name AS interface, x.address AS ip, x.prefix, x.hardware_address AS mac, x.mtu,
  CONCAT(IF(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) < 0, '-', '+'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen))) DIV 60, 2, '0'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen))) MOD 60, 2, '0')) AS tzone,
  YEAR(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cyear,
  MONTH(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmonth,
  DAYOFMONTH(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cday,
  HOUR(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS chour,
  MINUTE(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmin,
  SECOND(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS csec,
  MICROSECOND(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmsec,
  YEAR(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dyear,
  MONTH(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmonth,
  DAYOFMONTH(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dday,
  HOUR(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dhour,
  MINUTE(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmin,
  SECOND(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dsec,
  MICROSECOND(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmsec
FROM pofr_store.netint x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned';

CREATE OR REPLACE SQL SECURITY DEFINER VIEW pofr_compat.netroute AS
SELECT h.host, x.host_id, x.destination, x.prefix, x.gateway, x.interface_name AS interface, x.metric,
  CONCAT(IF(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) < 0, '-', '+'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen))) DIV 60, 2, '0'), LPAD(ABS(TIMESTAMPDIFF(MINUTE, x.first_seen, COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen))) MOD 60, 2, '0')) AS tzone,
  YEAR(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cyear,
  MONTH(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmonth,
  DAYOFMONTH(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cday,
  HOUR(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS chour,
  MINUTE(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmin,
  SECOND(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS csec,
  MICROSECOND(COALESCE(CONVERT_TZ(x.first_seen, 'UTC', h.zone), x.first_seen)) AS cmsec,
  YEAR(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dyear,
  MONTH(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmonth,
  DAYOFMONTH(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dday,
  HOUR(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dhour,
  MINUTE(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmin,
  SECOND(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dsec,
  MICROSECOND(IF(x.ended = '9999-12-31 23:59:59.999999', NULL, COALESCE(CONVERT_TZ(x.ended, 'UTC', h.zone), x.ended))) AS dmsec
FROM pofr_store.netroute x
  JOIN pofr_store.host h ON h.host_id = x.host_id
  JOIN pofr_store.slot s ON s.slot = h.slot AND s.state = 'owned';
