"""What ships for VS Code: JSON that every program reads, and commands that exist."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from grader.cli import line

VSCODE = Path(__file__).parents[1] / ".vscode"
VARIABLES = {"${workspaceFolder}", "${fileDirname}"}


def read(name: str) -> dict[str, Any]:
    found = json.loads((VSCODE / name).read_text("utf-8"))
    assert isinstance(found, dict)
    return found


CONFIGURATIONS = read("launch.json")["configurations"]


@pytest.mark.parametrize("name", sorted(file.name for file in VSCODE.iterdir()))
def test_each_file_is_json_with_known_variables(name: str) -> None:
    read(name)
    assert set(re.findall(r"\$\{[^}]*\}", (VSCODE / name).read_text("utf-8"))) <= VARIABLES


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda each: each["name"])
def test_each_configuration_starts_a_command_that_exists(configuration: dict[str, Any]) -> None:
    assert (configuration["type"], configuration["request"]) == ("debugpy", "launch")
    assert importlib.util.find_spec(configuration["module"])
    call = line.plain(configuration["args"])
    assert call
    assert call.command in configuration["name"]
    assert configuration["console"] == "integratedTerminal", "both want one"


def test_the_service_is_in_the_debugged_process_or_left_alone_by_it() -> None:
    for configuration in CONFIGURATIONS:
        call = line.plain(configuration["args"])
        assert call
        if call.command == "serve":
            assert call.flags == {"no_reload": True}
        else:
            assert call.flags == {"debug": True}
            assert configuration["subProcess"] is False, "an editor's debugger has no place in a host"


def test_pytest_collects_the_groups_with_the_projects_interpreter() -> None:
    settings = read("settings.json")
    assert settings["python.testing.pytestEnabled"] is True
    assert settings["python.testing.unittestEnabled"] is False
    assert settings["python.testing.pytestArgs"] == ["groups"]
    assert settings["python.defaultInterpreterPath"] == "${workspaceFolder}/.venv/bin/python"
    assert {"ms-python.python", "ms-python.debugpy"} <= set(read("extensions.json")["recommendations"])
