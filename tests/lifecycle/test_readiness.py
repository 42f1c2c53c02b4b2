"""The pipe between a starting process and the start that waits for it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from server_beta.cli import readiness


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Give both ends; the test closes the writing one."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)  # as the started process gets it
    yield reading, writing
    os.close(reading)


@pytest.mark.parametrize("word", [readiness.Ready(7, 8), readiness.Failed("no\nway"), readiness.Busy()])
def test_a_word_arrives_as_it_was_said(pipe: tuple[int, int], word: readiness.Word) -> None:
    reading, writing = pipe
    readiness.Pipe(writing).say(word)

    assert readiness.receive(reading, time.monotonic() + 5) == word


def test_only_the_first_word_is_said(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    speaker = readiness.Pipe(writing)
    speaker.say(readiness.Busy())
    another = os.dup(reading)  # gets the number that the pipe had

    speaker.say(readiness.Failed("late"))

    assert another == writing
    assert readiness.receive(reading, time.monotonic() + 5) == readiness.Busy()
    assert os.read(another, 1) == b""
    os.close(another)


def test_children_of_the_started_process_do_not_keep_the_pipe_open(pipe: tuple[int, int]) -> None:
    _, writing = pipe
    speaker = readiness.Pipe(writing)

    assert not os.get_inheritable(writing)
    speaker.say(readiness.Busy())


def test_an_end_without_a_word_and_a_silence_differ(pipe: tuple[int, int]) -> None:
    reading, writing = pipe

    assert readiness.receive(reading, time.monotonic()) == readiness.TimedOut()
    os.close(writing)
    assert readiness.receive(reading, time.monotonic() + 5) == readiness.Silent()


def test_nobody_who_listens_any_more_does_not_matter() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    readiness.Pipe(writing).say(readiness.Busy())

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writing)
