"""Every decoder that faces a network: the corpus is what its names say, and mutations of it never raise."""

from random import Random

import pytest

from tests.fuzz.decoder import CORPUS, REFUSED, TAKEN
from tests.fuzz.guided import error_of, fuzz, smaller
from tests.fuzz.mutator import MAX_BYTES, mutated
from tests.fuzz.registry import DECODERS

CASES = 2000
COSTLY = {
    "netcode-server-batch": 500,
    "netcode-server-sealed": 500,
}  # a server is made anew after each case that is taken

every_decoder = pytest.mark.parametrize("name", DECODERS)


@every_decoder
def test_the_corpus_is_what_its_names_say(name):
    decoder = DECODERS[name]
    take, corpus = decoder.make(), decoder.corpus()
    kinds = {file: TAKEN if take(data) else REFUSED for file, data in corpus.items()}
    assert {file: file.split("-")[0] for file in corpus} == kinds
    assert set(kinds.values()) == {TAKEN, REFUSED}


@every_decoder
def test_the_seeds_are_kept_and_taken_as_they_are_now(name):
    decoder, corpus = DECODERS[name], DECODERS[name].corpus()
    take, seeds = decoder.make(), decoder.seeds()
    assert [seed for seed in seeds if f"taken-{seed}" not in corpus] == [], "manage.py fuzz … --write-seeds"
    assert [seed for seed, data in seeds.items() if not take(data)] == []


@every_decoder
def test_mutations_of_the_corpus_are_taken_or_refused(name):
    decoder, random = DECODERS[name], Random(name)
    corpus = list(decoder.corpus().values())
    take = decoder.make()
    outcomes = {take(mutated(random.choice(corpus), corpus, random)) for _ in range(COSTLY.get(name, CASES))}
    assert False in outcomes


def test_every_folder_of_the_corpus_has_a_decoder():
    assert {folder.name for folder in CORPUS.iterdir()} == set(DECODERS)


def test_mutations_are_the_same_for_the_same_seed():
    corpus = [bytes(100), bytes(range(100)), b""]

    def cases():
        random = Random(1)
        return [mutated(random.choice(corpus), corpus, random) for _ in range(500)]

    assert cases() == cases()
    assert len(set(cases())) > 300
    assert max(map(len, cases())) <= MAX_BYTES


class Fragile:
    """A decoder that raises for what begins as magic and goes on with 128 or more: reached by steps."""

    modules = ("tests.fuzz.test_decoders",)

    def corpus(self):
        return {"taken-start": b"magi"}

    def make(self):
        def take(data):
            if data[:4] != b"magi":
                return False
            if len(data) < 5:
                return True
            if data[4] < 128:
                return True
            raise ZeroDivisionError("found")

        return take


def test_the_guided_fuzzer_finds_what_is_wrong_and_makes_it_small():
    progress = fuzz(Fragile(), 30.0, 1, lambda _: None)
    assert len(progress.findings) == 5
    for finding in progress.findings:
        assert isinstance(finding.error, ZeroDivisionError)
        assert len(finding.data) == 5
        assert isinstance(error_of(Fragile(), finding.data), ZeroDivisionError)


def test_a_case_is_made_smaller_as_long_as_it_fails():
    assert (
        smaller(b"a long text with an X in it and an Y", lambda data: b"X" in data and b"Y" in data) == b"XY"
    )
