"""What the assistant reads from its environment."""

import os
from dataclasses import dataclass
from pathlib import Path

MODEL = "lark-large"
CHEAPER = "lark-small"
EMBEDDER = "lark-embed"
ANSWER = 300  # tokens of an answer, at most


@dataclass(frozen=True)
class Settings:
    data_dir: Path = Path()  # one for all replicas
    llm_url: str = "https://llm.skylark.test"
    llm_key: str = "skylark-dev"
    models_url: str = "https://models.skylark.test"
    alerts_url: str = "https://alerts.skylark.test"

    @classmethod
    def from_env(cls) -> "Settings":
        return cls(
            data_dir=Path(os.environ.get("DATA_DIR", ".")),
            llm_url=os.environ.get("LLM_URL", cls.llm_url),
            llm_key=os.environ.get("LLM_KEY", cls.llm_key),
            models_url=os.environ.get("MODELS_URL", cls.models_url),
            alerts_url=os.environ.get("ALERTS_URL", cls.alerts_url),
        )
