"""Work that nobody trusts: what it sees of the machine, what it can do there, and what outlives it."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import sys
from pathlib import Path

import pytest

from grader import curriculum, sandbox, suite
from grader.host import confine
from grader.outcome import TestOutcome, Verdict
from tests import workspaces
from tests.sandboxed import needs_sandbox


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="namespaces are Linux's")
def test_where_the_machine_gives_namespaces_there_is_a_sandbox() -> None:
    """So a fault of ours in the sandbox is red here, and does not pass for a machine that has none."""
    pid = os.fork()
    if pid == 0:
        os._exit(ctypes.CDLL(None).unshare(0x1002_0000) & 1)  # users and mounts
    gives = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (sandbox.refusal() == "") is gives, sandbox.refusal()


SECRET = "the grade book"

APP = """
import json, os, socket, subprocess, sys, threading
from fastapi import FastAPI

def told(what):
    try:
        return what()
    except BaseException as error:
        return type(error).__name__

def create_app():
    app = FastAPI()

    @app.get("/look")
    def look():
        {look}

    return app
"""


@pytest.fixture
def group(tmp_path: Path) -> curriculum.Group:
    """A group with one test: GET /look answers, and the test fails with what it says."""
    return workspaces.add_group_that_looks(tmp_path)


def look(group: curriculum.Group, body: str) -> TestOutcome:
    (group.path / "service" / "app.py").write_text(APP.replace("{look}", body.replace("\n", "\n        ")))
    outcome = suite.run(group, root=group.path, pristine=group.path, seed=1)
    assert not outcome.ours, outcome.ours
    (test,) = outcome.tests
    return test


def seen(group: curriculum.Group, body: str) -> object:
    """What GET /look says."""
    test = look(group, body)
    assert test.failure is not None, test
    assert test.failure.code == "seen", test.failure
    return json.loads(test.failure.sees)


@needs_sandbox
def test_a_host_sees_its_own_code_and_disk_and_the_interpreter(group: curriculum.Group, tmp_path: Path) -> None:
    (tmp_path / "grades.csv").write_text(SECRET)
    body = f"""
    def tree(top):
        for where, folders, names in os.walk(top):
            folders[:] = [each for each in folders if not os.path.join(where, each).startswith(system)]
            yield from (os.path.join(where, name) for name in names)
    system = ("/usr", "/lib", "/bin", sys.prefix, sys.base_prefix)
    found = sorted(path for path in tree("/") if not path.startswith(system))
    return {{
        "files": [path for path in found if "/grader/" not in path and not path.startswith("/etc/")],
        "root": sorted(os.listdir("/")),
        "grades": os.path.exists({str(tmp_path / "grades.csv")!r}),
        "processes": told(lambda: os.listdir("/proc")),
        "environment": sorted(os.environ),
    }}"""
    found = seen(group, body)
    assert isinstance(found, dict)
    assert not found["grades"]
    assert found["processes"] == "FileNotFoundError"
    assert found["environment"] == ["DATA_DIR", "HOME", "LANG", "PATH", "TZ"]
    names = {Path(path).name for path in found["files"] if "__pycache__" not in path}
    assert names == {"__init__.py", "app.py", "lid.py", "whistle.py", "null", "zero", "full", "random", "urandom"}


@needs_sandbox
def test_a_host_writes_its_disk_and_a_little_elsewhere(group: curriculum.Group) -> None:
    body = """
    def write(path, size=1):
        with open(path, "wb") as file:
            if size:
                os.posix_fallocate(file.fileno(), 0, size * 2**20)
        return "written"
    many = os.path.join(os.environ["DATA_DIR"], "many")
    os.makedirs(many, exist_ok=True)
    return {
        "code": told(lambda: write(__file__)),
        "usr": told(lambda: write("/usr/x")),
        "root": told(lambda: write("/x")),
        "disk": told(lambda: write(os.environ["DATA_DIR"] + "/x")),
        "tmp": told(lambda: write("/tmp/x")),
        "a lot": told(lambda: [write(f"{many}/{at}", 50) for at in range(16)]),
        "elsewhere": told(lambda: [write(f"/tmp/{at}", 50) for at in range(4)]),
        "files": told(lambda: [write(f"/tmp/n{at}", 0) for at in range(20_000)]),
    }"""
    found = seen(group, body)
    assert found == {
        "code": "OSError",
        "usr": "OSError",
        "root": "written",  # a file system of its own, which ends with it
        "disk": "written",
        "tmp": "written",
        "a lot": "OSError",
        "elsewhere": "OSError",
        "files": "OSError",
    }


@needs_sandbox
def test_a_host_reaches_nobody(group: curriculum.Group) -> None:
    body = """
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    def call(name, *args):
        return getattr(libc, name)(*args)
    return {
        "tcp": call("socket", 2, 1, 0),
        "udp": call("socket", 2, 2, 0),
        "unix": call("socket", 1, 1, 0),
        "pair": told(lambda: len(socket.socketpair())),
        "fork": call("fork"),
        "unshare": call("unshare", 0x10000000),
        "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "ptrace": call("ptrace", 16, 1, 0, 0),
        "memfd": call("memfd_create", b"x", 0),
        "shm": call("shmget", 1, 4096, 0o1600),
        "parent": call("getppid"),
        "kill": call("kill", -1, 0),
        "thread": told(lambda: threading.Thread(target=print).start()),
        "bpf": call("syscall", 321, 0, 0, 0),
    }"""
    found = seen(group, body)
    assert isinstance(found, dict)
    assert found.pop("pair") == 2
    assert found.pop("thread") is None
    assert found.pop("parent") == 0  # it is the first process of its tree
    assert set(found.values()) == {-1}


@needs_sandbox
def test_what_is_left_behind_ends_with_its_host(group: curriculum.Group) -> None:
    """A second life of a host finds its disk, and nothing else of the first."""
    body = """
    import ctypes
    here = {"disk": os.environ["DATA_DIR"] + "/kept", "tmp": "/tmp/kept", "shm": "/dev/shm/kept", "root": "/kept"}
    before = {name: os.path.exists(path) for name, path in here.items()}
    for path in here.values():
        open(path, "w").close()
    return before"""
    test = look(group, body)
    assert test.failure is not None
    assert json.loads(test.failure.sees) == {"disk": True, "tmp": False, "shm": False, "root": False}


@needs_sandbox
def test_memory_that_no_limit_of_python_knows_of_is_limited(group: curriculum.Group) -> None:
    body = """
    import mmap
    kept = []
    def fill():
        while True:
            kept.append(mmap.mmap(-1, 2**28))
    return told(fill)"""
    assert seen(group, body) == "OSError"


@needs_sandbox
def test_who_ends_himself_is_an_outcome(group: curriculum.Group) -> None:
    for body in ("import ctypes\nctypes.string_at(0)", "os.abort()", "import ctypes\nctypes.CDLL(None)._exit(0)"):
        test = look(group, body)
        assert test.verdict in (Verdict.LEARNER_ERROR, Verdict.TAMPERED), test
        assert test.failure is not None
        assert test.failure.code in ("killed", "exit"), test.failure


def test_without_a_sandbox_it_is_said_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sandbox, "refusal", sandbox.refusal.__wrapped__)
    monkeypatch.setattr(sandbox, "_bubblewrap", lambda: "/bin/false")
    assert sandbox.refusal() == "bubblewrap does not start: it ends with 1"
    broken = tmp_path / "bwrap"
    broken.write_text('#!/bin/sh\necho "$0: error while loading shared libraries: libcap.so.2" >&2\nexit 127\n')
    broken.chmod(0o755)
    monkeypatch.setattr(sandbox, "_bubblewrap", lambda: str(broken))
    said = "bubblewrap does not start: error while loading shared libraries: libcap.so.2"
    assert sandbox.refusal() == said
    monkeypatch.setattr(sandbox, "_bubblewrap", lambda: "/nonexistent/bwrap")
    assert sandbox.refusal().startswith("bubblewrap does not start")
    monkeypatch.setattr(platform, "machine", lambda: "mips")
    with pytest.raises(confine.CannotConfine, match="not known for mips"):
        confine._machine()
