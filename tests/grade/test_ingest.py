"""What is taken of what was handed in: the same files, in whatever form they come. Attacks are in tests/attacks/."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.curriculum import Group
from grader.grade import ingest
from grader.grade.ingest import NothingHandedIn, Submission, collect
from tests.attacks.target import make

FILES = {"service/app.py": b"# one\n", "service/patterns/lid.py": b"# two\n"}


@pytest.fixture
def group(tmp_path: Path) -> Group:
    return make(tmp_path / "workspace")


def folder(at: Path, files: Mapping[str, bytes] = FILES) -> Path:
    for name, data in files.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_bytes(data)
    return at


def zipped(at: Path, files: Mapping[str, bytes] = FILES) -> Path:
    with zipfile.ZipFile(at, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return at


def tarred(at: Path, kind: str, files: Mapping[str, bytes] = FILES) -> Path:
    with tarfile.open(at, f"w:{kind}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return at


def only(found: list[Submission]) -> Submission:
    (submission,) = found
    return submission


def below(name: str, files: Mapping[str, bytes] = FILES) -> dict[str, bytes]:
    return {f"{name}/{file}": data for file, data in files.items()}


def test_the_same_work_is_the_same_in_every_form(tmp_path: Path, group: Group) -> None:
    handed = tmp_path / "in"
    handed.mkdir()
    folder(handed / "a-folder")
    folder(handed / "b-whole-workspace", below(f"groups/{group.folder}") | {"README.md": b"mine"})
    folder(handed / "c-nested", below("homework/final/v2"))
    folder(handed / "d-clone", below(f"groups/{group.folder}") | {".git/config": b"[core]"})
    zipped(handed / "e.zip")
    zipped(handed / "f.ZIP", below(f"ada/{group.folder}") | {"__MACOSX/service/app.py": b"junk"})
    for number, (ending, kind) in enumerate([("tar", ""), ("tar.gz", "gz"), ("tgz", "gz"), ("tar.bz2", "bz2")]):
        tarred(handed / f"g{number}.{ending}", kind)
    tarred(handed / "h.tar.xz", "xz", below("x"))
    found = collect([handed], group)
    assert [each.name for each in found] == [
        *("a-folder", "b-whole-workspace", "c-nested", "d-clone", "e", "f", "g0", "g1", "g2", "g3", "h")
    ]
    assert {each.digest for each in found} == {found[0].digest}
    assert dict(found[0].files) == FILES
    assert not [each.odd for each in found if each.odd]


def test_a_folder_that_is_a_submission_is_one(tmp_path: Path, group: Group) -> None:
    work = folder(tmp_path / "ada")
    assert only(collect([work], group)).name == "ada"
    clone = folder(tmp_path / "bob", below(f"groups/{group.folder}") | {".git/config": b"[core]"})
    assert only(collect([clone], group)).files == FILES


def test_the_folder_of_another_group_is_not_this_one_s(tmp_path: Path, group: Group) -> None:
    submission = only(collect([folder(tmp_path / "group-02-other")], group))
    assert (submission.files, submission.odd) == ({}, ("it is another group's",))
    assert only(collect([folder(tmp_path / group.folder)], group)).files == FILES


def test_two_of_one_name_stay_two(tmp_path: Path, group: Group) -> None:
    folder(tmp_path / "monday" / "ada")
    zipped(tmp_path / "ada.zip", {"service/app.py": b"# other\n"})
    found = collect([tmp_path / "monday" / "ada", tmp_path / "ada.zip"], group)
    assert [each.name for each in found] == ["ada", "ada+"]
    assert found[0].digest != found[1].digest


def test_one_byte_more_is_another_work(tmp_path: Path, group: Group) -> None:
    one = only(collect([folder(tmp_path / "a")], group))
    two = only(collect([folder(tmp_path / "b", FILES | {"service/app.py": b"# one\n "})], group))
    assert one.digest != two.digest


def test_what_only_moves_between_files_is_another_work() -> None:
    one = Submission("a", {"service/a.py": b"xy", "service/b.py": b""})
    two = Submission("a", {"service/a.py": b"x", "service/b.py": b"y"})
    assert one.digest != two.digest


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, group: Group) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.zip", "b.tar.gz", "c.tar"):
        (tmp_path / "in" / name).write_bytes(b"what is this?" * 100)
    whole = zipped(tmp_path / "whole.zip").read_bytes()
    (tmp_path / "in" / "d.zip").write_bytes(whole[: len(whole) // 2])
    for submission in collect([tmp_path / "in"], group):
        assert not submission.files
        assert submission.odd[0].startswith("it cannot be read: "), submission


def test_a_file_that_is_in_it_twice_counts_once(tmp_path: Path, group: Group) -> None:
    with zipfile.ZipFile(tmp_path / "ada.zip", "w") as archive:
        archive.writestr("service/app.py", "# one\n")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("service/app.py", "# two\n")
    submission = only(collect([tmp_path / "ada.zip"], group))
    assert submission.files == {"service/app.py": b"# one\n"}
    assert submission.odd == ("service/app.py is in it twice: the first counts",)


def test_an_encrypted_file_is_left_out(tmp_path: Path, group: Group) -> None:
    data = bytearray(zipped(tmp_path / "ada.zip").read_bytes())
    for at in (data.find(b"PK\3\4") + 6, data.find(b"PK\1\2") + 8):
        data[at] |= 1
    (tmp_path / "ada.zip").write_bytes(data)
    submission = only(collect([tmp_path / "ada.zip"], group))
    assert set(submission.files) == {"service/patterns/lid.py"}
    assert "service/app.py is encrypted: left out" in submission.odd


def test_caps_cut_off_and_say_so(tmp_path: Path, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    work = folder(tmp_path / "ada", {f"service/{number}.py": b"x" * 100 for number in range(10)})

    def taken(cap: str, value: int) -> tuple[int, str]:
        with monkeypatch.context() as patch:
            patch.setattr(ingest, cap, value)
            submission = only(collect([work], group))
        return len(submission.files), " ".join(submission.odd)

    assert taken("MOST_FILES", 4) == (4, "it has more than 4 files: the rest is left out")
    assert taken("MOST_BYTES_OF_A_FILE", 10)[0] == 0
    assert taken("MOST_BYTES", 350)[0] == 3
    assert taken("MOST_ENTRIES", 6) == (6, "it has more than 6 entries: the rest is left out")
    assert taken("MOST_NAME", 4)[0] == 0


def test_nothing_is_not_a_batch(tmp_path: Path, group: Group) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingHandedIn, match="nothing to grade"):
        collect([tmp_path / "empty"], group)
    with pytest.raises(NothingHandedIn, match="there is no"):
        collect([tmp_path / "nowhere"], group)


names = st.lists(st.sampled_from(["service", "app.py", "x", ".hidden.py", "a.py", "b.txt"]), min_size=1, max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(paths=st.lists(names.map("/".join), min_size=1, max_size=6))
def test_ingest_and_the_group_agree_whose_files_are_whose(
    tmp_path_factory: pytest.TempPathFactory, group: Group, paths: list[str]
) -> None:
    """One asks with regular expressions, the other the file system."""
    at = tmp_path_factory.mktemp("agree")
    made = []
    for path in paths:
        try:
            folder(at, {path: b"x"})
        except OSError:  # a file is in the way of a folder
            continue
        made.append(path)
    assert group.own_files(at) == sorted({path for path in made if group.is_own(path)})
