"""The version, which stands in one place."""

import subprocess
import tomllib
import unittest

from harness import LIMIT, ROOT, loaded


def checked(*arguments):
    command = [ROOT / "packaging/version", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)


class Version(unittest.TestCase):
    VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]

    def test_no_file_has_another_one(self):
        finished = checked()
        self.assertEqual((finished.returncode, finished.stdout, finished.stderr), (0, f"{self.VERSION}\n", ""))

    def test_another_one_is_found(self):
        workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]
        found = list(loaded("version").differences(workspace, "97.0.0"))
        for place in ["the dependency jvb-watcher-rules", "Cargo.lock: jvb-watcher ", "fuzz/Cargo.lock: jvb-watcher "]:
            self.assertTrue(any(place in problem for problem in found), found)

    def test_a_tag_of_another_version_is_refused(self):
        finished = checked("--tag", "v96.0.0")
        self.assertEqual(finished.returncode, 1)
        self.assertIn("the tag v96.0.0 is not that of the version", finished.stderr)

    def test_a_release_needs_the_address_of_its_repository(self):
        finished = checked("--repository", "https://forge.example.org/us/jvb-watcher")
        self.assertEqual(finished.returncode, 1)
        self.assertIn("workspace.package.repository is missing", finished.stderr)
