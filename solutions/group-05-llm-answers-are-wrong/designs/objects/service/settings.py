"""What the assistant reads from its environment."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    data_dir: Path = Path()
    llm_url: str = "https://llm.skylark.test"
    llm_key: str = "skylark-dev"
    reader: str = "lark-reader"
    encoder: str = "lark-embed-2"
    reranker: str = "lark-rerank-2"
    window: int = 2000  # tokens of the reader: the messages, and what is kept free for the answer
    reserve: int = 64  # tokens for the answer
    piece: int = 80  # tokens of a piece of a document, at most
    candidates: int = 50  # pieces that the reranker sees for a question
    sentences: int = 50  # tokens of each of those, at most
    floor: float = 0.65  # of the reranker's score: below, a piece is about something else

    @classmethod
    def from_env(cls) -> "Settings":
        return cls(
            data_dir=Path(os.environ.get("DATA_DIR", ".")),
            llm_url=os.environ.get("LLM_URL", cls.llm_url),
            llm_key=os.environ.get("LLM_KEY", cls.llm_key),
        )
