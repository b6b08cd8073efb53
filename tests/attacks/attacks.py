"""The attacks: what each tries in one sentence, and the work that tries it.

By number: the entries of the list that the graders of others fell to, one to 34; from 50 on, our own.
"""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.attacks.target import HONEST, app

GRADER = "from grader.host.kernel import kernel; from grader import wire; link = kernel.link"


@dataclass(frozen=True)
class Attack:
    """`files` are handed in below service/; or `build` makes what is handed in at the path that it is given."""

    name: str
    tries: str
    files: dict[str, str | bytes] = field(default_factory=dict)
    build: Callable[[Path], Path] | None = None
    earns: int = HONEST  # tests; at most
    least: int = 0


def code(name: str, tries: str, *, earns: int = HONEST, least: int = 0, **where: str) -> Attack:
    return Attack(name, tries, {"app.py": app(**where)}, earns=earns, least=least)


def safely(body: str) -> str:
    """Whatever it raises, the service goes on."""
    inside = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return f"try:\n{inside}\nexcept BaseException:\n    pass"


INTERPRETER = [
    code("01-os-exit", "ends its process with status 0, as a run that passed would", at_import="os._exit(0)"),
    code("01-sys-exit", "raises SystemExit(0) in a handler", in_handler="sys.exit(0)", earns=0),
    code("01-system-exit", "raises SystemExit at import", at_import="raise SystemExit(0)"),
    code(
        "02-atexit",
        "writes another report when its process ends",
        at_import='import atexit\natexit.register(lambda: open("/tmp/report", "w").write("4 passed"))',
        least=HONEST,
    ),
    code(
        "02-execv",
        "becomes another program that prints what a green run prints",
        at_import=safely('os.execv("/bin/sh", ["sh", "-c", "echo 4 passed; exit 0"])'),
    ),
    code(
        "03-pytest",
        "replaces what pytest makes of a failure",
        at_import=safely(
            "import _pytest.reports, _pytest.runner\n"
            "_pytest.reports.TestReport.from_item_and_call = classmethod(lambda *a: None)\n"
            "_pytest.runner.CallInfo.from_call = classmethod(lambda *a, **k: None)"
        ),
        least=HONEST,
    ),
    code(
        "04-gc",
        "finds pytest's session and empties it",
        at_import=safely(
            "import gc\n"
            "for each in gc.get_objects():\n"
            "    if type(each).__name__ == 'Session':\n"
            "        each.items, each.testsfailed = [], 0"
        ),
        least=HONEST,
    ),
    code(
        "05-read-the-tests",
        "reads the tests and the solutions from the disk, and answers with what it finds",
        in_handler=safely(
            "for top in ('/', os.getcwd(), os.path.dirname(os.getcwd())):\n"
            "    for where, folders, names in os.walk(top):\n"
            "        if where in ('/usr', sys.base_prefix):\n"
            "            folders.clear()  # large, and the system's\n"
            "        for name in names:\n"
            "            if name.startswith('test_kettle') or name == 'group.toml':\n"
            "                return {'found': os.path.join(where, name)}"
        ),
        least=HONEST,
    ),
    code(
        "05-walk-the-frames",
        "looks for what is expected in all frames and objects",
        in_handler=safely(
            "import gc\n"
            "for each in gc.get_objects():\n"
            "    if isinstance(each, dict) and 'expected' in each:\n"
            "        return each['expected']"
        ),
        least=HONEST,
    ),
    code(
        "06-settrace",
        "changes the frames of the tests as they run",
        at_import="sys.settrace(lambda frame, event, arg: frame.f_locals.clear())",
    ),
    code(
        "07-liar",
        "answers with numbers that are equal to everything",
        in_handler="class Liar(int):\n    __eq__ = __ge__ = __le__ = lambda *_: True\nbody = {'a': Liar(1), 'b': Liar(2)}",
        earns=0,
    ),
    code(
        "08-patched-modules",
        "patches httpx, time, random, json and asyncio, to forge what the outside sees",
        at_start=safely(
            "import asyncio, json, random, time, httpx\n"
            "time.time = time.monotonic = lambda: 0.0\n"
            "random.random = lambda: 0.5\n"
            "json.dumps = lambda *a, **k: '{\"sum\": 0}'\n"
            "httpx.AsyncClient.send = None\n"
            "asyncio.sleep = None"
        ),
    ),
    code(
        "09-test-or-production",
        "behaves only where it believes to be tested",
        in_handler="if 'PYTEST_CURRENT_TEST' not in os.environ: return {'sum': 0}",
        earns=0,
    ),
    code(
        "10-table",
        "answers from a table of inputs that it has seen",
        in_handler="return {'sum': {1: 2}.get(body['a'])}",
        earns=0,
    ),
    code("11-segfault", "reads from address 0", in_handler="import ctypes\nctypes.string_at(0)", earns=0),
    code(
        "11-memory",
        "writes over its interpreter's objects",
        in_handler="import ctypes\nctypes.memset(id(0), 255, 64)",
    ),
    code("11-recursion", "recurs without end", in_handler="def f(): f()\nf()", earns=0),
    code(
        "12-thread",
        "goes on in a thread, which floods the link to the simulation",
        in_handler=safely(
            "import threading\n"
            "def flood():\n"
            "    while True: os.write(3, b'x' * 65536)\n"
            "threading.Thread(target=flood, daemon=True).start()"
        ),
    ),
    code("13-garbage", "sends what is no message", in_handler="os.write(3, b'\\xff' * 100_000)", earns=0),
    code(
        "13-huge", "announces a message of four gigabytes", in_handler="os.write(3, b'\\xff\\xff\\xff\\xff')", earns=0
    ),
    code(
        "13-another-request",
        "answers requests that were never sent",
        in_handler=safely(f"{GRADER}\nfor at in range(100): kernel.send(wire.Response(at, 200, [], b'{{}}'))"),
    ),
    code(
        "13-the-past",
        "claims a time that has passed",
        in_handler=safely(f"{GRADER}\nlink.send(wire.Idle(0, [], None))"),
    ),
    code(
        "13-our-fault",
        "says that the grader has failed",
        in_handler=safely(f"{GRADER}\nkernel.send(wire.Failed('ours', 'the grader failed', [], ''))"),
    ),
    code("14-busy", "computes for ever", in_handler="while True: pass", earns=0),
    code(
        "14-never-idle",
        "is never idle, and never done",
        in_handler="import asyncio\nwhile True: await asyncio.sleep(0)",
        earns=0,
    ),
    code(
        "14-in-c",
        "computes for ever in a library that holds the interpreter",
        in_handler="import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')",
        earns=0,
    ),
]


def beside(name: str, tries: str, extra: dict[str, str]) -> Attack:
    """Files beside service/, with the honest service."""

    def build(path: Path) -> Path:
        for file, text in ({"service/app.py": app()} | extra).items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_text(text, "utf-8")
        return path

    return Attack(name, tries, build=build, least=HONEST)


def zipped(entries: dict[str, bytes], *, links: dict[str, str] | None = None) -> Callable[[Path], Path]:
    def build(path: Path) -> Path:
        file = path.with_name(f"{path.name}.zip")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in entries.items():
                archive.writestr(name, data)
            for name, target in (links or {}).items():
                info = zipfile.ZipInfo(name)
                info.external_attr = 0o120777 << 16
                archive.writestr(info, target)
        return file

    return build


def tarred(*members: tuple[str, bytes, bytes, str]) -> Callable[[Path], Path]:
    """Members: name, type, data, what it links to."""

    def build(path: Path) -> Path:
        file = path.with_name(f"{path.name}.tar.gz")
        with tarfile.open(file, "w:gz") as archive:
            for name, kind, data, target in members:
                info = tarfile.TarInfo(name)
                info.type, info.size, info.linkname = kind, len(data), target
                archive.addfile(info, io.BytesIO(data))
        return file

    return build


def links(path: Path) -> Path:
    (path / "service").mkdir(parents=True)
    (path / "service" / "app.py").write_text(app(), "utf-8")
    (path / "service" / "passwd.py").symlink_to("/etc/passwd")
    (path / "service" / "more").symlink_to("/etc")
    os.mkfifo(path / "service" / "pipe.py")
    secret = path.parent / "secret.txt"
    secret.write_text("TOP = 'secret'")
    os.link(secret, path / "service" / "hard.py")
    return path


WHOLE = app().encode()
POISON = "raise SystemExit('poisoned')"

FILES = [
    beside(
        "15-configuration",
        "brings a configuration that deselects all tests",
        {
            "conftest.py": POISON,
            "service/../pytest.ini": "[pytest]\naddopts = --collect-only",
            "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-k nothing'",
            "tox.ini": "[pytest]\naddopts = -x",
            "setup.cfg": "[tool:pytest]\naddopts = -p no:grader",
        },
    ),
    beside(
        "16-site",
        "brings code that an interpreter runs at its start",
        {"sitecustomize.py": POISON, "usercustomize.py": POISON, "x.pth": "import os; os._exit(0)"},
    ),
    beside(
        "17-shadows",
        "brings modules that shadow the standard library and the grader",
        dict.fromkeys(("pytest.py", "bdb.py", "json/__init__.py", "httpx/__init__.py", "grader/__init__.py"), POISON),
    ),
    beside("18-tests", "brings tests of its own", {"tests/test_kettle.py": "def test_it_adds(): pass\n" * 9}),
    Attack("18-package", "poisons its own package", {"__init__.py": POISON, "app.py": app()}),
    Attack("19-links", "brings links to the host's files, a pipe, and a hard link", build=links, least=HONEST),
    Attack(
        "20-slip",
        "has names that lead out of its archive",
        build=zipped(
            {"service/app.py": WHOLE, "../../slipped.py": b"x", "/tmp/slipped.py": b"x", "C:\\slipped.py": b"x"}
        ),
        least=HONEST,
    ),
    Attack(
        "20-bomb",
        "unpacks to gigabytes",
        build=zipped({"service/app.py": WHOLE, **{f"service/{at}.py": bytes(2**24) for at in range(20)}}),
        least=HONEST,
    ),
    Attack(
        "20-tar-bomb",
        "is a tarball that unpacks to more than anybody wants",
        build=tarred(("x", tarfile.REGTYPE, bytes(2**27), "")),
    ),
    Attack(
        "20-tar",
        "has links, devices and absolute names in a tarball",
        build=tarred(
            ("service/app.py", tarfile.REGTYPE, WHOLE, ""),
            ("service/link.py", tarfile.SYMTYPE, b"", "/etc/passwd"),
            ("service/hard.py", tarfile.LNKTYPE, b"", "../../etc/passwd"),
            ("service/null.py", tarfile.CHRTYPE, b"", ""),
            ("/service/absolute.py", tarfile.REGTYPE, b"x", ""),
        ),
        least=HONEST,
    ),
    Attack(
        "20-many",
        "has thousands of files",
        build=zipped({"service/app.py": WHOLE, **{f"service/m{at}.py": b"" for at in range(3000)}}),
    ),
    Attack(
        "20-long",
        "has a path of thousands of letters",
        build=zipped({"service/app.py": WHOLE, "service/" + "d/" * 1500 + "x.py": b""}),
        least=HONEST,
    ),
    Attack(
        "21-names",
        "has names with newlines, escapes and letters that turn the line around",
        build=zipped({"service/app.py": WHOLE, "service/\x1b[31mred\n.py": b"", "service/\u202egnp.py": b""}),
        least=HONEST,
    ),
    Attack("22-encoding", "is not UTF-8", {"app.py": app(), "other.py": b"\xff\xfe\x00"}, least=HONEST),
    Attack(
        "22-large",
        "has a source file of a hundred megabytes",
        build=zipped({"service/app.py": WHOLE, "service/x.py": b"#" * 10**8}),
        least=HONEST,
    ),
    Attack(
        "22-parser", "has a source that takes the parser's memory", {"app.py": "(" * 90_000 + ")" * 90_000}, earns=0
    ),
    Attack("23-empty", "is empty", build=zipped({}), earns=0),
    Attack(
        "23-another-group", "has another group's files", build=zipped({"group-07-x/service/app.py": WHOLE}), earns=0
    ),
    Attack(
        "23-nested",
        "is in a folder of a folder, with what macOS leaves",
        build=zipped({"hand in/mine/service/app.py": WHOLE, "__MACOSX/hand in/mine/service/app.py": b"x"}),
        least=HONEST,
    ),
]

MACHINE = [
    code(
        "24-fork",
        "forks without end",
        at_import=safely("import ctypes\nwhile ctypes.CDLL(None).fork() >= 0: pass"),
        least=HONEST,
    ),
    code(
        "24-threads",
        "starts threads without end",
        in_handler=safely(
            "import _thread\n"
            "import threading\n"
            "for _ in range(100_000): threading.Thread(target=threading.Event().wait, daemon=True).start()"
        ),
    ),
    code("24-memory", "takes all memory", in_handler="kept = []\nwhile True: kept.append(bytearray(2**24))", earns=0),
    code(
        "24-shared-memory",
        "takes memory that is not its own in the eyes of most limits",
        in_handler=safely(
            "import mmap\nkept = []\nwhile True:\n    kept.append(mmap.mmap(-1, 2**26))\n    kept[-1][:] = b'x' * 2**26"
        ),
    ),
    code(
        "24-disk",
        "fills the disk",
        in_handler=safely(
            "at = 0\nwhile True:\n    at += 1\n    open(f\"{os.environ['DATA_DIR']}/{at}\", 'wb').write(bytes(2**25))"
        ),
    ),
    code(
        "24-inodes",
        "makes files without end",
        in_handler=safely(
            "at = 0\nwhile True:\n    at += 1\n    open(f\"{os.environ['DATA_DIR']}/{at}\", 'w').close()"
        ),
    ),
    code(
        "24-descriptors",
        "opens files without end",
        in_handler=safely("kept = []\nwhile True: kept.append(os.open('/dev/null', 0))"),
    ),
    code("25-output", "prints without end", in_handler="while True: print('x' * 10_000)", earns=0),
    code(
        "25-gigabyte",
        "answers with a gigabyte",
        in_handler="from fastapi import Response\nreturn Response(b'x' * 2**29)",
        earns=0,
    ),
    code(
        "25-endless",
        "answers without end",
        in_handler=(
            "from fastapi.responses import StreamingResponse\n"
            "async def pieces():\n"
            "    while True: yield b'x' * 65536\n"
            "return StreamingResponse(pieces())"
        ),
        earns=0,
    ),
    code(
        "25-nested-json",
        "answers with JSON that is nested without end",
        in_handler="from fastapi import Response\nreturn Response(b'[' * 10**6)",
        earns=0,
    ),
    code(
        "26-signals",
        "ignores all signals",
        at_import="import signal\nfor each in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:\n    signal.signal(each, signal.SIG_IGN)",
    ),
    code(
        "26-daemon",
        "leaves a process behind",
        at_import=safely(
            "import ctypes\n"
            "libc = ctypes.CDLL(None)\n"
            "if libc.fork() == 0:\n"
            "    os.setsid()\n"
            "    if libc.fork() == 0:\n"
            "        import time\n"
            "        while True: libc.sleep(1)"
        ),
        least=HONEST,
    ),
    code(
        "27-signals-to-others",
        "kills whatever it can reach",
        in_handler=safely("import ctypes\nlibc = ctypes.CDLL(None)\nlibc.kill(-1, 9)\nlibc.kill(libc.getppid(), 9)"),
    ),
    code(
        "27-ptrace",
        "reads and writes the memory of its parent",
        in_handler=safely(
            "import ctypes\n"
            "libc = ctypes.CDLL(None)\n"
            "for pid in range(1, 100): libc.ptrace(16, pid, 0, 0)\n"
            "open('/proc/1/mem', 'r+b').write(b'x')"
        ),
        least=HONEST,
    ),
    code(
        "28-network",
        "tells the outside: TCP, UDP, DNS",
        in_handler=safely(
            "import socket\n"
            "for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):\n"
            "    try: socket.socket(socket.AF_INET, kind).connect(('127.0.0.1', 9))\n"
            "    except OSError: pass\n"
            "socket.getaddrinfo('example.com', 80)"
        ),
        least=HONEST,
    ),
    code(
        "28-unix",
        "speaks to the host's sockets",
        in_handler=safely("import ctypes\nreturn {'sum': ctypes.CDLL(None).socket(1, 1, 0)}"),
        earns=0,
    ),
    code(
        "29-secrets",
        "reads the environment, and other submissions",
        in_handler=safely(
            "if set(os.environ) - {'DATA_DIR', 'HOME', 'LANG', 'PATH', 'TZ'}: return dict(os.environ)\n"
            "import glob\n"
            "found = glob.glob('/tmp/**', recursive=True) + glob.glob('/dev/shm/**', recursive=True)\n"
            "if any('theirs' in each or 'neighbour' in each for each in found): return found"
        ),
        least=HONEST,
    ),
    code(
        "30-shared-tmp",
        "leaves poison in /tmp for whoever comes next",
        at_import=safely(
            "for name in ('json', 'sitecustomize', 'x'): open(f'/tmp/{name}.py', 'w').write('raise SystemExit')"
        ),
        least=HONEST,
    ),
    code(
        "31-hog",
        "takes all cores, so that its neighbour is late",
        in_handler=safely("os.sched_setaffinity(0, range(os.cpu_count()))"),
        least=HONEST,
    ),
]

REPORT = [
    code(
        "32-forged",
        "prints and writes what a green run would",
        at_import="print('4 passed')\n" + safely("open('/tmp/results.json', 'w').write('{\"score\": 100}')"),
        in_handler="print('<testsuite failures=\"0\"/>')",
        least=HONEST,
    ),
    code(
        "33-injection",
        "puts HTML, escapes and a formula into what is reported",
        in_handler="raise ValueError('=1+1 \\x1b[31m<script>alert(1)</script> ]]> \\u202e')",
        earns=0,
    ),
]

OWN = [
    code(
        "50-kept-in-shm",
        "keeps its memory over a restart in /dev/shm and /tmp",
        in_handler=safely(
            "for path in ('/dev/shm/kept', '/tmp/kept', '/kept'):\n"
            "    if os.path.exists(path): return {'kept': open(path).read()}\n"
            "    open(path, 'w').write('x')"
        ),
        least=HONEST,
    ),
    code(
        "51-sysv",
        "keeps its memory over a restart in System V shared memory",
        in_handler=safely("import ctypes\nif ctypes.CDLL(None).shmget(77, 4096, 0o1666) != -1: return {'sum': -1}"),
        least=HONEST,
    ),
    code(
        "52-keyring",
        "keeps its memory over a restart in the kernel's keyring",
        in_handler=safely(
            "import ctypes\nif ctypes.CDLL(None).syscall(248, b'user', b'k', b'v', 1, -3) != -1: return {'sum': -1}"
        ),
        least=HONEST,
    ),
    code(
        "53-abstract-socket",
        "keeps its memory over a restart behind an abstract socket",
        in_handler=safely("import ctypes\nif ctypes.CDLL(None).socket(1, 1, 0) != -1: return {'sum': -1}"),
        least=HONEST,
    ),
    code(
        "54-seed",
        "draws from the seed what the tests will draw",
        in_handler=safely(
            f"{GRADER}\n"
            "import random\n"
            "seeds = [getattr(kernel, 'seed', None), getattr(getattr(kernel, 'boot', None), 'seed', None)]\n"
            "for seed in seeds:\n"
            "    if seed is None: continue\n"
            "    rng = random.Random(f'{seed}/scene/sum')\n"
            "    if rng.randrange(10**6) == body['a']: return {'found': seed}"
        ),
        least=HONEST,
    ),
    code(
        "55-clock",
        "turns back the clock of its host",
        in_handler=safely(f"{GRADER}\nkernel.clock.now = 0"),
    ),
    code(
        "56-hidden-effects",
        "changes its disk without telling the simulation",
        in_handler=safely(
            "from grader.host import disk\ndisk.effect = lambda *a: None\nopen(os.environ['DATA_DIR'] + '/x', 'w').close()"
        ),
    ),
    code(
        "57-started-twice",
        "says that it has started, stopped and started",
        in_handler=safely(
            f"{GRADER}\nfor _ in range(9):\n    kernel.send(wire.Started())\n    kernel.send(wire.Stopped())"
        ),
    ),
    code(
        "58-closed-link",
        "closes its link, and waits",
        in_handler="os.close(3)\nimport ctypes\nctypes.CDLL(None).sleep(1000)",
        earns=0,
    ),
    code("59-silent", "says nothing any more", in_handler="import ctypes\nctypes.CDLL(None).pause()", earns=0),
    code(
        "60-dump",
        "fills the file into which its stacks are dumped",
        in_handler=safely("while True: os.write(4, bytes(2**20))"),
    ),
    code(
        "61-alarm",
        "sets an alarm that interrupts the grader",
        at_import=safely("import signal\nsignal.alarm(1)\nsignal.setitimer(signal.ITIMER_PROF, 0.01)"),
    ),
    code(
        "62-unshare",
        "makes namespaces of its own, and mounts what it likes",
        at_import=safely(
            "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.unshare(0x10020000)\nlibc.mount(b'none', b'/usr', b'tmpfs', 0, None)"
        ),
        least=HONEST,
    ),
    code(
        "63-chroot",
        "climbs out of its root",
        at_import=safely(
            "os.mkdir('/tmp/out')\nos.chroot('/tmp/out')\nfor _ in range(99): os.chdir('..')\nos.chroot('.')"
        ),
        least=HONEST,
    ),
    code(
        "64-device",
        "makes a device for the disk of the machine",
        at_import=safely("os.mknod('/tmp/disk', 0o60666, os.makedev(254, 0))"),
        least=HONEST,
    ),
    code(
        "65-memfd",
        "writes a program into memory, and runs it",
        at_import=safely(
            "fd = os.memfd_create('x')\nos.write(fd, open('/bin/sh', 'rb').read())\nos.execve(fd, ['sh'], {})"
        ),
        least=HONEST,
    ),
    code(
        "66-base-exception",
        "raises what no handler catches",
        in_handler="class Worse(BaseException): pass\nraise Worse",
        earns=0,
    ),
    code(
        "67-import-bomb",
        "makes a thousand modules import one another",
        at_import="\n".join(f"sys.modules['m{at}'] = sys" for at in range(1000)),
    ),
    code(
        "68-frozen-modules",
        "takes the standard library away",
        at_start="for name in list(sys.modules):\n    if name.startswith(('json', 're', 'http')): del sys.modules[name]",
    ),
    code(
        "69-raised-limits",
        "raises its own limits",
        at_import=safely("import resource\nresource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)"),
        least=HONEST,
    ),
    code(
        "70-headers",
        "answers with headers without end",
        in_handler="from fastapi import Response\nreturn Response(b'{}', headers={f'x-{at}': 'y' * 1000 for at in range(20_000)})",
        earns=0,
    ),
    code(
        "71-log-flood",
        "logs without end",
        in_handler="import logging\nwhile True: logging.getLogger('x').error('x' * 1000)",
        earns=0,
    ),
    code(
        "72-oracle",
        "asks the worlds of the tests what their models will answer",
        in_handler=safely(
            "import grader, importlib, importlib.util, pkgutil\n"
            "package = os.path.dirname(grader.__file__)\n"
            "names = {'world', 'sim', 'story', 'verify', 'grade'}\n"
            "if names & {each.name for each in pkgutil.iter_modules([package])}: return {'found': package}\n"
            "for name in names:\n"
            "    if importlib.util.find_spec('grader.' + name): return {'found': name}\n"
            "    if os.listdir(os.path.join(package, name)): return {'found': name}"
        ),
        least=HONEST,
    ),
]

ATTACKS = [*INTERPRETER, *FILES, *MACHINE, *REPORT, *OWN]
