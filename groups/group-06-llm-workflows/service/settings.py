"""What the claims desk reads from its environment."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    data_dir: Path = Path()  # kept when the desk restarts
    plugins_dir: Path = Path("plugins")  # *.py of other teams: see plugins.py
    llm_url: str = "https://llm.skylark.test"
    llm_key: str = "skylark-dev"
    llm_model: str = "lark-agent"
    tools_url: str = "https://tools.skylark.test"

    @classmethod
    def from_env(cls) -> "Settings":
        data_dir = Path(os.environ.get("DATA_DIR", "."))
        return cls(
            data_dir=data_dir,
            plugins_dir=Path(os.environ.get("PLUGINS_DIR", data_dir / "plugins")),
            llm_url=os.environ.get("LLM_URL", cls.llm_url),
            llm_key=os.environ.get("LLM_KEY", cls.llm_key),
            llm_model=os.environ.get("LLM_MODEL", cls.llm_model),
            tools_url=os.environ.get("TOOLS_URL", cls.tools_url),
        )
