"""Confine a host from inside: a process tree and a view of the files of its own, no capabilities, few system calls.

The last of three walls, and the innermost. `sandbox.py` has put the hosts' warm parent behind the first (bubblewrap: no
network, no files but the interpreter's and the scratch space); `process.py` sets the limits; this separates the hosts
from each other, from the next life of the same host, and from the parent. Linux, on x86-64 and AArch64.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Sequence
from typing import NamedTuple

VIEW = "/view"
"""An empty folder that `sandbox.py` makes: where a host's files are put together."""

_VIEW_SIZE = "size=64m,nr_inodes=8192"
"""Of what a host may write beside its data folder: /tmp and /dev/shm."""

_DISKS_SIZE = "size=640m,nr_inodes=32768"

_PACKAGE = os.path.dirname(os.path.dirname(__file__))
_HIDDEN = [each.path for each in os.scandir(_PACKAGE) if each.is_dir() and each.name not in ("host", "__pycache__")]
"""What no host needs of our own package: the worlds know what their models and providers will answer."""

_NEWNS, _NEWPID = 0x0002_0000, 0x2000_0000
_RDONLY, _NOSUID, _NODEV, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)
_own_tree: int | None = None


class CannotConfine(Exception):
    """The machine does not allow it, or is not known: a fault of ours, never of whoever is confined."""


def new_process_tree() -> None:
    """The next fork of this process is the first process of a tree of its own: with it, all below it ends."""
    global _own_tree
    if _own_tree is None:
        _own_tree = os.pidfd_open(os.getpid())
    _call("setns", _libc.setns(_own_tree, _NEWPID))
    _call("unshare", _libc.unshare(_NEWPID))


def limited_disk(folder: str) -> None:
    """From now on `folder` is a file system of its own, empty and of limited size. For the trusted side."""
    _mount("none", folder, "tmpfs", _NOSUID | _NODEV, _DISKS_SIZE)


def enter(system: Sequence[str], readable: Sequence[str], writable: Sequence[str]) -> None:
    """From now on this process sees `system` and `readable` as they are, without writing, `writable`, and nothing else.

    Absolute paths of folders, but in `system` also of files; our own package is below one of those, and of its folders
    this one alone is seen. Then it gives up all that would let it out again. Raises CannotConfine.
    """
    program = _filter()
    _call("unshare", _libc.unshare(_NEWNS))
    _mount("none", "/", None, _REC | _PRIVATE)
    _mount("none", VIEW, "tmpfs", _NOSUID | _NODEV, _VIEW_SIZE)
    for path in system:
        _bind(path, _REC)
    for path in _HIDDEN:
        _mount("none", VIEW + path, "tmpfs", _RDONLY | _NOSUID | _NODEV, "size=0")
    for path in readable:
        _bind(path)
        _mount("none", VIEW + path, None, _BIND | _REMOUNT | _RDONLY | _NOSUID | _NODEV)
    for path in writable:
        _bind(path)
    for path in ("/tmp", "/dev/shm"):
        os.makedirs(VIEW + path, exist_ok=True)
    os.chdir(VIEW)
    _call("pivot_root", _libc.syscall(_machine().pivot_root, b".", b"."))
    _call("umount2", _libc.umount2(b".", _DETACH))
    os.chdir("/")
    _give_up_capabilities()
    _install(program)


def _bind(path: str, flags: int = 0) -> None:
    if os.path.isdir(path):
        os.makedirs(VIEW + path, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(VIEW + path), exist_ok=True)
        with open(VIEW + path, "x"):
            pass
    _mount(path, VIEW + path, None, _BIND | flags)


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags), data.encode()
    )
    _call(f"mount {target}", result)


def _give_up_capabilities() -> None:
    """All of them, for good: there is no way back without a new program, and that is refused below."""
    header = struct.pack("Ii", 0x2008_0522, 0)  # version 3, this process
    _call("capset", _libc.syscall(_machine().capset, header, bytes(24)))
    _call("prctl", _libc.prctl(38, 1, 0, 0, 0))  # no new privileges


def _call(what: str, result: int) -> None:
    if result < 0:
        raise CannotConfine(f"{what}: {os.strerror(ctypes.get_errno())}")


# ------------------------------------------------------------------------------------------------ system calls


class _Machine(NamedTuple):
    """Numbers of system calls, which differ from machine to machine."""

    audit: int  # AUDIT_ARCH_…
    pivot_root: int
    capset: int
    seccomp: int
    clone: int
    refused: tuple[int, ...]
    absent: tuple[int, ...]  # "no such call": the C library knows another way


# fmt: off
_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000_003E, pivot_root=155, capset=126, seccomp=317, clone=56, absent=(435,),
        refused=(
            41,             # socket; what a service needs comes as socketpair
            57, 58, 59, 322,  # fork, vfork, execve, execveat
            101, 310, 311, 312,  # ptrace, process_vm_readv, process_vm_writev, kcmp
            434, 438, 203,  # pidfd_open, pidfd_getfd, sched_setaffinity
            272, 308, 161, 155, 165, 166,  # unshare, setns, chroot, pivot_root, mount, umount2
            428, 429, 430, 431, 432, 433, 442,  # open_tree, move_mount, fs…, mount_setattr
            303, 304, 133, 259,  # name_to_handle_at, open_by_handle_at, mknod, mknodat
            319, 447,       # memfd_create, memfd_secret
            29, 30, 31, 67, 64, 65, 66, 68, 69, 70, 71, 240,  # SysV shm, sem and msg; mq_open
            248, 249, 250,  # add_key, request_key, keyctl
            298, 321, 323, 425, 426, 427,  # perf_event_open, bpf, userfaultfd, io_uring
            135, 246, 320, 175, 313, 176, 169, 167, 168,  # personality, kexec, modules, reboot, swap
            164, 227, 305, 159, 153, 163, 179, 103,  # clocks, vhangup, acct, quotactl, syslog
        ),
    ),
    "aarch64": _Machine(
        audit=0xC000_00B7, pivot_root=41, capset=91, seccomp=277, clone=220, absent=(435,),
        refused=(
            198,
            221, 281,
            117, 270, 271, 272,
            434, 438, 122,
            97, 268, 51, 41, 40, 39,
            428, 429, 430, 431, 432, 433, 442,
            264, 265, 33,
            279, 447,
            194, 195, 196, 197, 190, 191, 192, 193, 186, 187, 188, 189, 180,
            217, 218, 219,
            241, 280, 282, 425, 426, 427,
            92, 104, 294, 105, 273, 106, 142, 224, 225,
            170, 112, 266, 171, 58, 89, 60, 116,
        ),
    ),
}
# fmt: on

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
_EPERM, _ENOSYS = 1, 38
_CLONE_THREAD = 0x0001_0000


def _machine() -> _Machine:
    try:
        return _MACHINES[platform.machine()]
    except KeyError:
        raise CannotConfine(f"its system calls are not known for {platform.machine()}") from None


def _filter() -> bytes:
    """The filter of system calls as a classic BPF program: what is refused, and the rest is allowed.

    An instruction: code, jump if true, jump if false, constant. The data: number, architecture, and the arguments.
    """
    machine = _machine()
    refused = [number for number in machine.refused if number != machine.clone]
    checks: list[tuple[int, int, int, int]] = []
    for number in machine.absent:
        checks += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for number in refused:
        checks += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    program = [
        (_LOAD, 0, 0, 4),
        (_JUMP_IF_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_JUMP_IF_SET, 0, 1, 0x4000_0000),  # x32, another way to the same calls
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        *checks,
        (_JUMP_IF_EQUAL, 1, 0, machine.clone),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, 16),  # clone: a thread may be made, a process may not
        (_JUMP_IF_SET, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def _install(program: bytes) -> None:
    buffer = ctypes.create_string_buffer(program, len(program))
    descriptor = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    # 1: SECCOMP_SET_MODE_FILTER, for all threads that there are
    _call("seccomp", _libc.syscall(_machine().seccomp, 1, 1, descriptor))


def main() -> None:
    """`python -m grader.host.confine SYSTEM…`: confine a process once, behind bubblewrap, to see whether that works."""
    new_process_tree()
    pid = os.fork()
    if pid == 0:
        try:
            enter(sys.argv[1:], [], [])
        except CannotConfine as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main()
