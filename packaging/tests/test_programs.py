"""The programs and the Lambda zip files."""

import os
import platform
import stat
import subprocess
import unittest
import zipfile

from harness import DEVELOPMENT, LIMIT, PACKAGE, ROOT, output_of, program, programs, version

# The names of the architectures in readelf and in Lambda.
READELF = {"x86_64": "Advanced Micro Devices X86-64", "aarch64": "AArch64"}
LAMBDA = {"x86_64": "x86_64", "aarch64": "arm64"}


class Programs(unittest.TestCase):
    def test_there_is_a_program_for_this_machine(self):
        self.assertIn(platform.machine(), programs())

    def test_all_users_may_execute_them_and_only_the_owner_may_write_them(self):
        for path in programs().values():
            self.assertEqual(oct(path.stat().st_mode), oct(stat.S_IFREG | 0o755), path)

    def test_they_are_for_their_architecture_and_statically_linked(self):
        def elf(path):
            return output_of("readelf", "--wide", "--file-header", "--program-headers", "--dynamic", path)

        for architecture, path in programs().items():
            self.assertIn(READELF[architecture], elf(path))
            self.assertNotIn("INTERP", elf(path))
            self.assertNotIn("NEEDED", elf(path))
        self.assertIn("INTERP", elf(DEVELOPMENT))
        self.assertIn("NEEDED", elf(DEVELOPMENT))

    def test_prints_its_version(self):
        self.assertEqual(output_of(program(), "--version"), f"jvb-watcher {version()}\n")

    def test_has_the_commands_of_worker_function_and_command_line(self):
        commands = output_of(program(), "--help")
        for command in ["run", "lambda", "health", "reconcile"]:
            self.assertRegex(commands, rf"(?m)^  {command} ")

    def test_sandbox_and_demo_are_unknown_commands(self):
        for command in ["sandbox", "demo"]:
            finished = subprocess.run([program(), command], capture_output=True, text=True, timeout=LIMIT)
            self.assertEqual(finished.returncode, 2)
            self.assertIn(f"unrecognized subcommand '{command}'", finished.stderr)
            self.assertEqual(subprocess.run([DEVELOPMENT, command, "--help"], capture_output=True).returncode, 0)

    def test_contains_no_code_of_the_sandbox(self):
        development = DEVELOPMENT.read_bytes()
        for trace in [b"/_sandbox/", b"ratatui", b"crossterm", b"create-load-balancer"]:
            self.assertTrue(trace in development, f"{trace} is not even in the development build")
            for path in programs().values():
                self.assertFalse(trace in path.read_bytes(), f"{trace} is in {path}")

    def test_contains_no_paths_of_the_build_machine(self):
        for path in programs().values():
            for place in [str(ROOT), os.path.expanduser("~/.cargo")]:
                self.assertFalse(place.encode() in path.read_bytes(), f"{place} is in {path}")


class LambdaZips(unittest.TestCase):
    def test_each_contains_only_the_program_as_bootstrap(self):
        for architecture, path in programs().items():
            with zipfile.ZipFile(PACKAGE / f"jvb-watcher-lambda-{LAMBDA[architecture]}.zip") as archive:
                self.assertIsNone(archive.testzip())
                (entry,) = archive.infolist()
                self.assertEqual(entry.filename, "bootstrap")
                self.assertEqual(oct(entry.external_attr >> 16), oct(stat.S_IFREG | 0o755))
                self.assertEqual(archive.read(entry), path.read_bytes())

    def test_they_are_small_enough_to_be_uploaded_directly(self):
        for path in PACKAGE.glob("*.zip"):
            # Lambda's quota for a zipped deployment package in CreateFunction.
            self.assertLess(path.stat().st_size, 50e6, path)
