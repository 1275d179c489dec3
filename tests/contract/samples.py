"""Values of an appointment's fields, ordinary and nasty, for what must survive every system."""

from datetime import date, datetime, time, timedelta

from hypothesis import strategies as st

from truckroll.model.records import Address
from truckroll.model.time import AllDay, Timed

ZONES = ("America/Los_Angeles", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC")
_TRICKY = (
    "AC not cooling",
    "Ünïcode — Gießen 东京",
    "comma, semicolon; back\\slash: colon",
    "quotes \" and ' and <b>no markup</b> & more",
    "🔧 fix",
    "x" * 300,
)
_LINE = (
    st.text(
        st.characters(
            min_codepoint=0x20,
            max_codepoint=0x2FFF,
            exclude_categories=("Cs", "Cc", "Zl", "Zp", "Cn"),
        ),
        min_size=1,
        max_size=80,
    )
    .map(str.strip)
    .filter(bool)
)
LINES = st.sampled_from(_TRICKY) | _LINE
NOTES = st.lists(LINES, min_size=1, max_size=4).map("\n".join)

_DAYS = st.dates(date(2026, 1, 1), date(2027, 12, 31))


def at(text):
    """Return a naive wall time."""
    return datetime.fromisoformat(text)


@st.composite
def timed(draw):
    """A single visit on a wall time that exists once: gaps and overlaps have their own tests."""
    day = draw(_DAYS)
    start = datetime.combine(day, time()) + timedelta(minutes=draw(st.integers(240, 1380)))
    seconds = 60 * draw(st.integers(1, 60 * 12))
    return Timed(start=start, zone=draw(st.sampled_from(ZONES)), seconds=seconds)


@st.composite
def whole_days(draw):
    day = draw(_DAYS)
    return AllDay(start=day, end=day + timedelta(days=draw(st.integers(1, 5))))


FIELDS = {
    "title": LINES,
    "when": timed() | whole_days(),
    "status": st.sampled_from(("tentative", "confirmed")),
    "location": LINES.map(lambda text: Address(text=text)),
    "notes": NOTES,
    "busy": st.booleans(),
    "private": st.booleans(),
    "category": LINES,
    "link": st.sampled_from(("https://hub.example/visits/1", "https://hub.example/v?a=1&b=%20,;")),
    "customer": LINES,
    "number": st.integers(1000, 9999).map(lambda number: f"J-{number}"),
    "job_type": LINES,
    "materials": LINES,
}
