"""`learn serve`: the services for real, their neighbours beside them, and what a save, a mistake and Ctrl-C do."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from grader.curriculum import read_groups
from grader.report import machine

ROOT = Path(__file__).parents[2]
GROUPS = sorted(path.name for path in (ROOT / "groups").glob("group-*"))
PATIENCE = 30.0  # seconds: far beyond what anything here takes


class Served:
    """`learn serve`, as a program sees it: a line of JSON, and the rest on stderr."""

    def __init__(self, workspace: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "grader.cli", "serve", *words],
            cwd=workspace,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "HTTP_PROXY": "http://127.0.0.1:9"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stderr
        self._stderr = self.process.stderr.fileno()
        self.said = ""

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.rest()
        assert isinstance(msgspec.json.decode(line, type=machine.Serve), machine.Serve)
        found: dict[str, Any] = json.loads(line)
        return found

    def until(self, text: str) -> str:
        """What is said on stderr up to the text, and with it."""
        end = time.monotonic() + PATIENCE
        while text not in self.said:
            assert time.monotonic() < end, self.said
            if select.select([self._stderr], [], [], 0.1)[0]:
                data = os.read(self._stderr, 65536)
                assert data, self.said
                self.said += data.decode()
        before, _, self.said = self.said.partition(text)
        return before + text

    def rest(self) -> str:
        """What is still to be read, once it has ended."""
        assert self.process.stderr
        return self.said + self.process.stderr.read().decode()

    def interrupt(self) -> int:
        """As Ctrl-C in its terminal does: all that is in the foreground hears of it."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(PATIENCE)

    def is_alone(self) -> bool:
        """Has everybody of its session ended?"""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if not any(_is_of_session(stat, self.process.pid) for stat in Path("/proc").glob("[0-9]*/stat")):
                return True
            time.sleep(0.05)
        return False


def _is_of_session(stat: Path, session: int) -> bool:
    """Is it a process of the session that still runs? One that ended may stay until somebody asks after it."""
    try:
        state, _, _, its, *_ = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return state != "Z" and int(its) == session


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serve groups of a workspace that has all of them, open."""
    for group in GROUPS:
        shutil.copytree(ROOT / "groups" / group, tmp_path / "groups" / group)
    (tmp_path / ".learn").mkdir()
    (tmp_path / ".learn" / "settings.toml").write_text('open = "all"\n')
    begun = []

    def begin(*words: str) -> Served:
        begun.append(Served(tmp_path, *words))
        return begun[-1]

    yield begin
    for served in begun:
        if served.process.poll() is None:
            os.killpg(served.process.pid, signal.SIGKILL)
        served.process.communicate()


@pytest.fixture
def workspace(tmp_path: Path, serve: Serve) -> Path:
    return tmp_path


def app_of(workspace: Path, number: int) -> Path:
    return read_groups(workspace)[f"group-{number}"].path / "service" / "app.py"


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def free_port() -> int:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port: int = other.getsockname()[1]
        return port


HEALTH = 'return {"status": "ok"}'

# ------------------------------------------------------------------------------------------------ for real


@pytest.mark.skipif(not shutil.which("curl"), reason="the lines are curl's")
@pytest.mark.parametrize("group", GROUPS)
def test_what_is_to_be_tried_works_as_it_is_typed(serve: Serve, group: str) -> None:
    result = serve(group, "--json").answer()["result"]
    lines = [each["line"] for each in result["tries"]]
    assert 2 <= len(lines) <= 5
    rows = [row for each in result["tries"] for row in (*each["line"].splitlines(), f"# {each['shows']}")]
    assert not [row for row in rows if len(row) > 78], "by two in, in 80 columns"
    fail = "set -e -o pipefail; curl() { command curl --fail --max-time 20 --noproxy '*' \"$@\"; }\n"
    hurry = [line.replace("-m 10", "-m 1 --retry 0").replace("slow?factor=30&", "slow?factor=2&") for line in lines]
    done = subprocess.run(["bash", "-c", fail + "\n".join(hurry)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert '"micro_dollars"' in done.stdout
    if group.startswith("group-01"):  # its outage: real CPU is burnt, and /health waits for all of it
        waited = re.search(r" after ([\d.]+) s", done.stdout)
        assert waited
        assert float(waited[1]) > 2.5


@pytest.mark.parametrize("group", GROUPS)
def test_each_variable_for_a_neighbour_is_one_that_the_service_reads(serve: Serve, workspace: Path, group: str) -> None:
    result = serve(group, "--json").answer()["result"]
    code = "".join(file.read_text() for file in (workspace / "groups" / group / "service").rglob("*.py"))
    assert result["neighbours"]
    assert all(f'environ.get("{name}"' in code for name in result["neighbours"])


def test_the_provider_is_broken_on_demand_and_sends_a_bill(serve: Serve) -> None:
    llm = serve("1", "--json").answer()["result"]["neighbours"]["LLM_URL"]
    question = {"model": "lark-large", "messages": [{"role": "user", "content": "Is it on?"}]}
    with httpx.Client(trust_env=False, base_url=llm, timeout=PATIENCE) as client:

        def ask(timeout: float = PATIENCE) -> int:
            return client.post("/v1/chat/completions", json=question, timeout=timeout).status_code

        assert ask() == 200
        assert client.get("/-/fail?status=500").text.startswith("for 60 s, calls get status 500")
        assert ask() == 500
        client.get("/-/lose")
        with pytest.raises(httpx.TransportError):
            ask()
        client.get("/-/hang")
        with pytest.raises(httpx.ReadTimeout):
            ask(0.3)
        client.get("/-/heal")
        client.get("/-/slow?factor=1000&seconds=20")
        with pytest.raises(httpx.ReadTimeout):
            ask(0.5)
        assert client.get("/-/heal").text == "the provider is well again\n"
        assert ask() == 200
        bill = client.get("/-/invoice").json()
        assert (bill["calls"], bill["billed"]) == (6, 3)
        assert client.get("/-/slow?factor=0").status_code == 400
        assert "/-/slow?factor=10&seconds=60" in client.get("/-/nothing").text


def test_a_long_run_forgets_and_does_not_end() -> None:
    import asyncio

    from grader.sim import Call
    from grader.world.live import Live
    from grader.world.provider import GUARD, Provider

    async def play() -> Provider:
        provider = Provider(live.scene.simulation(), median=0.0001, sigma=0.0)
        for number in range(GUARD + 10):
            call = Call(number, 0.0, "service", "POST", "", "/nowhere", {}, {"idempotency-key": str(number)}, b"{}")
            provider._leave(provider._enter(call), gone=False)
        return provider

    live = Live(seed=1)
    provider = asyncio.run(play())
    assert len(provider.log) == GUARD // 2 + 10
    assert provider.log[-1].id == GUARD + 10


# ------------------------------------------------------------------------------------------------ what lasts


def test_a_restart_forgets_what_is_in_memory_and_the_disk_stays(serve: Serve, workspace: Path) -> None:
    first = serve("3", "--json")
    result = first.answer()["result"]
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        assert client.post(f"{result['url']}/documents", json={"title": "a", "text": "b"}).status_code == 201
        assert first.interrupt() == 130
        (Path(result["data"]) / "kept").write_text("on the disk")
        second = serve("3", "--json")
        again = second.answer()["result"]
        assert client.get(f"{again['url']}/documents").json()["count"] == 0
    assert (again["data"], (Path(again["data"]) / "kept").read_text()) == (result["data"], "on the disk")
    assert Path(result["data"]).is_relative_to(workspace / ".learn" / "serve")
    assert second.interrupt() == 130
    assert serve("3", "--fresh", "--json").answer()["result"]["data"] == result["data"]
    assert not list(Path(result["data"]).iterdir())


def test_a_save_starts_it_again_at_the_same_place(serve: Serve, workspace: Path) -> None:
    served = serve("1", "--json")
    url = served.answer()["result"]["url"]
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        assert client.get(f"{url}/health").json() == {"status": "ok"}
        change(app_of(workspace, 1), HEALTH, 'return {"status": "better"}')
        assert "saved service/app.py" in served.until("up again")
        assert client.get(f"{url}/health").json() == {"status": "better"}


# ------------------------------------------------------------------------------------------------ mistakes


def test_a_mistake_is_shown_and_a_save_mends_it(serve: Serve, workspace: Path) -> None:
    change(app_of(workspace, 1), HEALTH, "retrn nothing")
    served = serve("1")
    said = served.until("started again")
    assert 'File "service/app.py", line' in said
    assert "SyntaxError: invalid syntax" in said
    assert "Your service does not run: SyntaxError: invalid syntax (service/app.py:" in said
    assert not [line for line in said.splitlines() if "importlib" in line or "grader" in line], (
        "the learner's part alone"
    )
    change(app_of(workspace, 1), "retrn nothing", HEALTH)
    served.until("saved service/app.py")
    assert served.process.stdout
    lines = iter(served.process.stdout.readline, b"")
    assert any(b"your service" in line for line in lines)


@pytest.mark.parametrize("words", [["--json"], ["--no-reload", "--json"], ["--no-reload"]], ids=" ".join)
def test_where_nobody_waits_a_mistake_ends_it(serve: Serve, workspace: Path, words: list[str]) -> None:
    change(app_of(workspace, 1), "from fastapi import", "import kettle\nfrom fastapi import")
    served = serve("1", *words)
    assert served.process.wait(PATIENCE) == 1
    assert "ModuleNotFoundError: No module named 'kettle' (service/app.py:" in served.rest()
    if "--json" in words:
        assert "kettle" in served.answer()["error"]["what"]
    assert served.is_alone()


NEVER = """\
    import asyncio
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def lifespan(app):
        await asyncio.Event().wait()
        yield

    app = FastAPI(title="Skylark document assistant", lifespan=lifespan)
"""


def test_a_start_that_does_not_end_is_told_and_a_save_ends_it(serve: Serve, workspace: Path) -> None:
    app = '    app = FastAPI(title="Skylark document assistant")\n'
    change(app_of(workspace, 1), app, NEVER)
    served = serve("1", "--json")
    assert "Your service is not up after 5 s" in served.until("or this machine is busy.")
    change(app_of(workspace, 1), NEVER, app)
    assert served.answer()["result"]["group"] == "group-1"


def test_a_start_that_fails_is_told_in_the_learners_lines(serve: Serve, workspace: Path) -> None:
    change(app_of(workspace, 2), "worker = asyncio", "worker = {}[1]; asyncio")
    served = serve("2", "--json")
    assert "KeyError: 1 (service/app.py:" in served.answer()["error"]["what"]
    assert served.process.wait(PATIENCE) == 1
    said = served.rest()
    assert 'File "service/app.py", line' in said
    assert "starlette" not in said


def test_a_request_that_raises_shows_the_learners_lines(serve: Serve, workspace: Path) -> None:
    change(app_of(workspace, 1), HEALTH, "return {}[1]")
    served = serve("1", "--json")
    url = served.answer()["result"]["url"]
    assert httpx.get(f"{url}/health", trust_env=False).status_code == 500
    said = served.until("GET    /health")
    assert 'File "service/app.py", line' in said
    assert "KeyError: 1" in said
    assert "starlette" not in said


# ------------------------------------------------------------------------------------------------ ports, and ends


def test_a_port_that_is_taken_is_passed_over_or_refused(serve: Serve) -> None:
    port = free_port()
    first = serve("1", "--port", str(port), "--json").answer()["result"]
    assert first["url"] == f"http://127.0.0.1:{port}"
    refused = serve("1", "--port", str(port))
    assert refused.process.wait(PATIENCE) == 2
    assert refused.rest() == f"✗ port {port} is taken. Run: learn serve\n"
    others = [serve("1", "--json").answer()["result"] for _ in range(2)]
    urls = [url for each in (first, *others) for url in (each["url"], *each["neighbours"].values())]
    assert len(set(urls)) == len(urls)


@pytest.mark.parametrize("words", [[], ["--no-reload"]], ids=["reload", "no-reload"])
def test_ctrl_c_ends_all_of_it(serve: Serve, words: list[str]) -> None:
    served = serve("2", "--json", *words)
    served.answer()
    assert served.interrupt() == 130
    assert served.is_alone()
    assert "Traceback" not in served.rest()


def test_a_service_that_does_not_listen_to_ctrl_c_is_ended_all_the_same(serve: Serve) -> None:
    served = serve("1", "--json")
    result = served.answer()["result"]
    httpx.get(f"{result['neighbours']['LLM_URL']}/-/hang", trust_env=False)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{result['url']}/ask?q=x", timeout=0.5, trust_env=False)
    assert served.interrupt() == 130
    assert served.is_alone()


def test_whoever_kills_it_leaves_no_orphan(serve: Serve) -> None:
    served = serve("1", "--json")
    served.answer()
    served.process.kill()
    served.process.wait(PATIENCE)
    assert served.is_alone()


def test_a_locked_group_is_refused(serve: Serve, workspace: Path) -> None:
    (workspace / ".learn" / "settings.toml").unlink()
    refused = serve("2")
    assert refused.process.wait(PATIENCE) == 3
    assert len(refused.rest().splitlines()) == 1


def test_the_screen_says_what_runs_where(serve: Serve) -> None:
    served = serve("1", "--no-reload")
    assert served.process.stdout
    lines = []
    for line in iter(served.process.stdout.readline, b""):
        lines.append(line.decode().rstrip("\n"))
        if "Ctrl-C ends it" in lines[-1]:
            break
    said = "\n".join(lines)
    assert all(len(line) <= 80 for line in lines)
    for part in (
        "your service  http://127.0.0.1:",
        "LLM_URL",
        "LIBRARY_URL",
        "its levers at /-/",
        ".learn/serve/group-01",
    ):
        assert part in said
    assert "Saves do not start it again" in said
