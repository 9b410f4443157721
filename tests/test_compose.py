"""docker-compose.yml, without Docker: it passes all settings, and publishes nothing by default."""

import re
from typing import Any

import pytest
import yaml

from service.settings import PREFIX, Settings
from tests.support.paths import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
PATHS = {"api_keys_file", "blocklist"}  # files of the machine, which are mounted
OUTSIDE = {"host", "checkpoints"}  # of the machine; constant inside the container


def variable(field: str) -> str:
    return f"{PREFIX}{field.upper()}"


@pytest.mark.parametrize("field", sorted(Settings.model_fields.keys() - PATHS - OUTSIDE))
def test_a_setting_is_passed_unchanged(field: str) -> None:
    assert variable(field) in SERVICES["service"]["environment"]


@pytest.mark.parametrize("field", sorted(PATHS))
def test_a_file_of_the_machine_is_mounted_and_its_new_path_is_passed(field: str) -> None:
    name = variable(field)
    (mount,) = (m for m in SERVICES["service"]["volumes"] if name in str(m))
    assert mount["source"] == f"${{{name}:-/dev/null}}"
    assert mount["read_only"]
    inside = f"{name}${{{name}:+={mount['target']}}}"
    assert inside in SERVICES["service"]["environment"]


def test_only_known_settings_are_passed() -> None:
    passed = {re.match(r"\w+", entry) for entry in SERVICES["service"]["environment"]}
    names = {match[0] for match in passed if match and match[0].startswith(PREFIX)}
    assert names == {variable(field) for field in Settings.model_fields.keys() - OUTSIDE}


def test_the_port_is_published_at_the_default_address() -> None:
    host = f"${{{variable('host')}:-{Settings().host}}}"
    port = f"${{{variable('port')}:-{Settings().port}}}"
    assert SERVICES["service"]["ports"] == [f"{host}:{port}:{port}"]


def test_the_checkpoints_are_those_of_the_training_job_unless_a_folder_is_set() -> None:
    assert (
        f"${{{variable('checkpoints')}:-checkpoints}}:/checkpoints:ro"
        in (SERVICES["service"]["volumes"])
    )
    assert "checkpoints:/checkpoints" in SERVICES["train"]["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_memory_processes_and_processors_are_limited(name: str) -> None:
    for limit in ("mem_limit", "pids_limit", "cpus"):
        assert re.search(r":-.*[1-9]", SERVICES[name][limit]), limit


def test_every_variable_of_compose_is_documented() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for name in re.findall(r"\$\{(\w+)", TEXT):
        assert re.search(rf"^\| `{name}` \|", operations, re.MULTILINE), name
