"""A clean Debian root, in which packages are installed: made by debootstrap, and entered with chroot."""

import contextlib
import shutil
import subprocess

from harness import LIMIT, ROOT, output_of, scratch

# Kept between runs, and copied for each test.
PRISTINE = ROOT / "target/debian-bookworm"
# systemd for systemctl and the unit's dependencies, the others since the packages depend on them.
INCLUDED = "ca-certificates,procps,systemd"


def pristine():
    """Returns the path of the root that tests copy; makes it if it is missing."""
    if not PRISTINE.exists():
        with scratch() as directory:
            command = ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", "bookworm", directory / "root"]
            output_of(*command, stderr=subprocess.STDOUT)
            (directory / "root").rename(PRISTINE)
    return PRISTINE


class Root:
    """A copy of the root."""

    def __init__(self, path):
        self.path = path

    def run(self, *command, **options):
        """Runs a command in it, as root, and returns its output; raises an error if it fails."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "env": environment} | options
        return output_of("chroot", self.path, *command, **options)

    def add(self, package):
        """Copies a package into it, and returns its path there."""
        shutil.copy(package, self.path / "root")
        return f"/root/{package.name}"

    def entries(self):
        """Returns everything in it except what package managers record of their own work."""
        own = {"var/lib/dpkg", "var/lib/rpm", "var/log", "root"}
        found = set()
        left = [self.path]
        while left:
            for path in left.pop().iterdir():
                name = str(path.relative_to(self.path))
                if name not in own:
                    found.add(name)
                    if path.is_dir() and not path.is_symlink():
                        left.append(path)
        return found

    def verify(self, unit):
        """Lets systemd check a unit in it, without a running systemd; returns the exit status and the messages."""
        command = ["systemd-analyze", "verify", f"--root={self.path}", unit]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        return finished.returncode, finished.stdout + finished.stderr

    def enable(self, unit):
        """Enables a unit in it, as `systemctl enable` does."""
        output_of("systemctl", f"--root={self.path}", "enable", unit, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def debian_root():
    """Makes a copy of the root, and deletes it at the end."""
    with scratch() as directory:
        # cp keeps owners, links and devices.
        output_of("cp", "--archive", "--reflink=auto", pristine(), directory / "root")
        yield Root(directory / "root")
