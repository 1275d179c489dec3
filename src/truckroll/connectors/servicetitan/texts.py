"""The texts of a visit: a job's summary (HTML) and the visit's own instructions, both ways.

The first line of the summary is the title. Its further lines and the special instructions are the
notes, in this order; of the notes only the instructions belong to the visit alone.
"""

from html import escape

from truckroll.kit.normal import html_to_text

_GAP = "\n\n"


def _lines(summary: str | None) -> list[str]:
    lines = [line.strip() for line in html_to_text(summary or "").replace("\r", "").split("\n")]
    return [line for line in lines if line]


def title_of(summary: str | None) -> str:
    """Return the first line of a summary as text, "" where it has none."""
    return next(iter(_lines(summary)), "")


def rest_of(summary: str | None) -> str:
    """Return the further lines of a summary as text."""
    return "\n".join(_lines(summary)[1:])


def notes_of(summary: str | None, instructions: str | None) -> str:
    """Return the notes of a visit: the rest of the summary, then the special instructions."""
    parts = (rest_of(summary), (instructions or "").strip())
    return _GAP.join(part for part in parts if part)


def instructions_in(notes: str, summary: str | None) -> str | None:
    """Return the special instructions inside notes, None where the summary's part was changed."""
    rest = rest_of(summary)
    notes = notes.strip()
    if not rest:
        return notes
    if notes == rest:
        return ""
    return notes[len(rest) :].strip() if notes.startswith(rest + _GAP) else None


def summary_with(title: str, summary: str | None) -> str | None:
    """Return a summary with another first line and all else as it was, markup included.

    None where it cannot be done alone: the line's own markup is in the way, or further lines
    would take the place of a title that is cleared.
    """
    line = escape(_plain(title.replace("\n", " ")).strip(), quote=False)
    old, rest, html = title_of(summary), rest_of(summary), summary or ""
    if title_of(line) == old:
        return html
    if not old or not (line or rest):
        return line
    for text in (html, _plain(html)):
        for spelling in (old, escape(old, quote=False), escape(old)):
            made = text.replace(spelling, line, 1)
            if line and (title_of(made), rest_of(made)) == (title_of(line), rest):
                return made
    return None


def _plain(text: str) -> str:
    return text.replace("&nbsp;", " ").replace("\xa0", " ")
