"""Training data of the job: the counts of a list, its lexicon and its split for evaluation."""

from collections.abc import Sequence

from models.arrays import array_dataclass
from models.linear.features import ARCHITECTURES, MAX_TOKENS
from models.text.lexicon import Lexicon
from training.cli import Options
from training.counts.counting import MAX_ORDER, CountedList, count_names
from training.evaluation.held_out import Split, split
from training.lists.name_list import NameListError, read_names


@array_dataclass
class Dataset:
    """Training data.

    lexicon: the distinct names; empty if the counts were read from a table
    split: the parts of the list for --evaluate; None without that option
    warnings: one line for each problem of the list that did not stop the reader
    """

    counted: CountedList
    lexicon: Lexicon
    split: Split | None
    warnings: Sequence[str]


def load_dataset(options: Options) -> Dataset:
    """Read and count the list of names, or read the table of counts.

    Raises NameListError if the file is not valid or has too many distinct characters.
    """
    dataset = _from_names(options) if options.counts is None else _from_table(options)
    characters = len(dataset.counted.vocabulary) - 1
    if characters >= MAX_TOKENS:
        raise NameListError(
            f"{dataset.counted.name}: {characters:,} distinct characters, but a model has at most"
            f" {MAX_TOKENS - 1:,}; remove names with rare characters"
        )
    return dataset


def _from_names(options: Options) -> Dataset:
    name_list = read_names(options.data, options.keep_case, options.turkish)
    parts = split(name_list) if options.evaluate else None
    # Before the counts, which then reuse the memory that this step frees.
    lexicon = Lexicon.of_lines(name_list.vocabulary, name_list.text)
    counted = count_names(name_list, _order(options, len(name_list.vocabulary)))
    return Dataset(counted, lexicon, parts, name_list.warnings)


def _from_table(options: Options) -> Dataset:
    from training.counts.counts_table import read_table  # imports pyarrow, which is slow

    assert options.counts is not None
    counted = read_table(options.counts, options.keep_case, options.turkish)
    return Dataset(counted, Lexicon.of(counted.vocabulary, []), None, ())


def _order(options: Options, tokens: int) -> int:
    """Return the number of last characters that the counts must have."""
    architectures = [ARCHITECTURES[name] for name in options.models]
    recipes = [options.recipe or architecture.recipe_for(tokens) for architecture in architectures]
    # The converged recipe decomposes the counts into names to choose its penalty.
    if options.write_counts or "converged" in recipes:
        return MAX_ORDER
    return max(architecture.order for architecture in architectures)
