"""What the tests of the packages have in common: what was made, the sandbox, a worker."""

import contextlib
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "target/package"
DEVELOPMENT = ROOT / "target/debug/jvb-watcher"
NOBODY = 65532
LIMIT = 30  # seconds that anything here may take that one waits for


def programs():
    """The programs that were made, by architecture."""
    return {path.name.rpartition("-")[2]: path for path in PACKAGE.glob("jvb-watcher-[0-9]*-*")}


def program():
    """The program for this machine."""
    return programs()[platform.machine()]


def version():
    """The version that the program's file name says."""
    return program().name.split("-")[2]


def output_of(*command, **options):
    """What a command prints; an error if it fails."""
    options = {"check": True, "stdout": subprocess.PIPE, "text": True, "timeout": 10 * LIMIT} | options
    return subprocess.run(list(map(str, command)), **options).stdout


def eventually(what, condition):
    """Waits until the condition holds, and returns what it found."""
    deadline = time.monotonic() + LIMIT
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {LIMIT} s")
        time.sleep(0.05)
    return found


def environment(**variables):
    """Settings for a program under test, and nothing of the caller's that would steer it."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | variables


@contextlib.contextmanager
def scratch():
    """A directory that others may enter, deleted afterwards; not if anything of the machine were still mounted in it."""
    directory = pathlib.Path(tempfile.mkdtemp(dir=ROOT / "target", prefix="packaging-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        mounted = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
        if left := [place for place in mounted if place.startswith(f"{directory}/")]:
            raise AssertionError(f"{directory} stays, for these are still mounted: {left}")
        shutil.rmtree(directory)


class Sandbox:
    """A small AWS on the loopback, on which the platform scales up to one task."""

    SCENARIO = """
        title = "A scale-up"
        time-scale = 30
        [[step]]
        at = "0s"
        create-load-balancer = true
        [[step]]
        at = "100ms"
        scale = 1
    """

    def __init__(self):
        with scratch() as directory:
            (directory / "scenario.toml").write_text(self.SCENARIO)
            command = [DEVELOPMENT, "sandbox", "--port", "0", "--scenario", directory / "scenario.toml"]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            self.port = int(re.search(r"http://127\.0\.0\.1:(\d+)", self.process.stdout.readline())[1])

    def settings(self, host="127.0.0.1"):
        """The variables with which a worker watches it, and finds it under this name."""
        return {
            "JVB_WATCHER_PROJECT": "jitsi",
            "JVB_WATCHER_REGION": "eu-west-1",
            "JVB_WATCHER_ENDPOINT_URL": f"http://{host}:{self.port}",
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(LIMIT)
        self.process.stdout.close()


class Worker:
    """A running worker, however it was started, by its log."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
        )
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def wait_for(self, event):
        """Waits until the worker has logged such an event."""

        def seen():
            if self.process.poll() is not None:
                raise AssertionError(f"it ended with {self.process.returncode}: {''.join(self.lines)}")
            return any(f'"event":"{event}"' in line for line in self.lines)

        try:
            eventually(event, seen)
        except AssertionError as error:
            raise AssertionError(f"{error}; its log: {''.join(self.lines)}") from None

    def terminate(self):
        """SIGTERM to the program itself, beneath whatever started it; the exit status."""
        os.kill(self.pid(), signal.SIGTERM)
        return self.process.wait(LIMIT)

    def pid(self):
        """The process of the program itself, among what it was started by; None as long as there is none."""
        left = [self.process.pid]
        while left:
            process = pathlib.Path(f"/proc/{left.pop()}")
            if (process / "comm").read_text().startswith("jvb-watcher"):
                return int(process.name)
            for children in process.glob("task/*/children"):
                left += children.read_text().split()
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.kill(self.pid() or self.process.pid, signal.SIGKILL)
            self.process.wait(LIMIT)
        self.reader.join(LIMIT)
        self.process.stdout.close()


def free_port():
    """A port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
