"""The deb and the rpm package: what is in them, and their life in a clean Debian root."""

import gzip
import platform
import re
import subprocess
import unittest

from debian import debian_root
from harness import LIMIT, loaded, output_of, program, scratch, version

UNIT = "jvb-watcher.service"
SETTINGS = "JVB_WATCHER_PROJECT=ours\nJVB_WATCHER_REGION=eu-west-1\n"
NEWER = "99.0.0"


class LinuxPackages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        release = loaded("release")
        directory = cls.enterClassContext(scratch())
        cls.stage = directory / "stage"
        cls.stage.mkdir()
        release.fill(cls.stage, program())
        cls.packages = {}
        for packager in ["deb", "rpm"]:
            for number in [version(), NEWER]:
                output = directory / packager / number
                output.mkdir(parents=True)
                release.write_package(packager, platform.machine(), number, cls.stage, output)
                (cls.packages[packager, number],) = output.iterdir()
        cls.deb = cls.packages["deb", version()]
        cls.rpm = cls.packages["rpm", version()]

    def test_both_contain_the_program_the_unit_its_settings_completions_and_man_pages(self):
        listed = output_of("dpkg-deb", "--contents", self.deb)
        deb = {line.split(" ./")[1].strip(): line[:10] for line in listed.splitlines() if not line.endswith("/")}
        rpm = {name.removeprefix("/") for name in output_of("rpm", "-qpl", self.rpm).splitlines()}
        both = {
            "usr/bin/jvb-watcher",
            "usr/lib/systemd/system/jvb-watcher.service",
            "etc/jvb-watcher.env",
            "usr/share/bash-completion/completions/jvb-watcher",
            "usr/share/fish/vendor_completions.d/jvb-watcher.fish",
            "usr/share/man/man1/jvb-watcher.1.gz",
            "usr/share/man/man1/jvb-watcher-run.1.gz",
        }
        self.assertLessEqual(both | {"usr/share/zsh/vendor-completions/_jvb-watcher"}, set(deb))
        self.assertLessEqual(both | {"usr/share/zsh/site-functions/_jvb-watcher"}, rpm)
        self.assertEqual(deb["etc/jvb-watcher.env"], "-rw-------")
        self.assertEqual(deb["usr/bin/jvb-watcher"], "-rwxr-xr-x")
        self.assertEqual(output_of("rpm", "-qpc", self.rpm), "/etc/jvb-watcher.env\n")

    def test_their_man_pages_are_those_of_the_programs_commands(self):
        usage = output_of(program(), "--help")
        commands = set(re.findall(r"(?m)^  ([a-z]+) +\S", usage.split("Options:")[0]))
        pages = {path.name: gzip.decompress(path.read_bytes()).decode() for path in (self.stage / "man").iterdir()}
        self.assertIn("run", commands)
        self.assertEqual(set(pages), {"jvb-watcher.1.gz", *(f"jvb-watcher-{name}.1.gz" for name in commands)})
        for name, page in pages.items():
            referred = set(re.findall(r"jvb-watcher-([a-z]+)\(1\)", page.replace("\\", "")))
            self.assertLessEqual(referred, commands, name)
        for path in (self.stage / "completions").iterdir():
            for missing in ["demo", "sandbox", "completions"]:
                self.assertNotIn(f"jvb__watcher__{missing}", path.read_text(), path)
                self.assertNotRegex(path.read_text(), rf"(?m)-a \"{missing}\"|^'{missing}:", path)

    def test_the_rpm_package_can_be_read_back(self):
        self.assertEqual(output_of("rpm", "-qp", "--queryformat", "%{VERSION} %{LICENSE}", self.rpm), f"{version()} Apache-2.0")
        archive = subprocess.run(["rpm2cpio", self.rpm], check=True, capture_output=True, timeout=LIMIT).stdout
        with scratch() as directory:
            extract = ["cpio", "--extract", "--make-directories", "--quiet"]
            subprocess.run(extract, cwd=directory, input=archive, check=True, timeout=LIMIT)
            self.assertEqual((directory / "usr/bin/jvb-watcher").read_bytes(), program().read_bytes())

    def test_the_deb_package_is_installed_upgraded_and_purged(self):
        with debian_root() as root:
            before = root.entries()
            said = root.run("dpkg", "--install", root.add(self.deb))
            self.assertIn("systemctl enable --now jvb-watcher", said)
            self.assertEqual(root.run("/usr/bin/jvb-watcher", "--version"), f"jvb-watcher {version()}\n")
            self.assertEqual(root.verify(UNIT), (0, ""))
            self.assertNotIn(f"etc/systemd/system/multi-user.target.wants/{UNIT}", root.entries())

            root.enable(UNIT)
            settings = root.path / "etc/jvb-watcher.env"
            settings.write_text(SETTINGS)
            root.run("dpkg", "--install", root.add(self.packages["deb", NEWER]))
            self.assertEqual(settings.read_text(), SETTINGS)
            self.assertEqual(settings.stat().st_mode & 0o777, 0o600)
            self.assertIn(f"etc/systemd/system/multi-user.target.wants/{UNIT}", root.entries())

            root.run("dpkg", "--remove", "jvb-watcher")
            self.assertEqual(root.entries() - before, {"etc/jvb-watcher.env"})
            self.assertEqual(settings.read_text(), SETTINGS)
            root.run("dpkg", "--purge", "jvb-watcher")
            self.assertEqual(root.entries(), before)

    def test_the_rpm_packages_scripts_run(self):
        # In Debian's root, so without its dependencies, which have other names there.
        with debian_root() as root:
            before = root.entries()

            def rpm(*arguments):
                command = ["rpm", f"--root={root.path}", "--dbpath=/var/lib/rpm", "--nodeps", *arguments]
                return output_of(*command, stderr=subprocess.STDOUT)

            said = rpm("--install", self.rpm)
            self.assertIn("systemctl enable --now jvb-watcher", said)
            self.assertEqual(root.verify(UNIT), (0, ""))
            root.enable(UNIT)
            settings = root.path / "etc/jvb-watcher.env"
            settings.write_text(SETTINGS)
            said = rpm("--upgrade", self.packages["rpm", NEWER])
            self.assertNotIn("systemctl enable", said)
            self.assertEqual(settings.read_text(), SETTINGS)
            self.assertIn(f"etc/systemd/system/multi-user.target.wants/{UNIT}", root.entries())

            rpm("--erase", "jvb-watcher")
            # Of the directories of rpm's distributions, Debian lacks this one; and rpm keeps its database in Debian's way.
            left = {name for name in root.entries() - before if "rpm" not in name}
            self.assertLessEqual(left, {"usr/share/licenses"})
            # As with every edited configuration file, rpm keeps the operator's text under another name.
            self.assertEqual((root.path / "etc/jvb-watcher.env.rpmsave").read_text(), SETTINGS)
