import pytest

from truckroll.sync.churn import churning

BACK_AND_FORTH = [{"title": "a"}, {"title": "b"}, {"title": "a"}, {"title": "b"}]


@pytest.mark.fault("AT-04")
@pytest.mark.parametrize(
    ("past", "now", "field"),
    [
        ([], {"title": "a"}, ""),
        ([{"title": str(n)} for n in range(4)], {"title": "x"}, ""),
        ([{"title": str(n)} for n in range(5)], {"title": "x"}, "title"),
        ([{"title": str(n)} for n in range(9)], {"notes": "x"}, ""),
        ([{"title": "a"}, {"title": "b"}], {"title": "a"}, ""),
        (BACK_AND_FORTH, {"title": "a"}, "title"),
    ],
)
def test_a_field_churns_after_five_writes_or_two_returns(past, now, field):
    said = churning({7: past}, 7, now)
    assert said.startswith(field)
    assert bool(said) == bool(field)


def test_another_end_is_another_matter():
    assert not churning({7: [{"title": str(n)} for n in range(9)]}, 8, {"title": "x"})
