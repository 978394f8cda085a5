"""The code blocks of the README and the site, as a reader finds them."""

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_BLOCK = re.compile(r"^( *)```(\w*)[ \t]*([^\n]*)\n(.*?)^\1```[ \t]*$", re.MULTILINE | re.DOTALL)
NOT_RUN = {
    ("README.md", "make demo"): "installs and takes minutes; tests/end_to_end/ runs the same models",
    ("installing.md", "pip "): "tests/packaging/ builds the wheel and installs it",
    ("how-to/existing-project.md", "pip install"): "tests/packaging/ installs the wheel into a project",
    ("how-to/alerts.md", "pip install"): "names services that are not there",
    ("how-to/engine.md", "pip install"): "names machines; tests/resources/test_dask_engine.py starts a cluster",
    ("how-to/records.md", "pip install"): "names a server that is not there; tests/records/test_store.py starts one",
    ("how-to/servers.md", "cp deploy/.env"): "there is no Docker; tests/deploy/ runs the same commands as processes",
}
"""Blocks that no test runs, by page and how they begin, with the reason."""

_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block: its page and line, its language, the file that its title names (if any) and its text."""

    page: str
    line: int
    language: str
    title: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> dict[str, Path]:
    """README.md and each page of the site by its path from docs/."""
    docs = REPOSITORY / "docs"
    found = {path.relative_to(docs).as_posix(): path for path in sorted(docs.rglob("*.md"))}
    return {"README.md": REPOSITORY / "README.md", **found}


def blocks(page: str) -> list[Block]:
    """The blocks of a page in their order."""
    text = pages()[page].read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        indent, language, options, body = match.groups()
        title = _TITLE.search(options)
        line = text.count("\n", 0, match.start()) + 1
        body = "".join(row.removeprefix(indent) for row in body.splitlines(keepends=True))
        found.append(Block(page, line, language, title[1] if title else "", body))
    return found


def not_run(block: Block) -> str | None:
    """Why no test runs a block; None for a block that must be run."""
    found = (why for (page, start), why in NOT_RUN.items() if page == block.page and block.text.startswith(start))
    return next(found, None)
