"""A group with four tests, and a service that honestly passes one of them: whatever is attacked, one it stays."""

from __future__ import annotations

import hashlib
from pathlib import Path

from grader.curriculum import Group, read_group

HONEST = 1
"""Tests that the work earns."""

TESTS = 4

APP = """\
import os, sys
from fastapi import FastAPI, Request
{at_import}

def create_app():
    {at_start}
    app = FastAPI()

    @app.post("/add")
    async def add(request: Request):
        body = await request.json()
        {in_handler}
        return {{"sum": body["a"] + body["b"]}}

    return app
"""

SUITE = '''\
import asyncio

import pytest

from grader.plugin import expect
from grader.sim import ClientTimeout, ConnectionLost, Reply

pytestmark = [pytest.mark.stage(1), pytest.mark.pattern("lid")]


def played(scene, *steps, upstream=None):
    """The answers to (method, path, json), sent one after the other; "restart" restarts."""
    sim = scene.simulation(horizon=100.0)
    host = sim.host("kettle", scene.service, disk="disk")
    if upstream:
        sim.network.attach("water.test", upstream)

    async def play():
        await host.start()
        answers = []
        for step in steps:
            if step == "restart":
                await host.restart()
                continue
            method, path, body = step
            try:
                answer = await host.request(method, path, json=body, timeout=5.0)
                answers.append((answer.status, answer.body))
            except (ClientTimeout, ConnectionLost):
                answers.append((0, b""))
        return answers

    return sim.run(play())


def test_it_adds(scene):
    """Two numbers and their sum."""
    rng = scene.rng("sum")
    a, b = rng.randrange(10**6), rng.randrange(10**6)
    ((status, body),) = played(scene, ("POST", "/add", {"a": a, "b": b}))
    right = int(status == 200 and body.replace(b" ", b"") == b'{"sum":%d}' % (a + b))
    expect("sums", right, at_least=1, code="wrong-sum", sees=f"{a} + {b} is {body[:40]!r}")


def test_it_remembers(scene):
    """What was put is there after a restart, and nothing else."""
    rng = scene.rng("memory")
    value = f"{rng.getrandbits(64):x}"
    (_, put), _, (status, got) = played(
        scene, ("PUT", "/kept", {"value": value}), "restart", ("GET", "/add", None), ("GET", "/kept", None)
    )
    expect("kept", int(status == 200 and value.encode() in got), at_least=1, code="forgotten", sees=f"{got[:40]!r}")


def test_it_asks_once(scene):
    """A price is asked for once, however often it is needed."""
    rng = scene.rng("price")
    price, asked = rng.randrange(10**6), 0

    async def upstream(call):
        nonlocal asked
        asked += 1
        return Reply.json({"price": price})

    answers = played(scene, *[("GET", "/price", None)] * 3, upstream=upstream)
    right = sum(status == 200 and str(price).encode() in body for status, body in answers)
    expect("prices", right, at_least=3, code="no-price", sees=f"{right} of 3 prices are right")
    expect("asked", asked, at_most=1, code="asked-again", sees=f"it asks {asked} times")


def test_it_knows_the_secret(scene):
    """What only the tests know."""
    secret = f"{scene.rng('secret').getrandbits(128):x}"
    ((status, body),) = played(scene, ("GET", "/secret", None))
    expect("secret", int(status == 200 and secret.encode() in body), at_least=1, code="no-secret", sees=f"{body[:40]!r}")
'''

TOML = """\
id = "group-1"
number = 1
title = "The kettle is attacked"
app = "service.app:create_app"
files = ["service/**/*.py"]
imports = ["fastapi"]
prerequisites = []
minutes = 60
[[stages]]
number = 1
title = "steam everywhere"
minutes = 20
patterns = ["lid"]
[patterns.lid]
title = "Lid"
stub = "service/patterns/lid.py"
[shipped]
{pins}
"""


def app(*, at_import: str = "", at_start: str = "pass", in_handler: str = "pass") -> str:
    """The honest service, with something in it."""
    return APP.format(
        at_import=at_import,
        at_start=at_start.replace("\n", "\n    "),
        in_handler=in_handler.replace("\n", "\n        "),
    )


def make(workspace: Path) -> Group:
    (workspace / "grader").mkdir(parents=True, exist_ok=True)  # the workspace carries its own curriculum
    folder = workspace / "groups" / "group-01-kettle"
    files = {
        "README.md": "# The kettle is attacked\n",
        "hints.toml": '[lid]\nsymptom = "a"\nmechanism = "b"\nshape = "c"\n',
        "service/__init__.py": "",
        "service/app.py": app(),
        "service/patterns/lid.py": "class Lid:\n    pass\n",
        "tests/test_kettle.py": SUITE,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    pins = "\n".join(f'"{name}" = "{hashlib.sha256(text.encode()).hexdigest()}"' for name, text in files.items())
    (folder / "group.toml").write_text(TOML.format(pins=pins), "utf-8")
    return read_group(folder / "group.toml")


HALF = app().replace(
    "\n    return app",
    """
    @app.put("/kept")
    async def put(request: Request):
        open(os.environ["DATA_DIR"] + "/kept", "wb").write(await request.body())
        return {}

    @app.get("/kept")
    async def get():
        return open(os.environ["DATA_DIR"] + "/kept").read()

    return app""",
)
"""Passes two of the four tests."""
