"""Runs in a file of lines, long texts compressed in a folder by their digest, traces in a file of lines."""

import hashlib
import json
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

from service.patterns.recording import Redactor

LONG = 200


class Runs:
    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self._redactor = redactor
        self._texts = folder / "texts"
        self._texts.mkdir(exist_ok=True)
        self._lines, self._traced = folder / "runs.jsonl", folder / "traces.jsonl"
        self._runs: dict[str, dict] = {}
        for line in _lines(self._lines):
            self._runs.setdefault(line["id"], {}).update(line)
        self._traces: dict[str, list[dict]] = defaultdict(list)
        for line in _lines(self._traced):
            self._traces[line["trace_id"]] += line["spans"]

    def begin(self, run: str, trace_id: str, user: str, booking: str, question: str) -> None:
        clean = self._redactor.clean
        self._write({
            "id": run, "trace_id": trace_id, "status": "running", "user": self._redactor.pseudonym(user),
            "booking": clean(booking), "question": self._pack(clean(question)),
        })  # fmt: skip

    def end(self, run: str, status: str, steps: list[dict], answer: dict, error: str | None) -> None:
        told = {"answer": answer.get("answer"), "reference": answer.get("reference"), "error": error}
        self._write({"id": run, "status": status, "steps": self._pack(steps), **self._redactor.clean(told)})

    def find(self, run: str) -> dict | None:
        found = self._runs.get(run)
        return None if found is None else self._unpack({"answer": None, "error": None, "steps": [], **found})

    def listed(self) -> list[dict]:
        return [{name: run[name] for name in ("id", "trace_id", "status", "user")} for run in self._runs.values()]

    def keep_trace(self, trace_id: str, spans: list[dict]) -> None:
        self._traces[trace_id] += spans
        _append(self._traced, {"trace_id": trace_id, "spans": spans})

    def trace(self, trace_id: str) -> list[dict]:
        return self._traces.get(trace_id, [])

    def _write(self, line: dict) -> None:
        self._runs.setdefault(line["id"], {}).update(line)
        _append(self._lines, line)

    def _pack(self, value: Any) -> Any:
        match value:
            case dict():
                return {name: self._pack(each) for name, each in value.items()}
            case list():
                return [self._pack(each) for each in value]
            case str() if len(value) > LONG:
                digest = hashlib.sha256(value.encode()).hexdigest()
                if not (self._texts / digest).exists():
                    (self._texts / digest).write_bytes(zlib.compress(value.encode()))
                return {"text in": digest}
        return value

    def _unpack(self, value: Any) -> Any:
        match value:
            case {"text in": digest, **rest} if not rest:
                return zlib.decompress((self._texts / digest).read_bytes()).decode()
            case dict():
                return {name: self._unpack(each) for name, each in value.items()}
            case list():
                return [self._unpack(each) for each in value]
        return value


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _append(path: Path, line: dict) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
