"""The settings: read from MONIKER_* variables, and an error for each that is invalid."""

from pathlib import Path

import pytest

from service.settings import Settings, SettingsError
from tests.support.http.server import Server


def test_an_empty_variable_counts_as_not_set() -> None:
    fields = Settings.model_fields.keys() - {"api_keys", "api_keys_file"}
    empty = {f"MONIKER_{field.upper()}": "" for field in fields}
    assert Settings.from_environment(empty) == Settings()


@pytest.mark.parametrize("name", ["MONIKER_API_KEYS", "MONIKER_API_KEYS_FILE", "MONIKER_PROT"])
def test_an_empty_variable_is_an_error_if_it_has_keys_or_an_unknown_name(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: "):
        Settings.from_environment({name: ""})


def test_settings_are_read_from_variables_with_the_prefix_alone() -> None:
    variables = {"MONIKER_PORT": "9000", "PORT": "80", "HOST": "elsewhere"}
    assert Settings.from_environment(variables) == Settings(port=9000)
    with pytest.raises(SettingsError, match="MONIKER_COLOUR"):
        Settings.from_environment({"MONIKER_COLOUR": "red"})


KUBERNETES = {
    "MONIKER_SERVICE_HOST": "10.0.0.1",
    "MONIKER_SERVICE_PORT": "8000",
    "MONIKER_SERVICE_PORT_HTTP": "8000",
    "MONIKER_PORT": "tcp://10.0.0.1:8000",
    "MONIKER_PORT_8000_TCP": "tcp://[fd00::1]:8000",
    "MONIKER_PORT_8000_TCP_PROTO": "tcp",
    "MONIKER_PORT_8000_TCP_PORT": "8000",
    "MONIKER_PORT_8000_TCP_ADDR": "10.0.0.1",
    "MONIKER_CANARY_SERVICE_HOST": "10.0.0.2",  # of a Service called moniker-canary
    "MONIKER_CANARY_PORT": "tcp://10.0.0.2:80",
}


def test_variables_set_by_kubernetes_are_ignored(small_checkpoints: Path) -> None:
    assert Settings.from_environment(KUBERNETES) == Settings()
    others = {name: value for name, value in KUBERNETES.items() if name != "MONIKER_PORT"}
    with Server(MONIKER_CHECKPOINTS=str(small_checkpoints), **others) as server:
        assert "ignored, set by Kubernetes: " in server.log
        assert "MONIKER_SERVICE_PORT_HTTP" in server.log


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MONIKER_PORT", "tcp:/x"),
        ("MONIKER_PORT", "tcp://10.0.0.1"),
        ("MONIKER_PORT", "http://10.0.0.1:80"),
        ("MONIKER_SERVICE_PORT", "http"),
        ("MONIKER_PORT_8000", "tcp://10.0.0.1:8000"),
        ("MONIKER_SERVICE", "10.0.0.1"),
    ],
)
def test_a_variable_that_kubernetes_does_not_set_is_an_error(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}: "):
        Settings.from_environment({variable: value})


def test_keys_are_read_from_a_file_with_one_key_per_line(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(b"first,one\r\n\n second \n")
    settings = Settings.from_environment({"MONIKER_API_KEYS_FILE": str(path)})
    assert [key.get_secret_value() for key in settings.keys] == ["first,one", "second"]
    assert "first" not in repr(settings)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        ("\n \n", "it has no key"),
        ("two words", "should match pattern"),
        ("caf\u00e9", "should match pattern"),
    ],
)
def test_a_file_without_valid_keys_is_an_error(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=rf"^MONIKER_API_KEYS_FILE: .*{reason}.*$"):
        Settings.from_environment({"MONIKER_API_KEYS_FILE": str(path)})


def test_keys_have_one_source_alone(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("one")
    variables = {"MONIKER_API_KEYS_FILE": str(tmp_path / "keys"), "MONIKER_API_KEYS": "two"}
    with pytest.raises(SettingsError, match="MONIKER_API_KEYS is set too"):
        Settings.from_environment(variables)
