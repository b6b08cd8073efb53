"""numpy and bm25s in a host: warm for those that allow them, and with all chance from the seed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from grader.sim import Forkserver
from tests.sim.conftest import Stage

DRAWS = """
import sys
warm = sorted(name for name in ("numpy", "bm25s") if name in sys.modules)
import numpy as np
@app.post("/draws")
async def draws():
    return {
        "warm": warm,
        "legacy": np.random.random(), "own": np.random.default_rng().random(),
        "state": np.random.RandomState().random_sample(),
        "sum": float((np.arange(10_000, dtype=np.float32) @ np.ones(10_000, dtype=np.float32))),
    }
"""

SEARCH = """
import bm25s
index = bm25s.BM25()
index.index([["fare", "h7q"], ["fare", "k2m"]], show_progress=False)
@app.post("/search")
async def search():
    found, scores = index.retrieve([["h7q"]], k=1, show_progress=False)
    return {"found": found.tolist(), "scores": index.get_scores(["h7q", "unheard-of"]).tolist()}
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    launched = Forkserver.launch(seed=1, allowed=("fastapi", "numpy", "bm25s"))
    yield Stage(launched, tmp_path_factory.mktemp("warm"))
    launched.close()


def test_a_group_that_allows_them_has_them_warm(warm: Stage, stage: Stage) -> None:
    assert warm.asked(warm.service(DRAWS), "/draws").result[0].body["warm"] == ["bm25s", "numpy"]
    assert stage.asked(stage.service(DRAWS), "/draws").result[0].body["warm"] == []


def test_all_of_its_chance_comes_from_the_seed(warm: Stage, stage: Stage) -> None:
    for each in (warm, stage):
        service = each.service(DRAWS)
        first, again = (each.asked(service, "/draws").result[0].body for _ in range(2))
        other = each.asked(service, "/draws", seed=2).result[0].body
        assert first == again
        assert all(first[name] != other[name] for name in ("legacy", "own", "state"))
        assert first["sum"] == 49_995_000.0


def test_words_are_found_without_a_word_on_the_screen(warm: Stage) -> None:
    run = warm.asked(warm.service(SEARCH), "/search")
    assert run.result[0].body["found"] == [[0]]
    assert run.result[0].body["scores"][0] > 0 == run.result[0].body["scores"][1]
