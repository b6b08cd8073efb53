"""The HTTP face of a service that greets. A group has 100 to 250 lines that a colleague might have written."""

import random
import time

from fastapi import FastAPI


async def greet(name: str) -> str:
    """Finding the right words takes its time."""
    time.sleep(random.uniform(0.3, 0.5))
    return f"Hello, {name}!"


def create_app() -> FastAPI:
    app = FastAPI(title="Greeter")

    @app.get("/greeting")
    async def greeting(name: str) -> dict:
        return {"greeting": await greet(name)}

    return app
