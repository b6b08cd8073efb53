"""What the assistant reads from its environment."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    llm_url: str = "https://llm.skylark.test"
    llm_key: str = "skylark-dev"
    llm_model: str = "lark-large"
    library_url: str = "https://library.skylark.test"
    sections: int = 20  # a document is summarised in at most so many sections
    fan_out: int = 8  # calls that one document may have open at once
    ask_seconds: float = 9.0  # the budget of a question: of the ten, one is for the way back
    summary_seconds: float = 60.0  # the budget of a summary
    job_seconds: float = 1800.0  # the budget of a job
    jobs: int = 2  # that run at once
    sections_share: float = 0.75  # of that budget, for the sections: the rest is for merging them

    @classmethod
    def from_env(cls) -> "Settings":
        return cls(
            llm_url=os.environ.get("LLM_URL", cls.llm_url),
            llm_key=os.environ.get("LLM_KEY", cls.llm_key),
            llm_model=os.environ.get("LLM_MODEL", cls.llm_model),
            library_url=os.environ.get("LIBRARY_URL", cls.library_url),
        )
