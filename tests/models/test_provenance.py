import pytest

from models.provenance import TrainingList, size_warnings
from models.text.lexicon import Lexicon
from models.text.vocabulary import Vocabulary

LETTERS = Vocabulary("abcdefghijklmnopqrstuvwxyz")


def source(names: int) -> TrainingList:
    return TrainingList("list.txt", names, 2 * names, "0" * 64, [names])


@pytest.mark.parametrize(
    ("distinct", "number"),
    [(1, "1 distinct name"), (2, "2 distinct names"), (19, "19 distinct names")],
)
@pytest.mark.parametrize("copies", [1, 1_000])
def test_a_list_of_few_distinct_names_has_a_warning(
    distinct: int, number: str, copies: int
) -> None:
    lexicon = Lexicon.of(LETTERS, LETTERS.characters[:distinct])
    expected = f"trained on {number}: with fewer than 20 a model mostly repeats them"
    assert size_warnings(source(copies * distinct), lexicon) == [expected]


@pytest.mark.parametrize(("names", "number"), [(1, "1 name"), (19, "19 names")])
def test_a_table_of_few_names_has_a_warning(names: int, number: str) -> None:
    expected = f"trained on {number}: with fewer than 20 a model mostly repeats them"
    assert size_warnings(source(names), Lexicon.of(LETTERS, [])) == [expected]


def test_longer_lists_and_tables_have_no_warning() -> None:
    assert size_warnings(source(20), Lexicon.of(LETTERS, LETTERS.characters[:20])) == []
    assert size_warnings(source(20), Lexicon.of(LETTERS, [])) == []
