"""The packaging commands, and the checksums of their files."""

import contextlib
import hashlib
import io
import os
import platform
import shutil
import subprocess
import unittest
import unittest.mock

from harness import LIMIT, PACKAGE, ROOT, loaded, output_of, programs, scratch


class Package(unittest.TestCase):
    def test_the_checksums_cover_all_files_and_are_right(self):
        lines = (PACKAGE / "SHA256SUMS").read_text().splitlines()
        sums = {name: sum_ for sum_, name in (line.split("  ") for line in lines)}
        files = [path for path in PACKAGE.iterdir() if path.name != "SHA256SUMS"]
        self.assertEqual(sums, {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files})
        self.assertEqual(len(files), 2 * len(programs()))

    def test_builds_are_reproducible(self):
        before = (PACKAGE / "SHA256SUMS").read_text()
        output_of(ROOT / "packaging/package", *(f"--arch={name}" for name in programs()), stderr=subprocess.DEVNULL)
        self.assertEqual((PACKAGE / "SHA256SUMS").read_text(), before)

    def test_a_usage_error_exits_with_2_and_shows_the_valid_usage(self):
        for command, says in [(["package", "--arch", "mips"], "x86_64"), (["image", "mips"], "usage:")]:
            command = [ROOT / "packaging" / command[0], *command[1:]]
            finished = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
            self.assertEqual(finished.returncode, 2)
            self.assertIn(says, finished.stderr)


class Reproduce(unittest.TestCase):
    """packaging/reproduce, with a cargo that writes a program at once."""

    CARGO = """#!/bin/sh
        [ "$1" = build ] || { echo '{"packages": [{"name": "jvb-watcher", "version": "1.2.3"}]}'; exit; }
        while [ $# -gt 0 ]; do case $1 in --target) target=$2 ;; --target-dir) directory=$2 ;; esac; shift; done
        mkdir -p "$directory/$target/deploy"
        CONTENT > "$directory/$target/deploy/jvb-watcher"
    """

    def reproduced(self, content):
        """Builds in one folder with a compiler that writes this content, then once more."""
        with scratch() as directory:
            (directory / "bin").mkdir()
            (directory / "libraries").mkdir()
            scripts = {"cargo": self.CARGO.replace("CONTENT", content), "rustc": f"#!/bin/sh\necho {directory}/libraries\n"}
            for name, script in scripts.items():
                (directory / "bin" / name).write_text(script)
                (directory / "bin" / name).chmod(0o755)
            path = os.environ | {"PATH": f"{directory}/bin:{os.environ['PATH']}"}
            sources = directory / "sources"
            (sources / "packaging").mkdir(parents=True)
            for name in ["package", "reproduce"]:
                shutil.copy(ROOT / "packaging" / name, sources / "packaging")
            for arguments in [["init"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "All"]]:
                output_of("git", "-C", sources, *arguments, stderr=subprocess.DEVNULL)
            output_of(sources / "packaging/package", f"--arch={platform.machine()}", env=path)
            command = [sources / "packaging/reproduce"]
            return subprocess.run(command, env=path, capture_output=True, text=True, timeout=LIMIT)

    def test_the_same_bytes_in_another_folder_pass(self):
        finished = self.reproduced("echo the same")
        self.assertEqual(finished.returncode, 0, finished.stderr)
        self.assertEqual(finished.stdout.count(": OK"), 2, finished.stdout)

    def test_a_path_in_the_program_fails(self):
        finished = self.reproduced("pwd")
        self.assertNotEqual(finished.returncode, 0)
        self.assertEqual(finished.stdout.count(": FAILED"), 2, finished.stdout)


class BothArchitectures(unittest.TestCase):
    """Builds for two architectures, of which one may lack its toolchain; a fake cargo writes the programs."""

    CARGO = """#!/bin/sh
        [ "$1" = build ] || { echo '{"packages": [{"name": "jvb-watcher", "version": "1.2.3"}]}'; exit; }
        while [ $# -gt 0 ]; do case $1 in --target) target=$2 ;; --target-dir) directory=$2 ;; esac; shift; done
        mkdir -p "$directory/$target/deploy"
        echo "$target, linked by ${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER:-the default}" \\
          > "$directory/$target/deploy/jvb-watcher"
    """

    @contextlib.contextmanager
    def command(self, *tools, targets):
        """Loads the command as a module, as on an x86-64 machine with these tools and targets."""
        module = loaded("package")
        with scratch() as directory:
            (directory / "bin").mkdir()
            for target in targets:
                (directory / target).mkdir()
            rustc = f'#!/bin/sh\necho "{directory}/$4"\n'
            for name, script in {"cargo": self.CARGO, "rustc": rustc, **dict.fromkeys(tools, "")}.items():
                (directory / "bin" / name).write_text(script)
                (directory / "bin" / name).chmod(0o755)
            path = {"PATH": f"{directory}/bin:/usr/bin:/bin"}
            with (
                unittest.mock.patch.multiple(module, ROOT=directory, OUTPUT=directory / "out", BUILD=directory),
                unittest.mock.patch.dict(os.environ, path, clear=True),
                unittest.mock.patch.object(platform, "machine", lambda: "x86_64"),
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()) as said,
            ):
                yield module, directory / "out", said

    BOTH = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]

    def test_builds_both_with_their_own_linker_and_lambda_s_names(self):
        with self.command("aarch64-linux-gnu-gcc", targets=self.BOTH) as (command, output, _):
            command.make(None)
            names = {path.name for path in output.iterdir()}
            arm64 = (output / "jvb-watcher-1.2.3-aarch64").read_text()
            sums = output_of("sha256sum", "--check", "SHA256SUMS", cwd=output)
        self.assertEqual(
            names,
            {
                "SHA256SUMS",
                "jvb-watcher-1.2.3-aarch64",
                "jvb-watcher-1.2.3-x86_64",
                "jvb-watcher-lambda-arm64.zip",
                "jvb-watcher-lambda-x86_64.zip",
            },
        )
        self.assertEqual(arm64, "aarch64-unknown-linux-gnu, linked by aarch64-linux-gnu-gcc\n")
        self.assertEqual(sums.count(": OK"), 4)

    def test_without_a_target_its_architecture_is_skipped_and_the_message_names_the_target(self):
        with self.command(targets=self.BOTH[:1]) as (command, output, said):
            command.make(None)
            self.assertFalse(list(output.glob("*arm64*")))
            self.assertIn("skipping aarch64: its standard library is missing", said.getvalue())
            self.assertIn("run rustup target add aarch64-unknown-linux-gnu\n", said.getvalue())

    def test_a_requested_architecture_without_linker_fails_and_the_message_names_the_linker(self):
        with self.command(targets=self.BOTH) as (command, output, _), self.assertRaises(command.Failure) as failure:
            command.make(["aarch64"])
        self.assertIn("apt-get install gcc-aarch64-linux-gnu", str(failure.exception))
