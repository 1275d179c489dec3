"""Writes the files a new connector begins with: `make connector NAME=acme-dispatch TITLE="..."`.

What is written is a connector for a made-up vendor with a plain REST interface, and that vendor as
a simulator. It passes the contract suite at once; from there on, every change towards the real
vendor keeps it green or says what is missing. The files are those under `template/`, with the
names replaced; lines between `#if etag`, `#else` and `#end` are for vendors with or without ETags.
"""

import argparse
import keyword
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LONGEST = 30
PAGES_END = "\n## What can be done where"


class SlipError(Exception):
    """What was asked for cannot be done; the message is a sentence."""


def names(system: str, title: str) -> dict[str, str]:
    """Return what stands in the place of the template's names; raises SlipError."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", system) or keyword.iskeyword(system):
        raise SlipError(f'"{system}" is no name like "acme-dispatch": small letters and hyphens.')
    if not re.fullmatch(r"[\w.,&'+ -]+", title) or title != title.strip():
        raise SlipError(f'"{title}" is no title like "Acme Dispatch".')
    if max(len(system), len(title)) > LONGEST:
        raise SlipError(f"Name and title have at most {LONGEST} characters.")
    package = system.replace("-", "_")
    return {
        "acme-dispatch": system,
        "acme_dispatch": package,
        "ACME_DISPATCH": package.upper(),
        "AcmeDispatch": "".join(part.capitalize() for part in system.split("-")),
        "Acme Dispatch": title,
    }


def replaced(text: str, by: dict[str, str]) -> str:
    """Return a text with all names of the template replaced at once."""
    return re.sub("|".join(by), lambda found: by[found[0]], text)


def chosen(lines: list[str], *, etag: bool) -> Iterator[str]:
    """Yield the lines that are for a vendor with, or without, ETags."""
    wanted = True
    for line in lines:
        match line.strip():
            case "#if etag":
                wanted = etag
            case "#else":
                wanted = not etag
            case "#end":
                wanted = True
            case _ if wanted:
                yield line


def files(by: dict[str, str], *, etag: bool) -> dict[Path, str]:
    """Return what is written: path within the project, and text."""
    return {
        Path(replaced(str(path.relative_to(HERE / "template")), by)): replaced(
            "".join(chosen(path.read_text(encoding="utf-8").splitlines(keepends=True), etag=etag)),
            by,
        )
        for path in sorted((HERE / "template").rglob("*.*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def write(root: Path, made: dict[Path, str]) -> None:
    """Write the files; raises SlipError, and writes none, where one of them is there already."""
    there = [str(path) for path in made if (root / path).exists()]
    if there:
        raise SlipError(f"{there[0]} is there already. Nothing was written.")
    for path, text in made.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    written = [str(path) for path in made if path.suffix == ".py"]
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, *written], cwd=root, check=True)


def name_page(root: Path, system: str, title: str) -> None:
    """Name the connector's page in the list of pages, and bring the table below it up to date."""
    page = root / "docs" / "connectors" / "README.md"
    text = page.read_text(encoding="utf-8")
    named = text.replace(PAGES_END, f"- [{title}]({system}.md)\n{PAGES_END}", 1)
    page.write_text(named, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": str(root / "src")}
    subprocess.run([sys.executable, "tools/connectors_table.py"], cwd=root, env=env, check=True)


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Write a connector into the project and return 0, or 1 with a sentence on what is wrong."""
    parser = argparse.ArgumentParser(prog="make connector", description="A connector to begin with")
    parser.add_argument("name", help="as in commands: acme-dispatch")
    parser.add_argument("title", help="as people read it: Acme Dispatch")
    parser.add_argument("--without-etag", action="store_true", help="it has no versions")
    wanted = parser.parse_args(arguments)
    try:
        by = names(wanted.name, wanted.title)
        made = files(by, etag=not wanted.without_etag)
        write(root, made)
    except SlipError as slip:
        print(slip, file=sys.stderr)
        return 1
    name_page(root, wanted.name, wanted.title)
    print("\n".join(map(str, made)))
    print(f"\nIt is green: .venv/bin/pytest tests/contract -k {wanted.name}")
    print("How to go on stands in CONTRIBUTING.md, “Add a connector”.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
