-- SPDX-License-Identifier: GPL-2.0-or-later
SELECT COUNT(*) FROM psinfo
SELECT COUNT(*), SUM(pid), MIN(first_seen), MAX(ended) FROM fileinfo
SELECT COUNT(*) FROM netinfo WHERE bytes_sent IS NULL OR remote_port > 23
SELECT COUNT(*) FROM psinfo WHERE first_seen < '2026-03-01 00:05:00' AND ended > '2026-03-01 00:04:00'
SELECT host, COUNT(*) FROM psinfo WHERE ended > UTC_TIMESTAMP() GROUP BY host
SELECT host, pid, command, arguments FROM psinfo WHERE ended = '9999-12-31 23:59:59.999999' AND pid < 30
SELECT DISTINCT path FROM fileinfo WHERE command = 'httpd' AND path LIKE '/usr/%'
SELECT host, pid, started, arguments FROM psinfo WHERE command = 'nmap' AND ruid = 1000 AND arguments LIKE '%-P0%'
SELECT DISTINCT ruid FROM psinfo WHERE pid > 10 ORDER BY ruid LIMIT 3
SELECT host, pid, fd, path FROM fileinfo WHERE host = 'host3' AND first_seen BETWEEN '2026-03-01 00:01:00' AND '2026-03-01 00:02:00'
SELECT host, pid, fd, path FROM fileinfo WHERE path = '/etc/file6' ORDER BY host, pid, fd, first_seen LIMIT 20
SELECT kind, access_mode, COUNT(*) FROM fileinfo GROUP BY kind, access_mode WITH ROLLUP
SELECT remote_address, COUNT(*) AS n FROM netinfo GROUP BY remote_address ORDER BY n DESC, remote_address LIMIT 10
SELECT COUNT(DISTINCT remote_address) FROM netinfo WHERE protocol = 'tcp'
SELECT host, SUM(bytes_sent) / COUNT(*) FROM netinfo GROUP BY host HAVING COUNT(*) > 10
SELECT host, pid, path, first_seen, ended FROM process_file WHERE host = 'host2' AND command = 'bash' AND kind = 'regular'
SELECT COUNT(*) FROM process_file WHERE path LIKE '/etc/%' AND ended > '2026-03-01 00:06:00'
SELECT host, command, remote_address, remote_port FROM process_socket WHERE ruid = 2000 AND protocol = 'udp'
SELECT command, COUNT(*) FROM process_socket WHERE ended = '9999-12-31 23:59:59.999999' GROUP BY command
SELECT p.host, p.pid, f.path FROM psinfo p JOIN fileinfo f ON f.host_id = p.host_id AND f.boot = p.boot AND f.pid = p.pid AND f.started = p.started WHERE p.host = 'host6' AND p.pid BETWEEN 20 AND 24
SELECT p.host, COUNT(*) FROM process p JOIN netinfo n ON n.host_id = p.host_id AND n.boot = p.boot AND n.pid = p.pid AND n.started = p.started WHERE p.pid < 20 GROUP BY p.host
SELECT host, pid FROM psinfo WHERE ruid <> euid AND ended > first_seen
SELECT c.host, c.pid, c.command FROM process c JOIN process p ON p.host_id = c.host_id AND p.boot = c.boot AND p.pid = c.ppid WHERE c.pid BETWEEN 50 AND 52
SELECT host, pid FROM netinfo WHERE pid IS NULL AND remote_port = 26
SELECT host, pid, HEX(command) FROM psinfo WHERE command = UNHEX('FF00FE') AND pid < 40
SELECT host FROM host WHERE host_group = 'web' AND state = 'active'
SELECT COUNT(*) FROM psinfo WHERE host_id IN (SELECT host_id FROM host WHERE host_group = 'db')
SELECT host, pid FROM psinfo p WHERE EXISTS (SELECT 1 FROM netinfo n WHERE n.host_id = p.host_id AND n.pid = p.pid AND n.started = p.started AND n.remote_port = 23) AND p.pid < 15
SELECT host, COUNT(*) FROM psinfo WHERE NOT (pid <= 10 AND ruid <= 1000) AND (ppid > 3 OR login_uid IS NULL) GROUP BY host
SELECT pid, ROW_NUMBER() OVER (PARTITION BY host ORDER BY first_seen DESC, pid) AS n, host FROM psinfo WHERE pid % 60 = 0
SELECT 'process' AS t, COUNT(*) FROM process UNION ALL SELECT 'file', COUNT(*) FROM fileinfo
SELECT source, SUM(seen), SUM(lost) FROM coverage GROUP BY source
SELECT host, kind, SUM(lost) FROM gap WHERE explained = 0 GROUP BY host, kind
SELECT host, cyear, cmonth, cday, chour, cmin, csec, command, pid FROM pofr_compat.psinfo WHERE dyear IS NULL AND pid < 12
SELECT DISTINCT destip FROM pofr_compat.netinfo WHERE transport = 'tcp' AND chour BETWEEN 1 AND 3 AND destport IN (23, 25)
SELECT host, tzone, COUNT(*) FROM pofr_compat.fileinfo WHERE filename LIKE '%(deleted)' GROUP BY host, tzone
-- Of one host, so of one shard: Spider then hands over the whole statement, with functions that it spells wrongly
SELECT pid, EXTRACT(DAY FROM first_seen), EXTRACT(MICROSECOND FROM started), TIME(first_seen), CAST(ended AS DATETIME(6)) FROM psinfo WHERE host_id = HOST_ID AND pid < 9
SELECT pid, INSTR(command, 'a'), LOCATE('t', command), POSITION('h' IN command), JSON_VALID(command) FROM psinfo WHERE host_id = HOST_ID AND pid < 12
SELECT pid, NULLIF(ruid, 1000) FROM psinfo WHERE host_id = HOST_ID AND pid < 9
SELECT command, COUNT(*), MIN(pid), MAX(first_seen) FROM psinfo WHERE host_id = HOST_ID AND (ruid = 1000 OR euid = 0) GROUP BY command
SELECT pid, command FROM psinfo WHERE host_id = HOST_ID AND pid < 40 HAVING INSTR(command, 'a') > 0
