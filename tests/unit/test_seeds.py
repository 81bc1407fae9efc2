"""The seed of an attempt is a function of run, task and number."""

from batchrunner.core.model import TaskKey
from batchrunner.core.seeds import ATTEMPTS_AHEAD, SALTS, derived_seed, seeds_ahead

RUN = "00112233445566778899aabbccddeeff"
KEY = TaskKey("1-" + "ab" * 32)
GOLDEN = [764515567, 1690853202, 226143638]


def test_seeds_match_the_recorded_vectors() -> None:
    """These seeds were sent and paid for: another function would not recognize them."""
    assert [derived_seed(RUN, KEY, 1), derived_seed(RUN, KEY, 2), derived_seed(RUN, KEY, 1, salt=1)] == GOLDEN


def test_every_part_counts_and_the_range_is_the_gateways() -> None:
    """Another run, task, number or salt is another seed, from 0 to 2**31 - 1."""
    others = [
        derived_seed(RUN[::-1], KEY, 1),
        derived_seed(RUN, TaskKey(KEY[::-1]), 1),
        *(derived_seed(RUN, KEY, number, salt) for number in range(1, 40) for salt in range(3)),
    ]
    assert len(set(others)) == len(others)
    assert all(0 <= seed < 2**31 for seed in others)
    assert max(others) > 2**30


def test_seeds_ahead_begin_after_the_attempts_that_are_known() -> None:
    """What is looked for are the next attempts, each with its number, and no earlier one."""
    ahead = list(seeds_ahead(RUN, KEY, 3))
    assert ahead[0] == (derived_seed(RUN, KEY, 4), 4)
    assert len(ahead) == ATTEMPTS_AHEAD * SALTS
    assert {number for _, number in ahead} == set(range(4, 4 + ATTEMPTS_AHEAD))
