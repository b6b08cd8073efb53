"""The HTTP face of a service that greets."""

from fastapi import FastAPI

from service.patterns import example


def create_app() -> FastAPI:
    app = FastAPI(title="Greeter")

    @app.get("/greeting")
    async def greeting(name: str) -> dict:
        return {"greeting": example.greeting(name)}

    return app
