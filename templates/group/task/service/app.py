"""The HTTP face of a service that greets. 100 to 250 lines that a colleague might have written; this one is shorter."""

import asyncio
import random

from fastapi import FastAPI


async def greet(name: str) -> str:
    """Finding the right words takes its time."""
    await asyncio.sleep(random.uniform(3, 5))
    return f"Hello, {name}!"


def create_app() -> FastAPI:
    app = FastAPI(title="Greeter")

    @app.get("/greeting")
    async def greeting(name: str) -> dict:
        return {"greeting": await greet(name)}

    return app
