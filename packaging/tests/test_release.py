"""The files of a release, and its notes."""

import contextlib
import functools
import hashlib
import io
import json
import os
import pathlib
import platform
import re
import subprocess
import tarfile
import tomllib
import unittest
import unittest.mock

from harness import LIMIT, PACKAGE, ROOT, loaded, output_of, program, programs, scratch, version

# The names that package managers have for the architectures.
DEB = {"x86_64": "amd64", "aarch64": "arm64"}
LAMBDA = {"x86_64": "x86_64", "aarch64": "arm64"}


def release(output, **variables):
    """Makes a release in a directory."""
    environment = os.environ | variables
    output_of(ROOT / "packaging/release", "--output", output, env=environment)
    return {path.name: path.read_bytes() for path in output.iterdir()}


class Release(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(scratch())
        cls.files = release(cls.directory / "one")

    def test_it_has_every_file_for_each_architecture(self):
        number = version()
        expected = {"SHA256SUMS", "THIRD-PARTY-LICENSES", f"jvb-watcher-{number}.cdx.json"}
        for architecture in programs():
            expected |= {
                f"jvb-watcher-{number}-{architecture}.tar.gz",
                f"jvb-watcher_{number}_{DEB[architecture]}.deb",
                f"jvb-watcher-{number}-1.{architecture}.rpm",
                f"jvb-watcher-lambda-{LAMBDA[architecture]}.zip",
            }
        self.assertEqual(set(self.files), expected)
        sums = dict(reversed(line.split("  ")) for line in self.files.pop("SHA256SUMS").decode().splitlines())
        self.assertEqual(sums, {name: hashlib.sha256(text).hexdigest() for name, text in self.files.items()})

    def test_a_second_run_makes_the_same_bytes(self):
        # At another time of day, in another time zone and language, for other users.
        script = 'umask 0077; exec "$@"'
        command = ["bash", "-c", script, "bash", ROOT / "packaging/release", "--output", self.directory / "two"]
        output_of(*command, env=os.environ | {"TZ": "Asia/Tokyo", "LC_ALL": "C", "USER": "somebody", "LOGNAME": "somebody"})
        for path in (self.directory / "two").iterdir():
            self.assertEqual(path.read_bytes(), (self.directory / "one" / path.name).read_bytes(), path.name)

    def test_the_times_in_it_are_those_of_the_source_date(self):
        # Shows that the test above would notice a time.
        later = release(self.directory / "later", SOURCE_DATE_EPOCH="1000000000")
        for name in [f"jvb-watcher-{version()}-{platform.machine()}.tar.gz", f"jvb-watcher-{version()}.cdx.json"]:
            self.assertNotEqual(later[name], (self.directory / "one" / name).read_bytes(), name)
        archive = later[f"jvb-watcher-{version()}-{platform.machine()}.tar.gz"]
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            self.assertEqual({entry.mtime for entry in tar}, {1000000000})

    def test_the_archive_is_where_cargo_binstall_looks(self):
        binstall = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["metadata"]["binstall"]
        values = {"repo": "REPOSITORY", "version": version(), "target-arch": platform.machine(), "bin": "jvb-watcher"}

        def rendered(template):
            return re.sub(r"\{ ([a-z-]+) \}", lambda match: (values | {"binary-ext": ""})[match[1]], template)

        address, _, name = rendered(binstall["pkg-url"]).rpartition("/")
        self.assertEqual(address, f"REPOSITORY/releases/download/v{version()}")
        self.assertEqual(binstall["pkg-fmt"], "tgz")
        with tarfile.open(self.directory / "one" / name) as tar:
            entry = tar.getmember(rendered(binstall["bin-dir"]))
            self.assertEqual(oct(entry.mode), oct(0o755))
            self.assertEqual(tar.extractfile(entry).read(), program().read_bytes())
            names = {pathlib.PurePath(name).name for name in tar.getnames()}
        wanted = {"LICENSE", "THIRD-PARTY-LICENSES", "README.md", "jvb-watcher.service", "jvb-watcher.env", "jvb-watcher.1.gz", "_jvb-watcher"}
        self.assertLessEqual(wanted, names)

    def test_the_components_are_those_of_the_deployed_program(self):
        components = json.loads((self.directory / "one" / f"jvb-watcher-{version()}.cdx.json").read_text())
        self.assertEqual((components["bomFormat"], components["specVersion"]), ("CycloneDX", "1.5"))
        self.assertEqual(components["metadata"]["component"]["version"], version())
        found = {component["name"] for component in components["components"]}
        self.assertLessEqual({"aws-sdk-ecs", "lambda_runtime", "rustls", "jvb-watcher-rules"}, found)
        self.assertFalse({"ratatui", "clap_mangen", "proptest", "jvb-watcher-sandbox"} & found)
        text = json.dumps(components)
        self.assertNotIn(str(ROOT), text)
        self.assertNotIn(str(self.directory.parent), text)

    def test_the_licences_are_those_of_the_components(self):
        text = (self.directory / "one/THIRD-PARTY-LICENSES").read_text()
        named = set(re.findall(r"(?m)^  ([\w-]+ \d\S*)$", text))
        components = json.loads((self.directory / "one" / f"jvb-watcher-{version()}.cdx.json").read_text())["components"]
        linked = {f"{component['name']} {component['version']}" for component in components}
        # Procedural macros and build scripts are components, too, but not linked.
        self.assertLessEqual({"ring", "rustls", "tokio", "aws-sdk-ecs"}, {name.partition(" ")[0] for name in named & linked})
        self.assertGreater(len(named & linked), 100)
        self.assertEqual({name for name in named - linked if not name.startswith("jvb-watcher")}, set())
        self.assertIn("Copyright 2015-2025 Brian Smith", text)

    def test_both_architectures_get_the_names_that_package_managers_have_for_them(self):
        # A program is only copied, so a stand-in will do for the architecture that this machine may be unable to build for.
        command = loaded("release")
        stand_ins, output = self.directory / "stand-ins", self.directory / "both"
        stand_ins.mkdir()
        for architecture in LAMBDA:
            (stand_ins / f"jvb-watcher-1.2.3-{architecture}").write_bytes(program().read_bytes())
            (stand_ins / f"jvb-watcher-lambda-{LAMBDA[architecture]}.zip").write_bytes(b"")
        with (
            unittest.mock.patch.multiple(command, PROGRAMS=stand_ins, write_components=lambda _: None),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            command.make(output)
        for architecture in LAMBDA:
            self.assertTrue((output / f"jvb-watcher-1.2.3-{architecture}.tar.gz").exists())
            deb = output / f"jvb-watcher_1.2.3_{DEB[architecture]}.deb"
            self.assertEqual(output_of("dpkg-deb", "--field", deb, "Architecture").strip(), DEB[architecture])
            rpm = output / f"jvb-watcher-1.2.3-1.{architecture}.rpm"
            self.assertEqual(output_of("rpm", "-qp", "--queryformat", "%{ARCH}", rpm), architecture)

    def test_without_programs_it_fails_and_says_what_to_run(self):
        command = loaded("release")
        with (
            unittest.mock.patch.object(command, "PROGRAMS", self.directory / "nothing"),
            self.assertRaises(command.Failure) as failure,
        ):
            command.make(self.directory / "none")
        self.assertIn("run packaging/package first", str(failure.exception))


class Notes(unittest.TestCase):
    notes = functools.partial(subprocess.run, capture_output=True, text=True, timeout=LIMIT)

    def test_they_are_the_changelogs_section(self):
        notes = self.notes([ROOT / "packaging/release-notes", "Unreleased"])
        self.assertEqual(notes.returncode, 0, notes.stderr)
        self.assertTrue(notes.stdout.startswith("### "), notes.stdout[:100])
        self.assertNotRegex(notes.stdout, r"(?m)^## ")
        self.assertIn(notes.stdout.strip(), (ROOT / "CHANGELOG.md").read_text())

    def test_a_version_without_changes_is_an_error(self):
        notes = self.notes([ROOT / "packaging/release-notes", "98.0.0"])
        self.assertEqual((notes.returncode, notes.stdout), (1, ""))
        self.assertIn("CHANGELOG.md has no changes of 98.0.0", notes.stderr)


class ManyArchitectures(unittest.TestCase):
    def test_an_image_of_both_is_one_name(self):
        # The program of another architecture is only copied, so any file stands in for it.
        with scratch() as directory, contextlib.ExitStack() as stack:
            (directory / "storage.conf").write_text(
                f'[storage]\ndriver = "vfs"\ngraphroot = "{directory}/graph"\nrunroot = "{directory}/run"\n'
            )
            stand_in = PACKAGE / f"jvb-watcher-{version()}-aarch64"
            if not stand_in.exists():
                stand_in.write_text("not a program")
                stack.callback(stand_in.unlink)
            environment = os.environ | {
                "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
                "BUILDAH_ISOLATION": "chroot",
            }
            output_of(ROOT / "packaging/image", "all", env=environment, stderr=subprocess.STDOUT)
            inspected = output_of("buildah", "manifest", "inspect", f"localhost/jvb-watcher:{version()}", env=environment)
            platforms = [entry["platform"] for entry in json.loads(inspected)["manifests"]]
            self.assertEqual(
                sorted((platform["os"], platform["architecture"]) for platform in platforms),
                [("linux", "amd64"), ("linux", "arm64")],
            )
            first = output_of("buildah", "images", "--digests", "--no-trunc", env=environment)
            output_of("buildah", "rmi", "--all", "--force", env=environment)
            output_of(ROOT / "packaging/image", env=environment, stderr=subprocess.STDOUT)
            (again,) = json.loads(output_of("buildah", "images", "--json", env=environment))
            self.assertIn(again["id"], first, "the image of another run has another content")
