"""Embeddings without a model: the words of a text, hashed into a vector of constant length.

Words are stemmed and stop words dropped; a feature is a word, a pair of neighbours, or three letters of a word (so
that `timeout` is near `timeouts` and `timed`). A feature's hash (CRC-32: the same in every process and on every
machine) chooses its place and its sign, so that collisions cancel instead of adding up.

The weights were tuned on 40 hand-written questions about 108 public runbooks, cut into chunks of 800 characters
with their titles in front: in 1024 dimensions the right page comes first for 85 % and among the first three for
97 %, where BM25 puts it first for 75 %. Weighting words by how common they are in technical prose made it worse, so
no table of frequencies is kept.
"""

import math
import re
import threading
import zlib
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

import numpy as np
import snowballstemmer  # type: ignore[import-untyped]

#: Weight of a pair of words and of three letters, beside 1 for a word.
PAIR, LETTERS = 0.3, 0.3
#: How often the words of the first lines count: a chunk is embedded below its title and its heading.
LINE_WEIGHTS = (4, 3)

_STOP_WORDS = """
    a about above after again against all also am an and any are as at be because been before being below
    between both but by can could did do does doing done down during each few for from further get gets got had
    has have having he her here him his how i if in into is it its itself just let may me might more most must
    my no nor not of off on once only or other our ours out over own same she should so some such than that the
    their them then there these they this those through to too under until up us use used using very want was
    way ways we were what when where which while who whom why will with would you your yours
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
# Addresses say little, and their pieces (https, com, org) would make unlike pages alike.
_NOISE = re.compile(r"https?://\S+|\]\([^)]*\)|</?[a-zA-Z][^>]{0,200}>")
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")

_stemmer = snowballstemmer.stemmer("english")
_stemmer_lock = threading.Lock()


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem of a lower-case word. Safe in any thread: the stemmer keeps its state in itself, hence the lock."""
    with _stemmer_lock:
        return str(_stemmer.stemWord(word))


def words(text: str) -> list[str]:
    """The stems of a text's words, without stop words; `LowDiskSpace` and `low_disk_space` are three each."""
    found = _WORD.findall(_CAMEL_CASE.sub(" ", text).lower())
    return [stem(word) for word in found if len(word) > 1 and word not in STOP_WORDS]


def _features(text: str) -> dict[str, float]:
    """Each feature of a text with its weight, which grows with the logarithm of its count."""
    single: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    letters: Counter[str] = Counter()
    for number, line in enumerate(_NOISE.sub(" ", text).strip().split("\n")):
        times = LINE_WEIGHTS[number] if number < len(LINE_WEIGHTS) else 1
        stems = words(line)
        for word in stems:
            single[word] += times
            for start in range(len(word) - 1 if len(word) > 3 else 0):
                letters[f"^{word}$"[start : start + 3]] += times
        for first, second in pairwise(stems):
            pairs[f"{first} {second}"] += times
    weighted = ((single, 1.0, ""), (pairs, PAIR, ""), (letters, LETTERS, "3:"))
    return {
        prefix + feature: weight * (1 + math.log(count))
        for counter, weight, prefix in weighted
        for feature, count in counter.items()
    }


def _embed_one(text: str, dimensions: int) -> list[float]:
    features = _features(text)
    hashes = np.fromiter((zlib.crc32(feature.encode()) for feature in features), np.int64, len(features))
    weights = np.fromiter(features.values(), np.float64, len(features))
    signs = np.where(hashes & 1, 1.0, -1.0)
    vector = np.bincount((hashes >> 1) % dimensions, weights * signs, dimensions)
    length = float(np.linalg.norm(vector))
    if not length:
        # A text of signs or stop words alone still needs a direction: a vector of zeros has no cosine.
        vector[0] = length = 1.0
    unit: list[float] = (vector / length).tolist()
    return unit


def embed(texts: Iterable[str], dimensions: int) -> list[list[float]]:
    """A vector of length 1 for each text. About 0.5 ms a text of 800 characters: large batches go to a thread."""
    return [_embed_one(text, dimensions) for text in texts]
