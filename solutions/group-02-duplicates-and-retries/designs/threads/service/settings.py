"""What the assistant is set to. The platform's configuration service knows."""

import os
from dataclasses import dataclass

import httpx

from service.clients import Unavailable
from service.patterns.singleton import Once

CONFIG_URL = os.environ.get("CONFIG_URL", "https://config.skylark.test")


@dataclass(frozen=True)
class Settings:
    llm_model: str
    embed_model: str
    rules: int  # so many paragraphs are read to answer a question


def load() -> Settings:
    """Ask the configuration service."""
    try:
        reply = httpx.get(f"{CONFIG_URL}/assistant", timeout=10.0)
        reply.raise_for_status()
        return Settings(**reply.json())
    except (httpx.HTTPError, TypeError, ValueError) as error:
        raise Unavailable(f"no configuration: {error!r}") from error


settings = Once(load)


def get_settings() -> Settings:
    """What goes for this process, asked for once. FastAPI runs it in a thread, so it may block."""
    return settings.get()
