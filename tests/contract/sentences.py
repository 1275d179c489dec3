"""What every sentence for people must be like."""

import re

from truckroll.app.systems import connector, systems

_CLASS_NAME = re.compile(
    r"\b(?:[A-Z][a-z]+){2,}(?:Error|Exception|Later|Unknown)?\b|\w+(?:Error|Exception)\b"
)
_TITLES = (re.escape(connector(system).title) for system in systems())
_NAMES = re.compile("|".join(("Truckroll", "iCloud", "WebDAV", "iCalendar", *_TITLES)))
_CODE = re.compile(r"\[\d{3}\]")


def assert_sentence(text: str) -> None:
    """Assert a whole sentence: a stop last, a code only in brackets before it, no class names."""
    assert text.endswith("."), text
    assert len(text) > 20, text
    bare = re.sub(r'"[^"]*"|“[^”]*”|\([^)]*\)', "", _NAMES.sub("", text))
    assert not _CLASS_NAME.search(bare), text
    assert "Traceback" not in text, text
    assert "None" not in bare.split(), text
    codes = _CODE.findall(text)
    assert len(codes) <= 1, text
    assert not codes or text.endswith(f"{codes[0]}."), text
    assert not re.search(r"\b[45]\d\d\b", _CODE.sub("", bare)), text
