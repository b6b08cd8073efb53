"""`learn story`, and the pages of `--html`: the same in words, drawn, and as data."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from grader.outcome import Verdict
from grader.report import page
from grader.report.causes import by_cause, red, told_of
from tests import workspaces
from tests.cli.test_commands import Learner

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NARROW = 400  # pixels


@pytest.fixture
def learn(workspace: Path) -> Learner:
    (workspace / "groups/group-01-kettle/tests").mkdir()
    tests = workspace / "groups/group-01-kettle/tests/test_kettle.py"
    tests.write_text("def test_1(): ...\ndef test_2(): ...\nasync def test_3(): ...\n")
    toml = workspace / "groups/group-01-kettle/group.toml"
    import hashlib

    pin = hashlib.sha256(tests.read_bytes()).hexdigest()
    toml.write_text(toml.read_text("utf-8") + f'"tests/test_kettle.py" = "{pin}"\n', "utf-8")
    return Learner(workspace)


def test_a_story_has_the_figures_the_damage_and_a_drawing(learn: Learner) -> None:
    ended = learn("story", "--seed", "7", told="passed,failed", NO_COLOR="1", COLUMNS="80")
    assert ended.code == 1
    assert "✗ steam stays in" in ended.out
    assert "  measured         12.4 s, where at most 0.05 s is agreed" in ended.out
    assert "  damage           1 of 9 cups is dry" in ended.out
    assert "  first broken     00:01.2  every cup is filled" in ended.out
    assert "  history          2 of 9 cups are enough" in ended.out
    assert re.search(r"00:01\.2 +│─+ GET /tea ─+▶│\n  00:02\.0 +│ +█ blocked 11\.6 s: app\.py:42\n", ended.out)
    assert "learn story group-1 test_2" in ended.out
    assert all(len(line) <= 80 for line in ended.out.splitlines())


def test_what_has_a_story_comes_before_an_untouched_stub(learn: Learner) -> None:
    ended = learn("story", told="passed,todo,failed", NO_COLOR="1")
    assert "✗ a cold kettle has no steam" in ended.out
    assert "learn story group-1 test_1" in ended.out


def test_one_test_can_be_named(learn: Learner) -> None:
    assert "✗ a cold kettle has no steam" in learn("story", "test_2", told="failed").out
    ended = learn("story", "group-1", "test_0", told="failed")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "there is no test “test_0”: did you mean test_" in ended.err


def test_green_tests_have_no_story(learn: Learner) -> None:
    ended = learn("story", told="passed")
    assert ended.code == 0
    assert ended.out.endswith(": there is nothing to tell.\n")
    assert not (learn.workspace / ".learn/pages").exists()


def test_a_green_test_among_red_ones_is_said_to_be_green(learn: Learner) -> None:
    ended = learn("story", "test_1", "--seed", "7", told="passed,passed,failed")
    assert (ended.code, ended.out) == (
        0,
        "✓ Green with seed 7: there is nothing to tell. 3 others are red: learn story group-1\n",
    )


def test_a_case_of_a_test_can_be_named() -> None:
    outcome = workspaces.outcome(1, 7, Verdict.FAILED)
    cases = [replace(test, id=f"test_kettle.py::test_tea[{at}]") for at, test in enumerate(outcome.tests)]
    outcome = replace(outcome, tests=tuple(cases))
    assert [[test.id for test in same] for same in told_of(outcome, "test_tea[2]", all_of_a_stage=False)] == [
        [cases[2].id]
    ]
    assert len(told_of(outcome, "test_tea", all_of_a_stage=False)) == 5


def test_what_is_neither_a_group_nor_a_test_is_named_with_its_likes(learn: Learner) -> None:
    assert "there is no group or test “test_kettle”: did you mean test_" in learn("story", "test_kettle").err
    assert "there is no group “group-77”" in learn("story", "group-77").err


def test_a_run_that_the_grader_spoilt_has_none_either(learn: Learner) -> None:
    ended = learn("story", told="ours")
    assert ended.code == 4
    assert "The grader itself failed" in ended.out


def test_a_terminal_without_unicode_gets_a_drawing_in_letters(learn: Learner) -> None:
    drawn = learn("story", told="passed,failed", PYTHONIOENCODING="ascii").out
    assert re.search(r"\|-+ GET /tea -+>\|\n.*# blocked 11\.6 s", drawn)


def test_a_story_answers_in_json(learn: Learner) -> None:
    document = learn.json("story", "--html", told="passed,failed")
    assert document["result"]["causes"][0][0]["failure"]["steps"][0]["text"] == "GET /tea"
    assert Path(document["page"]).read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize("words", [["story", "--html"], ["trigger", "--html"]])
def test_a_page_is_written_and_named(learn: Learner, words: list[str]) -> None:
    told = learn(*words, told="passed,failed").out
    found = re.search(r"page: (file://\S+)", told)
    assert found
    assert Path(unquote(urlparse(found[1]).path)).is_file()


def test_a_disk_that_takes_no_page_says_so(learn: Learner) -> None:
    (learn.workspace / ".learn").mkdir()
    (learn.workspace / ".learn/pages").write_text("in the way")
    ended = learn("trigger", "--html")
    assert ended.code == 4
    assert "cannot write .learn/pages/group-1-stage-1.html: " in ended.err


# ------------------------------------------------------------------------------------------------ pages


class _Page(HTMLParser):
    """What a page is made of, and whether its tags match."""

    VOID = frozenset({"meta", "line", "path", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def pages(workspace: Path) -> dict[str, str]:
    from grader.curriculum import read_groups

    group = read_groups(workspace)["group-1"]
    outcome = workspaces.outcome(1, 7, Verdict.PASSED, Verdict.FAILED)
    return {
        "trigger": page.trigger(group, workspaces.incident("group-1", 7, {})),
        "story": page.story(group, outcome, by_cause(red(outcome))),
    }


@pytest.mark.parametrize("name", ["trigger", "story"])
def test_a_page_stands_alone_and_says_in_words_what_it_shows(workspace: Path, name: str) -> None:
    text = pages(workspace)[name]
    found = _Page(text)
    assert found.links == []
    assert not {"script", "link", "img", "iframe"} & set(found.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert len(text.encode()) < 200_000
    assert "svg" in found.tags
    words = " ".join(found.words.split())
    expected = {
        "trigger": ["as it ships: 12.4 litres at most, at 1 s; yours: 0.04 litres at most", "1 s, it boils", "12.4 s"],
        "story": ["p99 of /tea is 12.4 s", "1 of 9 cups is dry", "cup 1 is still dry", "4 red tests"],
    }[name]
    assert [some for some in expected if some not in words] == []


def test_what_a_learners_code_says_is_text_on_a_page(workspace: Path) -> None:
    from grader.curriculum import read_groups

    outcome = workspaces.outcome(1, 7, Verdict.FAILED)
    test = outcome.tests[0]
    assert test.failure is not None
    nasty = "<script>alert(1)</script>"
    steps = (replace(test.failure.steps[0], text=nasty), replace(test.failure.steps[1], text=nasty))
    failure = replace(test.failure, sees=nasty, story=(f"00:00.1  {nasty}",), steps=steps)
    text = page.story(read_groups(workspace)["group-1"], outcome, [[replace(test, title=nasty, failure=failure)]])
    assert "script" not in _Page(text).tags


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("name", ["trigger", "story"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_all_of_a_page_at_any_width(workspace: Path, tmp_path: Path, name: str, scheme: str) -> None:
    (tmp_path / "page.html").write_text(pages(workspace)[name], "utf-8")
    measured = _measured(tmp_path, scheme)
    assert measured["width"] <= NARROW
    assert measured["cut"] == 0, "an element is wider than the page"
    assert measured["contrast"] >= 4.5
    assert (measured["paper"] < 0.2) == (scheme == "dark")


def _measured(folder: Path, scheme: str) -> dict[str, float]:
    """What Chromium makes of page.html in a window of NARROW pixels."""
    (folder / "look.html").write_text(f"""<!doctype html><body style="margin:0">
<iframe src="page.html" style="width:{NARROW}px;height:900px;border:0"></iframe><script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument, style = page.defaultView.getComputedStyle;
  const light = text => {{
    const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  }};
  const paper = light(style(page.body).backgroundColor);
  const against = text => (Math.max(paper, light(text)) + .05) / (Math.min(paper, light(text)) + .05);
  const all = [...page.body.querySelectorAll("p, h1, h2, h3, td, th, li, dd, dt, figcaption, text")];
  const shown = all.filter(each => each.getClientRects().length);
  document.title = JSON.stringify({{
    width: page.documentElement.scrollWidth,
    cut: shown.filter(each => each.getBoundingClientRect().right > {NARROW} + 1).length,
    contrast: Math.min(...shown.map(e => against(e.namespaceURI.includes("svg") ? style(e).fill : style(e).color))),
    paper,
  }});
}});</script>""")
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=2000"]
    flags += ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    process = subprocess.run(
        [CHROMIUM, *flags, "--dump-dom", (folder / "look.html").as_uri()],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    import json
    from html import unescape

    found = re.search(r"<title>(.*?)</title>", process.stdout)
    assert found, process.stderr[-500:]
    measured: dict[str, float] = json.loads(unescape(found[1]))
    return measured
