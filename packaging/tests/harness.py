"""Shared parts of the packaging tests: the built files, the AWS sandbox, a worker."""

import contextlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "target/package"
DEVELOPMENT = ROOT / "target/debug/jvb-watcher"
NOBODY = 65532
LIMIT = 120  # seconds before a wait counts as failed; generous, for slow machines


def programs():
    """Returns the built programs by architecture."""
    return {path.name.rpartition("-")[2]: path for path in PACKAGE.glob("jvb-watcher-[0-9]*-*")}


def program():
    """Returns the program for this machine."""
    return programs()[platform.machine()]


def version():
    """Returns the version in the program's file name."""
    return program().name.split("-")[2]


def output_of(*command, **options):
    """Runs a command and returns its standard output; raises an error if it fails."""
    options = {"check": True, "stdout": subprocess.PIPE, "text": True, "timeout": 10 * LIMIT} | options
    return subprocess.run(list(map(str, command)), **options).stdout


def loaded(command):
    """Returns a command in packaging/ as a module."""
    loader = importlib.machinery.SourceFileLoader(command, str(ROOT / "packaging" / command))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(command, loader))
    loader.exec_module(module)
    return module


def eventually(what, condition):
    """Waits until the condition returns a true value, and returns it."""
    deadline = time.monotonic() + LIMIT
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out after {LIMIT} s waiting for {what}")
        time.sleep(0.05)
    return found


def environment(**variables):
    """Returns an environment with these variables, isolated from the caller's."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | variables


@contextlib.contextmanager
def scratch():
    """Creates a directory that other users may enter; deletes it at the end, unless something is mounted in it."""
    directory = pathlib.Path(tempfile.mkdtemp(dir=ROOT / "target", prefix="packaging-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        mounted = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
        if left := [place for place in mounted if place.startswith(f"{directory}/")]:
            raise AssertionError(f"cannot delete {directory}: still mounted: {left}")
        shutil.rmtree(directory)


class Sandbox:
    """The AWS sandbox, whose scenario scales the platform up to one task."""

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
        """Returns the environment of a worker that reaches the sandbox at this host."""
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
    """A running worker, observed by its log."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
        )
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def wait_for(self, event):
        """Waits until the worker has logged an event of this name, and returns its fields."""

        def seen():
            if self.process.poll() is not None:
                raise AssertionError(f"the worker exited with {self.process.returncode}: {''.join(self.lines)}")
            return next((line for line in self.lines if f'"event":"{event}"' in line), None)

        try:
            return json.loads(eventually(event, seen))
        except AssertionError as error:
            raise AssertionError(f"{error}; its log: {''.join(self.lines)}") from None

    def terminate(self):
        """Sends SIGTERM to the worker itself, not to a wrapper, and returns the exit status."""
        os.kill(self.pid(), signal.SIGTERM)
        return self.process.wait(LIMIT)

    def pid(self):
        """Returns the PID of the worker itself, below any wrappers; None while it has not started."""
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
