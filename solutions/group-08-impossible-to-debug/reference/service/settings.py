"""What the answer desk reads from its environment."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    data_dir: Path = Path()  # kept when the desk restarts
    llm_url: str = "https://llm.skylark.test"
    llm_key: str = "sk-skylark-dev"
    llm_model: str = "lark-small"
    tools_url: str = "https://tools.skylark.test"
    audit_url: str = "https://audit.skylark.test"
    trace_share: float = 1.0  # of the traces in which nothing fails, how many are kept: 0 to 1
    workers: int = 8
    documents: int = 3  # so many are pasted into the prompt

    @classmethod
    def from_env(cls) -> "Settings":
        return cls(
            data_dir=Path(os.environ.get("DATA_DIR", ".")),
            llm_url=os.environ.get("LLM_URL", cls.llm_url),
            llm_key=os.environ.get("LLM_KEY", cls.llm_key),
            llm_model=os.environ.get("LLM_MODEL", cls.llm_model),
            tools_url=os.environ.get("TOOLS_URL", cls.tools_url),
            audit_url=os.environ.get("AUDIT_URL", cls.audit_url),
            trace_share=float(os.environ.get("TRACE_SHARE", cls.trace_share)),
        )
