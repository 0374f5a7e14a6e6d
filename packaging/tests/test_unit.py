"""The systemd unit: systemd's own checks, and the worker under its restrictions."""

import functools
import re
import signal
import socket
import subprocess
import sys
import unittest

from confinement import confined, system_calls
from harness import LIMIT, ROOT, Sandbox, Worker, environment, output_of, program, scratch

UNIT = ROOT / "packaging/jvb-watcher.service"


class Unit(unittest.TestCase):
    """The systemd unit. The tests start no systemd: confinement.py enforces the restrictions instead."""

    def test_systemd_verifies_it_without_warnings(self):
        with scratch() as directory:
            # `verify` requires the program at the unit's path.
            unit = directory / UNIT.name
            unit.write_text(UNIT.read_text().replace("/usr/local/bin/jvb-watcher", str(program())))
            command = ["systemd-analyze", "verify", unit]
            finished = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual((finished.returncode, finished.stdout, finished.stderr), (0, "", ""))

    def test_its_exposure_level_is_at_most_2(self):
        command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", UNIT]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        print(finished.stdout.splitlines()[-1], file=sys.stderr)
        self.assertEqual(finished.returncode, 0, finished.stdout)

    def test_the_program_reads_the_variables_of_its_example_file(self):
        variables = re.findall(r"(?m)^#?(JVB_WATCHER_\w+)=", (UNIT.parent / "jvb-watcher.env").read_text())
        known = output_of(program(), "run", "--help")
        self.assertTrue(variables)
        for variable in variables:
            self.assertIn(f"[env: {variable}]", known)

    def test_a_configuration_error_causes_no_restart(self):
        (status,) = values_of("RestartPreventExitStatus")
        finished = subprocess.run([program(), "run"], env=environment(), capture_output=True, timeout=LIMIT)
        self.assertEqual(finished.returncode, int(status))

    def test_the_worker_runs_within_its_system_calls(self):
        allowed = system_calls(values_of("SystemCallFilter"))
        families = [getattr(socket, name) for name in values_of("RestrictAddressFamilies")[0].split()]
        with Sandbox() as sandbox:
            listen = {"JVB_WATCHER_LISTEN": "127.0.0.1:0"}
            confine = functools.partial(confined, allowed, families)
            options = {"env": environment(**sandbox.settings("localhost"), **listen), "preexec_fn": confine}
            with Worker([program(), "run"], **options) as worker:
                worker.wait_for("target_registered")
                self.assertEqual(worker.terminate(), 0, worker.lines)

    def test_the_worker_dies_of_a_system_call_outside_the_filter(self):
        # Shows that the test above enforces the filter.
        allowed = system_calls(values_of("SystemCallFilter")) - {"connect"}
        with Sandbox() as sandbox:
            confine = functools.partial(confined, allowed, [socket.AF_INET, socket.AF_INET6])
            options = {"env": environment(**sandbox.settings()), "preexec_fn": confine}
            finished = subprocess.run([program(), "run"], capture_output=True, timeout=LIMIT, **options)
        self.assertEqual(finished.returncode, -signal.SIGSYS)


def values_of(name):
    """Returns the values of a setting in the unit."""
    return re.findall(rf"(?m)^{name}=(.*)$", UNIT.read_text())
