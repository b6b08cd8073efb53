"""A briefing's Markdown as text for a terminal: headings, paragraphs, lists, tables, quotes and code.

It covers what briefings use, not all of Markdown. rich.markdown would do more, but takes as long to import as
all the rest of `learn next` (66 ms, measured beside 55 ms for typer).
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from unicodedata import east_asian_width

from grader.curriculum import Group
from grader.progress import Course
from grader.report.ink import Ink
from grader.report.status import achieved, next_step

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_ITEM = re.compile(r"(\s*)([-*+]|\d{1,3}[.)])\s+(.*)$")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_RULE = re.compile(r"\s*([-*_])(\s*\1){2,}\s*$")
_DIVIDER = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$")
_STAGE = re.compile(r"## Stage (\d+)\b")
_BEGINNING = re.compile(r"## The (incident|service)\b")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_INLINE = re.compile(
    r"(?P<code>`+)(?P<coded>.+?)(?P=code)"
    r"|!?\[(?P<label>[^\]]*)\]\((?P<url>[^)\s]*)[^)]*\)"
    r"|\*\*(?P<bold>.+?)\*\*"
    r"|(?<![\w*])\*(?P<star>[^*\s](?:[^*]*[^*\s])?)\*(?!\w)"
    r"|(?<!\w)_(?P<under>[^_\s](?:[^_]*[^_\s])?)_(?!\w)"
    r"|\\(?P<escaped>[\\`*_{}\[\]()#+\-.!|>])",
    re.DOTALL,
)

Paint = Callable[[str], str]
Painted = tuple[str, Paint]


def screen(course: Course, group: Group | None, markdown: str, ink: Ink) -> str:
    """A group's briefing, of its stages the one to work on, and what to do now. Without a group, what is solved."""
    if group is None:
        return "\n".join([*achieved(course, ink), "", *next_step(course, ink)]) + "\n"
    solved, stage = group.id in course.passed, course.stage(group)
    if stage and not solved:
        markdown = of_stage(markdown, stage.number)
    rows = [render(markdown, ink), ink.dim(ink.symbol("rule") * ink.width)]
    if solved:
        rows.append(ink.good(f"{ink.symbol('ok')} Group {group.number} is solved."))
    elif stage:
        count = f"stage {stage.number} of {len(group.stages)}"
        rows.append(f"{ink.bold('Now')}    {count}: {stage.title} {ink.dim(f'(about {stage.minutes} min)')}")
    for label, names in (("Stubs", _stubs(course, group)), ("Edit", _folders(group)), ("Whole", ["README.md"])):
        heads = [ink.bold(label) + " " * (7 - len(label)), *[" " * 7] * len(names)]
        rows += [head + _typed(course, group, name) for head, name in zip(heads, names, strict=False)]
    return "\n".join([*rows, *next_step(course, ink, group)]) + "\n"


def of_stage(markdown: str, number: int) -> str:
    """The briefing without the sections of other stages: “Stage N”, and from stage 2 on how it all began."""
    sections = re.split(r"^(?=## )", markdown, flags=re.MULTILINE)
    heads = [_STAGE.match(section) for section in sections]
    return "".join(
        text
        for text, head in zip(sections, heads, strict=True)
        if (int(head[1]) == number if head else number == 1 or not _BEGINNING.match(text))
    )


def _stubs(course: Course, group: Group) -> list[str]:
    stage = course.stage(group)
    stubs = [group.patterns[name].stub for name in stage.patterns] if stage else []
    return list(dict.fromkeys(stub for stub in stubs if stub))


def _folders(group: Group) -> list[str]:
    """Where the learner's own files are: each pattern of them up to its first wildcard."""
    return list(dict.fromkeys(re.split(r"[^/]*[*?\[]", pattern)[0] or "." for pattern in group.files))


def _typed(course: Course, group: Group, name: str) -> str:
    """The file or folder as one would type it in the current folder."""
    return os.path.relpath(group.path / name, course.here) + ("/" if name.endswith("/") else "")


def render(markdown: str, ink: Ink) -> str:
    """The Markdown as text that fits the ink's width; code is never wrapped."""
    lines = _COMMENT.sub("", markdown).expandtabs(4).splitlines()
    blocks = list(_blocks(lines, ink, ink.width))
    return "\n".join(line.rstrip() for line in _spaced(blocks)).strip("\n") + "\n"


def _spaced(blocks: Sequence[list[str]]) -> Iterator[str]:
    for block in blocks:
        yield from block
        yield ""


def _is_divider(below: Sequence[str]) -> bool:
    """Does the line below say that this one heads a table?"""
    return any(row.lstrip().startswith("|") and _DIVIDER.match(row) is not None for row in below)


def _blocks(lines: Sequence[str], ink: Ink, width: int) -> Iterator[list[str]]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif fence := _FENCE.match(line):
            end = at + 1
            while end < len(lines) and not lines[end].strip().startswith(fence[1]):
                end += 1
            code = textwrap.dedent("\n".join(lines[at + 1 : end])).splitlines()
            yield [f"    {ink.command(row)}" if row else "" for row in code]
            at = end + 1
        elif heading := _HEADING.match(line):
            yield _heading(len(heading[1]), heading[2], ink, width)
            at += 1
        elif _RULE.match(line):
            yield [ink.dim(ink.symbol("rule") * width)]
            at += 1
        elif line.lstrip().startswith("|") and _is_divider(lines[at + 1 : at + 2]):
            end = _while(lines, at, lambda row: row.lstrip().startswith("|"))
            yield _table(lines[at:end], ink, width)
            at = end
        elif line.lstrip().startswith(">"):
            end = _while(lines, at, lambda row: row.lstrip().startswith(">"))
            quoted = [re.sub(r"^\s*> ?", "", row) for row in lines[at:end]]
            bar = ink.dim(ink.symbol("bar")) + " "
            inner = list(_spaced(list(_blocks(quoted, ink, width - 2))))[:-1]
            yield [bar + row for row in inner]
            at = end
        elif _ITEM.match(line):
            end = _list_end(lines, at)
            yield _list(lines[at:end], ink, width)
            at = end
        else:
            end = max(at + 1, _while(lines, at, _is_prose))
            yield _wrap(" ".join(row.strip() for row in lines[at:end]), ink, width)
            at = end


def _while(lines: Sequence[str], at: int, belongs: Callable[[str], bool]) -> int:
    while at < len(lines) and belongs(lines[at]):
        at += 1
    return at


def _is_prose(line: str) -> bool:
    stripped = line.lstrip()
    return bool(stripped) and not (
        stripped[0] in "|>" or _ITEM.match(line) or _FENCE.match(line) or _HEADING.match(line) or _RULE.match(line)
    )


def _heading(level: int, text: str, ink: Ink, width: int) -> list[str]:
    words = _plain(text, ink)
    if level == 1:
        return [ink.heading(words), ink.heading(ink.symbol("rule") * min(_length(words), width))]
    return [ink.heading(words) if level == 2 else ink.bold(words)]


def _list_end(lines: Sequence[str], at: int) -> int:
    """Where a list ends: at a line that is no item, not indented, and comes after a blank one."""
    end = at
    while end < len(lines):
        line = lines[end]
        if line.strip():
            after_blank = end > at and not lines[end - 1].strip()
            lazy = _is_prose(line) and not after_blank
            if not (_ITEM.match(line) or line.startswith(" ") or lazy):
                break
        end += 1
    while not lines[end - 1].strip():
        end -= 1
    return end


def _list(lines: Sequence[str], ink: Ink, width: int) -> list[str]:
    """A list; an item's own blocks (prose, code, an inner list) are indented below its mark."""
    first = _ITEM.match(lines[0])
    outer = len(first[1]) if first else 0
    items: list[tuple[str, list[str]]] = []
    loose = False
    for line in lines:
        item = _ITEM.match(line)
        if item and len(item[1]) <= outer + 1:
            items.append((item[2], [item[3]]))
        else:
            loose = loose or not line.strip()
            items[-1][1].append(line)
    rows: list[str] = []
    for mark, content in items:
        shown = f"{ink.symbol('bullet')} " if mark in "-*+" else f"{mark} "
        body = [content[0], *textwrap.dedent("\n".join(content[1:])).splitlines()]
        blocks = list(_blocks(body, ink, width - 2 - len(shown))) or [[""]]
        inner = list(_spaced(blocks))[:-1] if loose else [row for block in blocks for row in block]
        rows += [f"  {shown if row == 0 else ' ' * len(shown)}{text}" for row, text in enumerate(inner)]
        if loose:
            rows.append("")
    return rows[:-1] if loose else rows


def _table(lines: Sequence[str], ink: Ink, width: int) -> list[str]:
    """Columns as wide as their widest cell; when that is too wide, the widest ones give way and wrap."""
    table = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines]
    count = max(map(len, table))
    table = [row + [""] * (count - len(row)) for row in table]
    to_the_right = [mark.endswith(":") and not mark.startswith(":") for mark in table.pop(1)]
    widths = [max(_length(_plain(row[column], ink)) for row in table) or 1 for column in range(count)]
    while sum(widths) + 2 * (count - 1) > width and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1
    rows: list[str] = []
    for number, row in enumerate(table):
        cells = [_wrap(cell, ink, wide, strong=number == 0) for cell, wide in zip(row, widths, strict=True)]
        for line in range(max(map(len, cells))):
            parts = []
            for cell, wide, right in zip(cells, widths, to_the_right, strict=True):
                text = cell[line] if line < len(cell) else ""
                space = " " * (wide - _length(_bare(text)))
                parts.append(space + text if right else text + space)
            rows.append("  ".join(parts))
        if number == 0:
            rows.append("  ".join(ink.dim(ink.symbol("rule") * wide) for wide in widths))
    return rows


def _wrap(text: str, ink: Ink, width: int, *, strong: bool = False) -> list[str]:
    lines: list[str] = []
    line, used = "", 0
    for word in _words(text, ink.bold if strong else _as_is, ink):
        length = sum(_length(part) for part, _ in word)
        painted = "".join(paint(part) for part, paint in word)
        if line and used + 1 + length > width:
            lines.append(line)
            line, used = "", 0
        line += f" {painted}" if line else painted
        used += length + (1 if used else 0)
    return [*lines, line] if line else lines or [""]


def _words(text: str, paint: Paint, ink: Ink) -> Iterator[list[Painted]]:
    """The words of a text, each as its parts: a mark inside a word does not break it."""
    word: list[Painted] = []
    for piece, painted in _pieces(text, paint, ink):
        for part in re.split(r"(\s+)", piece):
            if part and not part.isspace():
                word.append((part, painted))
            elif part and word:
                yield word
                word = []
    if word:
        yield word


def _pieces(text: str, paint: Paint, ink: Ink) -> Iterator[Painted]:
    at = 0
    for found in _INLINE.finditer(text):
        yield text[at : found.start()], paint
        at = found.end()
        if found["coded"] is not None:
            coded = found["coded"].strip()
            yield (coded if ink.coloured else f"`{coded}`"), ink.command
        elif found["label"] is not None:
            yield from _pieces(found["label"], paint, ink)
            if "://" in found["url"]:
                yield f" ({found['url']})", ink.dim
        elif found["bold"] is not None:
            yield from _pieces(found["bold"], ink.bold, ink)
        elif found["escaped"] is not None:
            yield found["escaped"], paint
        else:
            yield from _pieces(found["star"] or found["under"], ink.italic, ink)
    yield text[at:], paint


def _plain(text: str, ink: Ink) -> str:
    """The text as it will be shown, without paint."""
    return "".join(piece for piece, _ in _pieces(text, _as_is, ink))


def _bare(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def _length(text: str) -> int:
    """Columns that the text takes."""
    return len(text) + sum(east_asian_width(char) in "WF" for char in text)


def _as_is(text: str) -> str:
    return text
