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
    documents: int = 4  # so many are pasted into the prompt

    @classmethod
    def from_env(cls) -> "Settings":
        return cls(
            data_dir=Path(os.environ.get("DATA_DIR", ".")),
            llm_url=os.environ.get("LLM_URL", cls.llm_url),
            llm_key=os.environ.get("LLM_KEY", cls.llm_key),
        )
