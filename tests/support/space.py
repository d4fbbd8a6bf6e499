# SPDX-License-Identifier: GPL-2.0-or-later
"""space -- an Ansible connection into the namespaces of a process, as ssh is one into a machine (tests/suites/enrol.sh).

A copy of this file lies as connection_plugins/space.py beside the playbook.
"""
import shlex
import subprocess

from ansible.errors import AnsibleError
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
    name: space
    short_description: the namespaces of a process
    description: nsenter(1) into all namespaces of a process, and its root.
    options:
      pid:
        description: the process
        vars: [{name: ansible_space_pid}]
        required: true
"""


class Connection(ConnectionBase):
    transport = "space"
    has_pipelining = True

    def _connect(self):
        self._connected = True
        return self

    def close(self):
        self._connected = False

    def _enter(self, command, data):
        argv = ["nsenter", "--target", str(self.get_option("pid")), "--mount", "--uts", "--net", "--ipc", "--pid", "--root",
                "--wdns=/", "env", "-i", "HOME=/root", "LANG=C.UTF-8",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", command]
        ended = subprocess.run(argv, input=data or b"", capture_output=True, check=False)
        return ended.returncode, ended.stdout, ended.stderr

    def exec_command(self, cmd, in_data=None, sudoable=True):
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return self._enter(cmd, in_data)

    def put_file(self, in_path, out_path):
        super().put_file(in_path, out_path)
        with open(in_path, "rb") as file:
            status, _, said = self._enter("cat >" + shlex.quote(out_path), file.read())
        if status != 0:
            raise AnsibleError(said.decode(errors="replace"))

    def fetch_file(self, in_path, out_path):
        super().fetch_file(in_path, out_path)
        status, data, said = self._enter("cat " + shlex.quote(in_path), None)
        if status != 0:
            raise AnsibleError(said.decode(errors="replace"))
        with open(out_path, "wb") as file:
            file.write(data)
