"""Patches fit exactly or not at all."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.verify import patch
from grader.verify.patch import BadPatch

OLD = "one\ntwo\nthree\nfour\nfive\n"
LINES = st.lists(st.sampled_from(["a\n", "b\n", "\n", "  c\n", "-d\n", "+e\n", "\\f\n"]), max_size=12)


def folder(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())
    return root


def diff(old: str, new: str, name: str = "service/app.py") -> str:
    sides = (f"a/{name}" if old else "/dev/null", f"b/{name}" if new else "/dev/null")
    lines = difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), *sides)
    ended = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    return "".join(ended)


def applied(tmp_path: Path, text: str, files: dict[str, str]) -> dict[str, str]:
    target = tmp_path / "target"
    patch.apply(patch.read(text), folder(tmp_path / "source", files), target)
    return {
        file.relative_to(target).as_posix(): file.read_bytes().decode() for file in target.rglob("*") if file.is_file()
    }


@given(LINES, LINES, st.booleans())
def test_what_difflib_says_is_what_comes_out(
    tmp_path_factory: pytest.TempPathFactory, old: list[str], new: list[str], ended: bool
) -> None:
    before, after = "x\n" + "".join(old), "x\n" + "".join(new) + ("" if ended else "the end")
    if before != after:
        found = applied(tmp_path_factory.mktemp("patch"), diff(before, after), {"service/app.py": before})
        assert found == {"service/app.py": after}


def test_the_header_is_what_stands_before() -> None:
    read = patch.read("Belief: more is more\n  and so on\n\n" + diff(OLD, "one\n"))
    assert read.header == "Belief: more is more\n  and so on\n\n"


def test_files_appear_and_go(tmp_path: Path) -> None:
    text = diff("", "new\n", "service/deep/new.py") + diff("old\n", "", "old.py") + diff(OLD, "one\n")
    assert applied(tmp_path, text, {"service/app.py": OLD, "old.py": "old\n", "kept.py": "kept\n"}) == {
        "service/app.py": "one\n",
        "service/deep/new.py": "new\n",
        "kept.py": "kept\n",
    }


def test_git_may_say_more(tmp_path: Path) -> None:
    text = "diff --git a/service/app.py b/service/app.py\nindex 1234567..89abcde 100644\n" + diff(OLD, "one\n")
    assert applied(tmp_path, text, {"service/app.py": OLD}) == {"service/app.py": "one\n"}


def test_the_place_may_have_moved(tmp_path: Path) -> None:
    text = diff(OLD, OLD.replace("three", "3"))
    found = applied(tmp_path, text, {"service/app.py": "zero\n" * 3 + OLD})
    assert found == {"service/app.py": "zero\n" * 3 + OLD.replace("three", "3")}


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (OLD.replace("two", "TWO"), "hunk 1 does not fit"),
        ("zero\n" + OLD + OLD, "hunk 1 does not fit"),  # which of the two?
        ("", "hunk 1 does not fit"),
    ],
)
def test_nothing_is_guessed(tmp_path: Path, there: str, why: str) -> None:
    with pytest.raises(BadPatch, match=why):
        applied(tmp_path, diff(OLD, OLD.replace("three", "3")), {"service/app.py": there})
    assert not (tmp_path / "target").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadPatch, match=r"there is no service/app\.py"):
        applied(tmp_path, diff(OLD, "one\n"), {"other.py": ""})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "only words\n",
        "--- a/x.py\n+++ b/x.py\n",
        "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1 @@\n-one\n",
        "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-one\n+two\nthree\n",
        "--- a/../x.py\n+++ b/../x.py\n@@ -1 +1 @@\n-one\n+two\n",
        "--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-one\n+two\n",
        "--- x.py\n+++ x.py\n@@ -1 +1 @@\n-one\n+two\n",
        "diff -u a b\n@@ -1 +1 @@\n-one\n+two\n",
    ],
)
def test_what_is_no_patch_is_refused(text: str) -> None:
    with pytest.raises(BadPatch):
        patch.read(text)
