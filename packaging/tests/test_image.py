"""The container image: its content, and the worker in a container."""

import contextlib
import functools
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import unittest

from harness import NOBODY, ROOT, Sandbox, Worker, environment, output_of, program, scratch, version


def tree(root):
    """Returns every path below a root with the attributes that a write changes."""
    found = {}
    for directory, _, files in os.walk(root):
        for path in [pathlib.Path(directory), *(pathlib.Path(directory, name) for name in files)]:
            status = path.lstat()
            found[path] = (status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Keeps buildah's storage apart from the machine's.
        cls.store = cls.enterClassContext(scratch())
        configuration = cls.store / "storage.conf"
        configuration.write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{cls.store}/graph"\nrunroot = "{cls.store}/run"\n'
        )
        cls.environment = os.environ | {
            "CONTAINERS_STORAGE_CONF": str(configuration),
            "BUILDAH_ISOLATION": "chroot",
        }
        output_of(ROOT / "packaging/image", env=cls.environment, stderr=subprocess.STDOUT)
        (cls.image,) = json.loads(cls.buildah("images", "--json", "--filter=reference=localhost/jvb-watcher"))
        cls.configuration = json.loads(cls.buildah("inspect", "--type=image", cls.image["id"]))["Docker"]

    @classmethod
    def buildah(cls, *arguments):
        return output_of("buildah", *arguments, env=cls.environment)

    @contextlib.contextmanager
    def container(self):
        container = self.buildah("from", self.image["id"]).strip()
        try:
            yield container
        finally:
            self.buildah("rm", container)

    @contextlib.contextmanager
    def file_tree(self):
        """Mounts the file system of a new container."""
        with self.container() as container:
            root = pathlib.Path(self.buildah("mount", container).strip())
            try:
                yield root
            finally:
                self.buildah("umount", container)

    def test_is_tagged_with_its_version(self):
        self.assertEqual(self.image["names"], [f"localhost/jvb-watcher:{version()}"])

    def test_is_below_20_megabytes(self):
        with self.file_tree() as root:
            size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file())
        archive = self.store / "image"
        self.buildah("push", "--quiet", self.image["id"], f"dir:{archive}")
        pushed = sum(path.stat().st_size for path in archive.iterdir())
        print(f"the image: {size / 1e6:.1f} MB, {pushed / 1e6:.1f} MB as pushed", file=sys.stderr)
        self.assertLess(size, 20e6)

    def test_runs_the_worker_as_an_unprivileged_user(self):
        configuration = self.configuration["config"]
        self.assertEqual(configuration["User"], "65532:65532")
        self.assertEqual(configuration["Entrypoint"], ["/usr/local/bin/jvb-watcher"])
        self.assertEqual(configuration["Cmd"], ["run"])
        self.assertIn("JVB_WATCHER_LISTEN=127.0.0.1:8081", configuration["Env"])
        architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
        self.assertEqual((self.configuration["os"], self.configuration["architecture"]), ("linux", architecture))

    def test_has_the_programs_health_check(self):
        check = self.configuration["config"]["Healthcheck"]
        self.assertEqual(check["Test"], ["CMD", "/usr/local/bin/jvb-watcher", "health"])

    def test_contains_only_the_program_and_the_certificates(self):
        with self.file_tree() as root:
            files = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
            self.assertEqual(files, {"usr/local/bin/jvb-watcher", "etc/ssl/certs/ca-certificates.crt"})
            for path in root.rglob("*"):
                status = path.lstat()
                self.assertEqual((status.st_uid, status.st_mode & 0o022), (0, 0), f"{path} is writable")
            self.assertEqual((root / "usr/local/bin/jvb-watcher").read_bytes(), program().read_bytes())

    def test_its_certificates_include_amazons_root(self):
        with self.file_tree() as root:
            certificates = (root / "etc/ssl/certs/ca-certificates.crt").read_text()
        known = output_of("openssl", "storeutl", "-noout", "-text", "-certs", "/dev/stdin", input=certificates)
        self.assertIn("Amazon Root CA 1", known)

    def test_the_worker_registers_is_healthy_and_stops_in_a_container(self):
        with Sandbox() as sandbox, self.container() as container:
            settings = sandbox.settings("localhost") | {"JVB_WATCHER_LISTEN": "127.0.0.1:0"}
            # `buildah run` uses the image's user and environment, but not its entrypoint.
            run = ["buildah", "run", *(f"--env={name}={value}" for name, value in settings.items())]
            with Worker([*run, container, "/usr/local/bin/jvb-watcher", "run"], env=self.environment) as worker:
                listen = f"--env=JVB_WATCHER_LISTEN={worker.wait_for('listening')['address']}"
                health = [*run, listen, container, "/usr/local/bin/jvb-watcher", "health"]
                healthy = functools.partial(subprocess.run, health, env=self.environment, capture_output=True)
                worker.wait_for("target_registered")
                ids = re.search(r"Uid:\t(\d+)", pathlib.Path(f"/proc/{worker.pid()}/status").read_text())
                self.assertEqual(int(ids[1]), NOBODY)
                self.assertEqual(healthy().returncode, 0)
                self.assertEqual(worker.terminate(), 0, worker.lines)
            self.assertEqual(healthy().returncode, 1)

    def test_the_worker_runs_on_a_read_only_file_system_and_writes_nothing(self):
        # With chroot isolation buildah has no read-only root, so the test uses a mount namespace of its own.
        with Sandbox() as sandbox, self.file_tree() as root:
            before = tree(root)
            settings = sandbox.settings() | {"JVB_WATCHER_LISTEN": "127.0.0.1:0"}
            read_only = 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; touch "$0" 2>/dev/null && exit 1; exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", read_only, root]
            command += ["chroot", f"--userspec={NOBODY}:{NOBODY}", root, "/usr/local/bin/jvb-watcher", "run"]
            with Worker(command, env=environment(**settings)) as worker:
                worker.wait_for("target_registered")
                self.assertEqual(worker.terminate(), 0, worker.lines)
            self.assertEqual(tree(root), before)
