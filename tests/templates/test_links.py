"""Relative links and anchors in the documentation."""

import re
import unittest

from template import ROOT

TOP = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "ARCHITECTURE", "CHANGELOG")]
PAGES = [*TOP, *(ROOT / "docs").glob("*.md")]
LINK = re.compile(r"\]\(([^()\s]+)\)")


def prose(page) -> str:
    """Returns a page without its code blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", page.read_text())


def anchors(page) -> set[str]:
    """Returns the anchors that GitHub generates for the headings of a page."""
    found = set()
    for heading in re.findall(r"(?m)^#+ (.+)$", prose(page)):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        repeated = sum(1 for other in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other))
        found.add(f"{slug}-{repeated}" if repeated else slug)
    return found


class Links(unittest.TestCase):
    def test_every_relative_link_has_a_target(self):
        links = [(page, link) for page in PAGES for link in LINK.findall(prose(page)) if "://" not in link]
        self.assertGreater(len(links), 100)
        for page, link in links:
            with self.subTest(page.name, link=link):
                path, _, anchor = link.partition("#")
                target = (page.parent / path) if path else page
                self.assertTrue(target.exists())
                if anchor:
                    self.assertIn(anchor, anchors(target))

    def test_templates_and_scripts_name_existing_pages(self):
        paths = [path for folder in ("cloudformation", "samples") for path in (ROOT / folder).rglob("*")]
        names = {name for path in paths if path.is_file() for name in re.findall(r"\bdocs/\w+\.md", path.read_text())}
        self.assertGreater(len(names), 1)
        for name in names:
            self.assertTrue((ROOT / name).exists(), name)

    def test_anchors_follow_the_rules_of_github(self):
        self.assertIn("a-stack-in-update_rollback_failed", anchors(ROOT / "docs" / "operations.md"))


if __name__ == "__main__":
    unittest.main()
