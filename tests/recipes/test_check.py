import pytest

from truckroll.recipes.check import check, load
from truckroll.recipes.schema import Recipe

GOOD = """\
name = "visits"
title = "Visits"
version = 1

[options.edits]
asks = "What about edits?"
default = "hold"
words = { hold = "they wait", restore = "they are undone" }

[options.days]
asks = "How many days?"
default = 30
least = 0
most = 365

[maps.status]
unmapped = "hold"
words = { "Sched." = "scheduled", "Gone" = "cancelled" }

[mirror.visits]
kind = "appointment"
deletes = "propagate"
drift = { option = "edits" }
gates = ["has_time", { gate = "inside_window", past_days = { option = "days" } }]
source_maps = { status = "status" }

[[mirror.visits.field]]
target = "title"
text = "{number} {title}"

[[mirror.visits.field]]
target = "when"
from = "when"
"""


def slips(text):
    return [str(slip) for slip in check(text, "my.toml")]


def one(text):
    (slip,) = slips(text)
    return slip


def changed(old, new, text=GOOD):
    assert old in text
    return text.replace(old, new, 1)


def test_a_right_recipe_has_no_slips():
    assert slips(GOOD) == []
    recipe = load(GOOD, "my.toml")
    assert isinstance(recipe, Recipe)
    assert (recipe.name, recipe.version, list(recipe.mirrors)) == ("visits", 1, ["visits"])
    assert recipe.text == GOOD


def test_five_slips_are_five_messages_with_lines_and_known_words():
    text = changed("drift = {", "drifts = {")
    text = changed('"Gone" = "cancelled"', '"Gone" = "canceled"', text)
    text = changed('"{number} {title}"', '"{nummer} {title}"', text)
    text = changed('from = "when"', 'from = "start"', text)
    text = changed('"has_time"', '"has_tme"', text)
    found = check(text, "my.toml")
    assert [slip.line for slip in found] == [18, 23, 24, 29, 33]
    assert [str(slip) for slip in found[:4]] == [
        'my.toml:18  "canceled" is no status; did you mean "cancelled"?',
        'my.toml:23  "drifts" is not a word here; did you mean "drift"?',
        'my.toml:24  there is no gate "has_tme"; did you mean "has_time"?',
        'my.toml:29  unknown field "{nummer}" in a text; did you mean "number"?',
    ]
    assert str(found[4]).startswith(
        'my.toml:33  unknown field "appointment.start"; an appointment has: number, title, when,'
    )
    assert "when" in found[4].known


def test_a_word_without_quotes_is_named_and_the_rest_is_still_checked():
    text = changed('deletes = "propagate"', "deletes = propagate")
    text = changed('from = "when"', 'from = "wen"', text)
    first, second = slips(text)
    assert first == 'my.toml:22  a word needs quotes around it: write "propagate"'
    assert second.startswith('my.toml:33  unknown field "appointment.wen"')


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("[mirror.visits]", "[mirror.visits", 20, "cannot be read as TOML"),
        ('words = { "Sched."', 'words = { "Sched.', 18, "cannot be read as TOML"),
        ('title = "Visits"', 'title = "Visits"\ntitle = "Again"', 3, "a second time"),
        ('text = "{number} {title}"', 'text = """{number}', 34, "not closed"),
    ],
)
def test_what_is_no_toml_is_said_with_its_line(old, new, line, words):
    (slip,) = check(changed(old, new), "my.toml")
    assert slip.line == line
    assert words in slip.text


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('name = "visits"\n', "", '"name" is missing'),
        ('name = "visits"', 'name = "My Visits"', "small letters, digits and dashes"),
        ("version = 1", "version = 0", '"version" must be a whole number from 1'),
        ('title = "Visits"', "title = 3", '"title" must be a text in quotes'),
        ('kind = "appointment"', 'kind = "apointment"', 'did you mean "appointment"?'),
        (
            'deletes = "propagate"\n',
            "",
            '"deletes" is missing: say what happens when the source\'s record is gone; it can be: propagate, cancel, unlink, ask',
        ),
        (
            'deletes = "propagate"',
            'deletes = "erase"',
            '"deletes" cannot be "erase"; it can be: propagate, cancel, unlink, ask',
        ),
        ('deletes = "propagate"', "deletes = true", '"deletes" cannot be true'),
        (
            'default = "hold"',
            'default = "wait"',
            '"edits" cannot be "wait"; its words are: hold, restore',
        ),
        ("default = 30", "default = 400", '"days" must be a whole number from 0 to 365, not "400"'),
        ("default = 30\n", "", 'the option "days" has no default'),
        ("least = 0\nmost = 365\n", "", 'say what "days" can be'),
        ('asks = "How many days?"\n', "", '"asks" is missing'),
        (
            'unmapped = "hold"\n',
            "",
            'says nothing about words that it does not list: add unmapped = "hold"',
        ),
        (
            'unmapped = "hold"',
            'unmapped = "sheduled"',
            '"sheduled" is no status; did you mean "scheduled"?',
        ),
        (
            '"Gone" = "cancelled"',
            '"SCHED." = "cancelled"',
            '"Sched." and "SCHED." are the same word here',
        ),
        ('"Gone" = "cancelled"', '"Gone" = 3', '"Gone" must have its meaning in quotes'),
        (
            '{ status = "status" }',
            '{ status = "stat" }',
            'there is no map "stat"; did you mean "status"?',
        ),
        ('{ status = "status" }', '"status"', '"source_maps" must name a map by field'),
        (
            '{ option = "edits" }',
            '{ option = "edit" }',
            'there is no option "edit"; did you mean "edits"?',
        ),
        (
            '{ option = "edits" }',
            '{ option = "days" }',
            'the option "days" does not fit: "drift" cannot be 0',
        ),
        (
            '{ option = "edits" }',
            '{ option = "edits", hold = "hold" }',
            'nothing is said for the word "restore"',
        ),
        (
            '{ option = "edits" }',
            '{ option = "edits", hold = "hold", restore = "undo" }',
            '"drift" cannot be "undo"',
        ),
        (
            '{ option = "edits" }',
            '{ option = "edits", hold = "hold", restore = "keep", other = "keep" }',
            '"other" is no word of the option "edits"',
        ),
        ('{ option = "edits" }', '{ choice = "edits" }', 'is written { option = "name" }'),
        (
            "past_days = {",
            "past = {",
            '"past" is no setting of the gate "inside_window"; did you mean "past_days"?',
        ),
        ('{ option = "days" }', '"30"', '"past_days" must be a whole number'),
        ('{ option = "days" }', "-1", '"past_days" must be a whole number'),
        ('["has_time",', "[3,", "a gate is a name in quotes"),
        (
            'gates = ["has_time", {',
            'gates = [{ gate = "type_enabled", types = [1] }, {',
            '"types" must be a list of texts',
        ),
        (
            'kind = "appointment"',
            'kind = "appointment"\nper = "peple"',
            'unknown field "appointment.peple"',
        ),
        (
            'kind = "appointment"',
            'kind = "appointment"\nper = "title"',
            '"title" is one value; a mirror can fan out by: people',
        ),
        (
            'kind = "appointment"',
            'kind = "appointment"\nmatch = "title"',
            '"match" must be a list of fields',
        ),
        (
            'kind = "appointment"',
            'kind = "appointment"\nmatch = ["titel"]',
            'unknown field "appointment.titel"',
        ),
        (
            'kind = "appointment"',
            'kind = "appointment"\ntravel_minutes = "15"',
            '"travel_minutes" must be a whole number',
        ),
        (
            'target = "when"\nfrom = "when"',
            'target = "title"\ntext = "{title}"',
            '"title" is filled by two lines, here and in line 27; keep one',
        ),
        ('target = "when"', 'target = "whn"', 'unknown field "appointment.whn"'),
        ('from = "when"', 'from = "when"\ntext = "{when}"', 'here it has "from" and "text"'),
        ('from = "when"', "", "here it has none of them"),
        ('from = "when"', 'from = "title"', '"when" is a time, and this line gives a text'),
        (
            'from = "when"',
            'from = "when"\nuse = ["upper"]',
            '"upper" works on a text, and this is a time',
        ),
        (
            'from = "when"',
            'from = "when"\nuse = ["uper"]',
            'there is no transform "uper"; did you mean "upper"?',
        ),
        (
            'from = "when"',
            'from = "when"\nuse = "upper"',
            '"use" must be a list of transforms in brackets',
        ),
        (
            'from = "when"',
            'from = "when"\nmap = "status"',
            'a map works on words, and "when" is a time',
        ),
        (
            'from = "when"',
            'from = "when"\nboth = "always"',
            '"both" cannot be "always"; it can be: never, source-wins, target-wins, newest, ask',
        ),
        (
            'text = "{number} {title}"',
            'text = "{number} {title}"\nboth = "newest"',
            "a text cannot be read backwards",
        ),
        (
            'text = "{number} {title}"',
            'from = "number"\nboth = "newest"',
            'must fill the field that it is taken from ("number")',
        ),
        (
            'text = "{number} {title}"',
            'from = "title"\nuse = ["upper"]\nboth = "newest"',
            "a line with transforms cannot be two-way",
        ),
        (
            'text = "{number} {title}"',
            "value = [1]",
            '"value" must be a text, a number, true or false',
        ),
        ('text = "{number} {title}"', 'text = "{number {title}"', "a brace stands alone"),
        (
            'text = "{number} {title}"',
            'from = "title"\nuse = [{ transform = "shorten" }]',
            'the transform "shorten" needs the setting "length"',
        ),
        (
            'text = "{number} {title}"',
            'from = "location"\nuse = ["first_name"]',
            '"first_name" works on a text, and this is an address',
        ),
        (
            "[mirror.visits]",
            "[mirror.visits]\nhourly = true",
            '"hourly" is not a word here, known are: kind, per,',
        ),
    ],
)
def test_each_slip_says_what_is_wrong_and_what_is_known(old, new, says):
    assert says in one(changed(old, new))


def test_a_map_with_two_words_for_one_meaning_cannot_be_read_backwards():
    text = changed('"Gone" = "cancelled"', '"Planned" = "scheduled"')
    text += '\n[[mirror.visits.field]]\ntarget = "status"\nfrom = "status"\nmap = "status"\nboth = "newest"\n'
    assert 'the map "status" has two words for one meaning' in one(text)


def test_a_mirror_without_lines_or_a_recipe_without_mirror_is_refused():
    head = GOOD.partition("[[mirror")[0]
    assert "the mirror has no lines: add [[mirror.visits.field]]" in one(head)
    assert "keeps nothing in step" in one('name = "x"\ntitle = "X"\nversion = 1\n')


def test_an_empty_file_is_refused():
    assert any('"name" is missing' in slip for slip in slips(""))


def test_a_file_that_is_far_too_long_is_refused_unread():
    assert "longer than 64 KB" in one("# " + "x" * 70_000)


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_windows_line_ends_and_a_byte_order_mark_do_no_harm(ending):
    assert slips("\ufeff" + GOOD.replace("\n", ending)) == []


def test_lines_are_right_inside_lists_and_long_texts():
    text = changed('text = "{number} {title}"', 'text = """\n{number}\n{title}\n"""')
    text = changed(
        'gates = ["has_time", {', 'gates = [\n  "has_time",\n  # a note\n  "nope_nope",\n  {', text
    )
    text = changed('from = "when"', 'from = "never_seen"', text)
    assert [slip.line for slip in check(text, "my.toml")] == [27, 40]


@pytest.mark.parametrize(
    "top", ["options = 3", "maps = 3", "mirror = 3", "options.x = 3", "mirror.x = 3", "maps.x = 3"]
)
def test_a_table_that_is_none_is_a_slip_not_a_crash(top):
    assert slips(f'name = "x"\ntitle = "X"\nversion = 1\n{top}\n')


def test_a_text_can_be_chosen_only_where_any_text_fits():
    option = '[options.any]\nasks = "What?"\ndefault = "hold"\ntext = true\n\n[maps.status]'
    text = changed("[maps.status]", option)
    assert slips(text) == []
    text = changed('{ option = "edits" }', '{ option = "any" }', text)
    assert 'the option "any" does not fit: "drift" cannot be "any text"' in one(text)
