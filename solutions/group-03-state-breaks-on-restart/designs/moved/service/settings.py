"""What the assistant reads from its environment."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    data_dir: Path = Path()  # shared by all replicas, and kept when they restart
    llm_url: str = "https://llm.skylark.test"
    llm_key: str = "skylark-dev"
    llm_model: str = "lark-large"
    lease: float = 30.0  # seconds

    @classmethod
    def from_env(cls) -> "Settings":
        return cls(
            data_dir=Path(os.environ.get("DATA_DIR", ".")),
            llm_url=os.environ.get("LLM_URL", cls.llm_url),
            llm_key=os.environ.get("LLM_KEY", cls.llm_key),
            llm_model=os.environ.get("LLM_MODEL", cls.llm_model),
        )
