"""The Terraform modules as repositories of their own."""

import re
import unittest

from harness import ROOT, output_of, scratch


class Modules(unittest.TestCase):
    def test_each_becomes_a_repository_with_a_tag_and_the_registrys_layout(self):
        version = output_of(ROOT / "packaging/version").strip()
        with scratch() as directory:
            output_of(ROOT / "packaging/export-modules", directory)
            repositories = sorted(path.name for path in directory.iterdir())
            self.assertEqual(len(repositories), len(list((ROOT / "terraform/modules").iterdir())))
            for name in repositories:
                # https://developer.hashicorp.com/terraform/registry/modules/publish, "Requirements"
                self.assertRegex(name, r"^terraform-aws-[a-z-]+$")
                repository = directory / name
                tags = output_of("git", "-C", repository, "tag", "--points-at", "HEAD").split()
                self.assertEqual(tags, [f"v{version}"])
                files = set(output_of("git", "-C", repository, "ls-files").splitlines())
                standard = {"README.md", "main.tf", "variables.tf", "outputs.tf", "versions.tf", "LICENSE"}
                self.assertLessEqual(standard, files)
                for example in ["minimal", "complete"]:
                    self.assertIn(f"examples/{example}/main.tf", files)
                readme = (repository / "README.md").read_text()
                self.assertEqual(re.findall(r"\]\((\.\./[^)]*)\)", readme), [], "a link leads out of the module")
                self.assertRegex(readme, rf'source += "NAMESPACE/{name.removeprefix("terraform-aws-")}/aws"')
                self.assertNotIn("./terraform/", readme)

    def test_what_else_lies_in_a_repository_is_not_published(self):
        with scratch() as directory:
            output_of(ROOT / "packaging/export-modules", directory)
            repository = directory / "terraform-aws-jvb-watcher"
            (repository / "terraform.tfstate").write_text("secret")
            (repository / ".terraform").mkdir()
            (repository / ".terraform/lock").write_text("")
            output_of("git", "-C", repository, "tag", "--delete", *output_of("git", "-C", repository, "tag").split())
            output_of(ROOT / "packaging/export-modules", directory)
            files = output_of("git", "-C", repository, "ls-files").split()
            self.assertFalse([file for file in files if file.startswith((".terraform/", "terraform.tfstate"))])
            self.assertIn("main.tf", files)

    def test_a_second_export_of_a_version_changes_nothing_and_two_are_the_same(self):
        with scratch() as directory:
            heads = []
            for place in ["one", "two", "one"]:
                output_of(ROOT / "packaging/export-modules", directory / place)
                repository = directory / place / "terraform-aws-jvb-watcher"
                heads.append(output_of("git", "-C", repository, "rev-parse", "HEAD"))
            self.assertEqual(len(set(heads)), 1)
