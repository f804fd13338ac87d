"""docs/deploy.md shows the files of deploy/ as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "deploy").iterdir())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_document_shows_the_file_and_links_to_it(file: Path) -> None:
    document = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    assert f"[deploy/{file.name}](../deploy/{file.name})" in document
    assert f"\n{file.read_text(encoding='utf-8')}```\n" in document
