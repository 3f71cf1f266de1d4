"""The two answers to whether asking again would help."""

from collections.abc import Iterator

from aurum_assets.model.errors import AurumError, Refused, SourceError, StoreError, Transient


def every(kind: type[AurumError]) -> Iterator[type[AurumError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from every(below)


def test_no_error_says_both_that_asking_again_helps_and_that_it_does_not() -> None:
    assert not set(every(Transient)) & set(every(Refused))


def test_what_an_operator_or_a_store_answered_answers_the_question() -> None:
    for kind in {*every(SourceError), *every(StoreError)} - {SourceError, StoreError}:
        assert issubclass(kind, Transient | Refused), kind
