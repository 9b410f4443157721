from collections import Counter
from pathlib import Path

import pytest

from models.text import corpus
from training.counts import counting
from training.counts.counting import count_names
from training.lists.name_list import read_names


def test_a_list_is_read_as_normalised_names(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"\xef\xbb\xbfEmma\r\n\n  O'Neil\nemma")
    names = read_names(str(tmp_path / "list"))
    assert names.text == "emma\no'neil\nemma\n"
    assert names.names == ["emma", "o'neil", "emma"]
    assert len(names) == 3
    assert names.vocabulary.characters == "'aeilmno"


def test_invisible_characters_are_removed_from_names(tmp_path: Path) -> None:
    text = (
        "\ufeffEmma\r\n\ufeffAva\r\n\u200b\r\nAn\u00ad\u200bna\u00a0Lee\u200f\n\u0645\u200c\u0645\n"
    )
    (tmp_path / "list").write_bytes(text.encode())
    names = read_names(str(tmp_path / "list"))
    assert names.names == ["emma", "ava", "anna lee", "\u0645\u200c\u0645"]
    assert names.vocabulary.characters == " aelmnv\u0645\u200c"


def test_a_turkish_list_distinguishes_i_with_and_without_a_dot(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("ISIL\n\u0130PEK\n", encoding="utf-8")
    names = read_names(str(tmp_path / "list"), turkish=True)
    assert names.names == ["\u0131s\u0131l", "ipek"]
    assert names.vocabulary.turkish
    assert names.vocabulary.normalize("ISIL") == "\u0131s\u0131l"
    assert read_names(str(tmp_path / "list")).names == ["isil", "ipek"]


@pytest.mark.parametrize("text", ["ISIL\n\u0130PEK\n", "I\u015f\u0131l\n", "IS\nI\u0307PEK\n"])
def test_the_warning_about_a_turkish_list_names_the_option(tmp_path: Path, text: str) -> None:
    (tmp_path / "list").write_text(text, encoding="utf-8")
    (warning,) = read_names(str(tmp_path / "list")).warnings
    assert "--turkish" in warning
    assert read_names(str(tmp_path / "list"), turkish=True).warnings == ()
    assert read_names(str(tmp_path / "list"), keep_case=True).warnings == ()


@pytest.mark.parametrize("text", ["Ida\n", "\u0130pek\n", "I\u015f\u00eel\n", "k\u0131z\n"])
def test_a_list_with_one_kind_of_i_has_no_warning(tmp_path: Path, text: str) -> None:
    (tmp_path / "list").write_text(text, encoding="utf-8")
    assert read_names(str(tmp_path / "list")).warnings == ()


def test_a_list_is_counted_in_blocks_at_positions_that_are_not_clamped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "anna\nbob\n" * 50 + "a" * 40 + "\nzoë\n"
    (tmp_path / "list").write_text(text, encoding="utf-8")
    monkeypatch.setattr(counting, "blocks", lambda text: corpus.blocks(text, size=16))
    counted = count_names(read_names(str(tmp_path / "list")), order=1)
    characters = "." + counted.vocabulary.characters
    steps = counted.counts.transitions
    columns = (steps.contexts.positions, steps.contexts.history[:, 0], steps.tokens)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    counts = dict(zip(rows, counted.counts.counts.tolist(), strict=True))
    assert counts == Counter(
        (position, characters.index(last), characters.index(character))
        for name in text.split()
        for position, (last, character) in enumerate(zip(f".{name}", f"{name}.", strict=True))
    )
    assert (counted.source.names, counted.source.transitions) == (102, len(text))
