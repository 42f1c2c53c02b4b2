"""The oracle of the contract cases must be able to say no."""

from __future__ import annotations

import pytest

from tests.contract.matching import differences

_ID = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (1, 1),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"$exactly": {}}, {}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}),
        ({"$is": "uuid"}, _ID),
        ({"$contains": ["ab", "c"]}, "abc"),
        ({"$lacks": ["x"]}, "abc"),
        ({"$length": 2}, [1, 2]),
        ({"$longest": 3}, "abc"),
        ({"$some": {"a": 1}}, [{"a": 2}, {"a": 1}]),
        ({"$no": {"a": 3}}, [{"a": 2}, {"a": 1}]),
        ({"$every": {"a": {"$is": "number"}}}, [{"a": 2}, {"a": 1}]),
        ({"$both": [{"$length": 1}, {"$some": 4}]}, [4]),
    ],
)
def test_what_is_expected_matches(wanted: object, found: object) -> None:
    assert differences(wanted, found) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (1, 2),
        (1, True),
        (None, 0),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, [1]),
        ({"$exactly": {}}, {"a": 1}),
        ([1], [1, 2]),
        ({"$is": "uuid"}, _ID.upper()),
        ({"$is": "text"}, ""),
        ({"$contains": ["ab", "x"]}, "abc"),
        ({"$contains": ["ab"]}, None),
        ({"$lacks": ["b"]}, "abc"),
        ({"$lacks": ["b"]}, None),
        ({"$length": 2}, [1]),
        ({"$longest": 2}, "abc"),
        ({"$some": {"a": 1}}, []),
        ({"$no": {"a": 1}}, [{"a": 1}]),
        ({"$no": {"a": 1}}, None),
        ({"$every": 1}, [1, 2]),
        ({"$both": [{"$length": 1}, {"$some": 5}]}, [4]),
    ],
)
def test_what_differs_is_told(wanted: object, found: object) -> None:
    assert differences(wanted, found)
