"""What was handed in: folders, archives and git clones become submissions, made of plain files, and nothing is run.

Of each, only the learner's own files of one group are taken: regular files, by the group's patterns, up to caps. What
else is odd about it (links, devices, names that leave the folder, too much of anything) is named, never followed, and
left out. Archives are read entry by entry, and never unpacked as they say.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import re
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, cast

from grader.curriculum import Group, Trouble

MOST_ENTRIES = 20_000  # of one submission
MOST_DEPTH = 12  # folders above a file
MOST_FILES = 300  # that are taken
MOST_BYTES_OF_A_FILE = 512 * 1024
MOST_BYTES = 4 * 1024 * 1024  # of all that are taken
MOST_UNPACKED = 64 * 1024 * 1024  # of a tarball
MOST_NAME = 120  # characters of a file's name
MOST_ODD = 20  # oddities that are named

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_PASSED_OVER = {".git", "__pycache__", "__MACOSX", ".venv", "venv", "node_modules", ".learn", ".pytest_cache"}
_GROUP_FOLDER = re.compile(r"group-\d+(-.*)?$")


class NothingHandedIn(Trouble):
    """The paths name no submission."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What one learner has handed in. `files`: names relative to the group's folder, and their bytes."""

    name: str
    files: Mapping[str, bytes]
    odd: tuple[str, ...] = ()  # what was left out, and why

    @property
    def digest(self) -> str:
        """The same work has the same, whatever it is called."""
        return digest_of(self.files)


def digest_of(files: Mapping[str, bytes]) -> str:
    """SHA-256 of files by name."""
    whole = hashlib.sha256()
    for name, data in sorted(files.items()):
        whole.update(f"{len(name.encode())}:{len(data)}:".encode() + name.encode() + data)
    return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file of a submission: where it lies in there, and how to read at most so many bytes of it."""

    path: PurePosixPath
    read: Callable[[int], bytes]


def collect(paths: Sequence[Path], group: Group) -> list[Submission]:
    """The submissions that the paths name, by name: each is one, or a folder of them. Raises NothingHandedIn."""
    found: dict[str, Submission] = {}
    for path in _sources(paths, group):
        name = _name_of(path)
        while name in found:
            name += "+"
        found[name] = _take(name, path, group)
    if not found:
        raise NothingHandedIn(f"there is nothing to grade in {', '.join(map(str, paths))}", "learn grade --help")
    return [found[name] for name in sorted(found)]


def _sources(paths: Sequence[Path], group: Group) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise NothingHandedIn(f"there is no {path}", "learn grade --help")
        if not path.is_dir() and not path.name.lower().endswith(_ARCHIVES):
            what = f"{path} is no submission: no folder, and none of {' '.join(_ARCHIVES)}"
            raise NothingHandedIn(what, "learn grade --help")
        if not path.is_dir() or _is_submission(path, group):
            yield path
            continue
        for child in sorted(path.iterdir()):
            if not child.name.startswith(".") and (child.is_dir() or child.name.lower().endswith(_ARCHIVES)):
                yield child


def _is_submission(folder: Path, group: Group) -> bool:
    """Does the folder itself hold the group's files, at a place of its own choosing, rather than submissions?"""
    return bool(group.own_files(folder)) or (folder / "groups" / group.folder).is_dir() or (folder / ".git").exists()


def _name_of(path: Path) -> str:
    lower = path.name.lower()
    ending = next((each for each in sorted(_ARCHIVES, key=len, reverse=True) if lower.endswith(each)), "")
    return path.name[: len(path.name) - len(ending)] or path.name


def _take(name: str, path: Path, group: Group) -> Submission:
    odd: list[str] = []
    if _GROUP_FOLDER.match(name) and name != group.folder:
        return Submission(name, {}, ("it is another group's",))
    try:
        entries = list(_entries(path, odd))
    except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        why = (str(error).splitlines() or ["no reason is known"])[0]
        return Submission(name, {}, (f"it cannot be read: {why}",))
    base = _base(entries, group, odd)
    files: dict[str, bytes] = {}
    taken = 0
    for entry in entries:
        inside = _below(entry.path, base) if base is not None else None
        if inside is None or not group.is_own(inside):
            continue
        if inside in files:
            odd.append(f"{inside} is in it twice: the first counts")
            continue
        if len(files) >= MOST_FILES:
            odd.append(f"it has more than {MOST_FILES} files: the rest is left out")
            break
        try:
            data = entry.read(MOST_BYTES_OF_A_FILE + 1)
        except (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError, NotImplementedError) as error:
            odd.append(f"{inside} cannot be read: {error}")
            continue
        if len(data) > MOST_BYTES_OF_A_FILE:
            odd.append(f"{inside} has more than {MOST_BYTES_OF_A_FILE // 1024} KiB: left out")
            continue
        taken += len(data)
        if taken > MOST_BYTES:
            odd.append(f"it has more than {MOST_BYTES // 1024**2} MiB: the rest is left out")
            break
        files[inside] = data
    if not files:
        odd.append(f"there are no files of {group.folder} in it")
    more = len(odd) - MOST_ODD
    return Submission(name, files, (*odd[:MOST_ODD], *([f"and {more} more"] if more > 0 else [])))


def _base(entries: Iterable[_Entry], group: Group, odd: list[str]) -> PurePosixPath | None:
    """The folder in there that stands for the group's: called like it, or else the one nearest to the top."""
    counts: dict[PurePosixPath, int] = {}
    for entry in entries:
        for base in entry.path.parents:
            inside = _below(entry.path, base)
            if inside is not None and group.is_own(inside):
                counts[base] = counts.get(base, 0) + 1
    strange = {base for base in counts if _GROUP_FOLDER.match(base.name) and base.name != group.folder}
    odd += [f"{base} is another group's: left out" for base in sorted(strange)]
    known = [base for base in counts if not any(each == base or each in base.parents for each in strange)]
    if not known:
        return None
    chosen = min(known, key=lambda base: (base.name != group.folder, len(base.parts), -counts[base], str(base)))
    others = [base for base in known if len(base.parts) == len(chosen.parts) and base.name == chosen.name]
    if len(others) > 1:
        odd.append(f"it holds the group {len(others)} times: {chosen} counts")
    return chosen


def _below(path: PurePosixPath, base: PurePosixPath) -> str | None:
    try:
        return path.relative_to(base).as_posix()
    except ValueError:
        return None


# ------------------------------------------------------------------------------------------------ what is in there


def _entries(path: Path, odd: list[str]) -> Iterator[_Entry]:
    """The regular files in a folder or an archive whose names are sound. What is not goes to `odd`."""
    if path.is_symlink():
        odd.append("it is a link: not followed")
        return
    if path.is_dir():
        found = _in_folder(path, odd)
    elif zipfile.is_zipfile(path):
        found = _in_zip(zipfile.ZipFile(path), odd)
    else:
        found = _in_tar(tarfile.open(fileobj=io.BytesIO(_unpacked(path))), odd)  # noqa: SIM115 - in memory
    for count, (name, read) in enumerate(found):
        if count >= MOST_ENTRIES:
            odd.append(f"it has more than {MOST_ENTRIES} entries: the rest is left out")
            return
        sound = _sound(name, odd)
        if sound is not None:
            yield _Entry(sound, read)


def _sound(name: str, odd: list[str]) -> PurePosixPath | None:
    """The path that a name in an archive means, if it is one below its root that we would write down ourselves."""
    name = unicodedata.normalize("NFC", name.replace("\\", "/"))
    path = PurePosixPath(name)
    if _PASSED_OVER & set(path.parts):
        return None
    shown = ascii(name)[1:-1][:80]
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        odd.append(f"{shown} leads out of it: left out")
    elif any(unicodedata.category(letter).startswith("C") for letter in name):
        odd.append(f"{shown} has letters that cannot be seen: left out")
    elif len(path.parts) > MOST_DEPTH or any(len(part) > MOST_NAME for part in path.parts):
        odd.append(f"{shown}… is too long: left out")
    else:
        return path
    return None


def _in_folder(top: Path, odd: list[str]) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    for where, folders, names in os.walk(top, followlinks=False):
        here = Path(where)
        links = [here / each for each in folders if (here / each).is_symlink()]
        odd += [f"{_shown(link, top)} is a link: not followed" for link in links]
        folders[:] = sorted(each for each in folders if each not in _PASSED_OVER and not (here / each).is_symlink())
        for name in sorted(names):
            file = here / name
            kind = file.lstat().st_mode
            if stat.S_ISLNK(kind):
                odd.append(f"{_shown(file, top)} is a link: not followed")
            elif not stat.S_ISREG(kind):
                odd.append(f"{_shown(file, top)} is no file: left out")
            elif file.lstat().st_nlink > 1:
                odd.append(f"{_shown(file, top)} is a hard link: left out")
            else:
                yield file.relative_to(top).as_posix(), partial(_read, file)


def _read(file: Path, most: int) -> bytes:
    """Without following a link that has taken its place meanwhile."""
    with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        return stream.read(most)


def _shown(file: Path, top: Path) -> str:
    return ascii(file.relative_to(top).as_posix())[1:-1][:80]


def _in_zip(archive: zipfile.ZipFile, odd: list[str]) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    for info in archive.infolist():
        kind = info.external_attr >> 16
        if info.is_dir():
            continue
        if kind and not stat.S_ISREG(kind) and stat.S_IFMT(kind):
            odd.append(f"{ascii(info.filename)[1:-1][:80]} is no file: left out")
        elif info.flag_bits & 1:
            odd.append(f"{ascii(info.filename)[1:-1][:80]} is encrypted: left out")
        else:
            yield info.filename, partial(_read_zipped, archive, info)


def _read_zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    with archive.open(info) as stream:
        return stream.read(most)


def _unpacked(path: Path) -> bytes:
    """A tarball's bytes. Raises ValueError if they are too many."""
    with path.open("rb") as raw:
        head = raw.read(6)
        raw.seek(0)
        stream: IO[bytes] = raw
        if head.startswith(b"\x1f\x8b"):
            stream = cast(IO[bytes], gzip.GzipFile(fileobj=raw))
        elif head.startswith(b"BZh"):
            stream = cast(IO[bytes], bz2.BZ2File(raw))
        elif head.startswith(b"\xfd7zXZ\0"):
            stream = cast(IO[bytes], lzma.LZMAFile(raw))  # noqa: SIM115 - `raw` is closed
        data = stream.read(MOST_UNPACKED + 1)
    if len(data) > MOST_UNPACKED:
        raise ValueError(f"it unpacks to more than {MOST_UNPACKED // 1024**2} MiB")
    return data


def _in_tar(archive: tarfile.TarFile, odd: list[str]) -> Iterator[tuple[str, Callable[[int], bytes]]]:
    for info in archive:
        if info.isdir():
            continue
        if not info.isreg():
            odd.append(f"{ascii(info.name)[1:-1][:80]} is no file: left out")
        else:
            yield info.name, partial(_read_tarred, archive, info)


def _read_tarred(archive: tarfile.TarFile, info: tarfile.TarInfo, most: int) -> bytes:
    stream = archive.extractfile(info)
    return stream.read(most) if stream else b""
