"""The prose rules of CONTRIBUTING.md, as far as a program can tell: no phrase of the dialect, no endless sentence."""

import re

import pytest

from support.pages import REPOSITORY, pages

DIALECT = re.compile(
    r"\b(hang(s)? together|is none|how-manieth|of then|of now|oftener|what was (said|told)|is told|are told|were told"
    r"|is no (text|number|name|source|bound)|no one of|that one's)\b",
    re.IGNORECASE,
)
LONGEST = 35
"""Words of a sentence. The rule says 25; lists of things in one sentence are longer."""

PAGES = {**pages(), **{name: REPOSITORY / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")}}


def prose(page: str) -> str:
    """Return the running text of a page: without code, tables, quotes and comments."""
    text = re.sub(r"```.*?```|<!--.*?-->", "", PAGES[page].read_text(), flags=re.DOTALL)
    text = re.sub(r"^## Prose$.*?(?=^## )", "", text, flags=re.DOTALL | re.MULTILINE)  # it quotes what it forbids
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(("|", "    ", "#", ":::"))]
    return re.sub(r'`[^`]*`|"[^"]*"|\]\([^)]*\)', " x ", "\n".join(lines))


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_is_written_in_plain_english(page):
    text = prose(page)
    assert [found[0] for found in DIALECT.finditer(text)] == []
    sentences = re.split(r"(?<=[.!?:;])\s+|\n\s*\n|\n\s*(?:-|\d+\.) ", text)
    assert [sentence for sentence in sentences if len(sentence.split()) > LONGEST] == []
