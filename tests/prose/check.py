"""Checks docs, comments, template Descriptions and golden messages for the constructions in constructions.txt,
and the sentence length in docs. Words and names are checked by typos, with _typos.toml.

Usage: check.py [FILE...]    without an argument, every file that git tracks
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Words, of which a code span, a link or a number is one.
LONGEST_SENTENCE = 20

COMMENTS = {".rs": r"^\s*//[/!]? ?(.*)", "": r"^\s*(?:#|\"\"\")(?!!) ?(.*)"}
DESCRIPTION = r"^\s*(?:Description|default): *([^>|{].*)"
SENTENCE_END = re.compile(r"(?<=[.!?:;])[)*\"]*\s+")


def rules():
    """Pairs of a pattern and the advice for it."""
    lines = pathlib.Path(__file__).with_name("constructions.txt").read_text().splitlines()
    pairs = [re.split(r"\s{2,}", line, maxsplit=1) for line in lines if line and not line.startswith("#")]
    return [(re.compile(pattern), advice) for pattern, advice in pairs]


def prose(path):
    """Lines of prose with their numbers. An empty line ends a paragraph."""
    is_fenced = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if path.suffix == ".md":
            is_fenced ^= line.lstrip().startswith("```")
            # Cells of tables and items of lists are paragraphs.
            pieces = [""] if is_fenced else re.split(r"\s*\|\s*|^\s*(?:[-*#>]+|\d+\.)\s", line)
            if len(pieces) > 1:
                yield number, ""
            for piece in pieces:
                yield number, piece
                if "|" in line:
                    yield number, ""
        elif path.suffix in (".snap", ".txt") and path.parent.name != "fixtures":
            yield from ((number, line), (number, ""))
        else:
            found = re.match(COMMENTS.get(path.suffix, COMMENTS[""]), line) or re.match(DESCRIPTION, line)
            yield number, found[1] if found else ""


def paragraphs(path):
    """Pairs of the first line's number and the text, without code and links."""
    start, text = 0, ""
    for number, line in [*prose(path), (0, "")]:
        if line.strip():
            start = start if text else number
            text += line.strip() + " "
        elif text:
            text = re.sub(r"`[^`]*`", "CODE", text)
            text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", text)
            yield start, re.sub(r"<?https?://\S+", "LINK", text).strip()
            text = ""


def problems(path, constructions):
    for number, text in paragraphs(path):
        for pattern, advice in constructions:
            for found in pattern.finditer(text):
                near = text[max(found.start() - 25, 0) : found.end() + 25]
                yield f"{number}: “{found[0].strip()}”: {advice}: …{near}…"
        if path.suffix == ".md":
            for sentence in SENTENCE_END.split(text):
                words = len(sentence.split())
                if words > LONGEST_SENTENCE:
                    yield f"{number}: {words} words, at most {LONGEST_SENTENCE}: {sentence[:60]}…"


def main():
    names = sys.argv[1:] or subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    constructions = rules()
    kinds = (".md", ".rs", ".py", ".sh", ".yaml", ".toml", ".snap", ".txt", "")
    files = [ROOT / name for name in names if (ROOT / name).suffix in kinds]
    found = [
        f"{path.relative_to(ROOT)}:{problem}"
        for path in files
        if path.name != "LICENSE" and path.parent != pathlib.Path(__file__).parent
        for problem in problems(path, constructions)
    ]
    print(*found, f"prose: {len(files)} files, {len(found)} problems", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
