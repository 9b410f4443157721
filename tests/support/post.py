"""The alphabet of the post's list and the models that its recipe fits."""

from models.text.vocabulary import Vocabulary

ALPHABET = Vocabulary("abcdefghijklmnopqrstuvwxyz")
OF_THE_POST = ["bigram", "positional", "sinusoidal"]
