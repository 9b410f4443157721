"""The blog post: the alphabet of its list, and the architectures fitted with its recipe."""

from models.text.vocabulary import Vocabulary

ALPHABET = Vocabulary("abcdefghijklmnopqrstuvwxyz")
OF_THE_POST = ["bigram", "positional", "sinusoidal"]
