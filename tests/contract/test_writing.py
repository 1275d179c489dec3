"""What every connector's writes must do, on its real system."""

import dataclasses
from itertools import count

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract import samples
from contract.bench import can
from contract.sentences import assert_sentence
from support.proxy import Cut, Status
from truckroll.kit.contract import Change, Draft, Missing, Removal, Seen
from truckroll.kit.errors import (
    GiveUp,
    Gone,
    HoldRecord,
    OutcomeUnknown,
    Replan,
    RetryLater,
    SignIn,
    VendorError,
)
from truckroll.kit.normal import explains, stored
from truckroll.model.records import Occurrence, Occurrences, same
from truckroll.model.time import Rule, Timed

WHEN = Timed(start=samples.at("2026-11-30T09:00"), zone="America/Los_Angeles", seconds=5400)


_numbers = count(1)


def fields_of(visit, **more):
    all_ = {"title": "AC not cooling", "when": WHEN, **more}
    return {name: value for name, value in all_.items() if name in visit.resource.writes}


def draft_of(visit, key="", **more):
    can(visit, "create")
    key = key or f"{next(_numbers):016x}-7-0"  # some servers want a UID once per account
    choose = visit.resource.choose_id
    id_ = choose(visit.scope, key) if choose else ""
    return Draft(id=id_, key=key, mark=key.split("-")[0], fields=fields_of(visit, **more))


async def stored_form(visit, reply):
    """Return the record after a write as the hub gets to know it: from the reply, or read back."""
    if reply.seen is not None:
        visit.held.take(reply.seen)
        return reply.seen
    seen = await visit.resource.read(visit.session, visit.scope, reply.id)
    assert isinstance(seen, Seen)
    visit.held.take(seen)
    return seen


async def make(visit, key="", **more):
    reply = await visit.resource.create(visit.session, visit.scope, draft_of(visit, key, **more))
    return await stored_form(visit, reply)


def change_of(seen, **fields):
    whole = {**seen.fields, **fields}
    return Change(seen.id, seen.version, fields, whole, seen.raw)


async def update(visit, seen, **fields):
    can(visit, "update")
    reply = await visit.resource.update(visit.session, visit.scope, change_of(seen, **fields))
    return await stored_form(visit, reply)


async def current(visit, id_):
    return await visit.resource.read(visit.session, visit.scope, id_)


async def test_a_create_is_there_for_everybody(visit):
    made = await make(visit)
    back = visit.back(made.id)
    assert back["title"] == "AC not cooling"
    assert (back["begins"], back["ends"]) == (WHEN.begins, WHEN.ends)
    assert visit.count() == 1


async def test_a_reply_shows_what_a_read_shows(visit):
    made = await make(visit, notes="Bring ladder", status="confirmed")
    direct = await current(visit, made.id)
    assert direct.fields == made.fields
    assert (direct.version, direct.mark) == (made.version, made.mark)


async def test_own_writes_do_not_come_back_as_changes(visit):
    visit.seed("old", "There before")  # some cursors begin with the first record
    cursor = (await visit.list()).cursor
    made = await make(visit)
    changed = await update(visit, made, title="AC dead")
    read = await visit.list(cursor)
    if changed.id in read.seen:
        again = read.seen[changed.id]
        assert (again.version, dict(again.fields)) == (changed.version, dict(changed.fields))
    else:
        assert changed.id in read.unchanged or not read.items
    assert not read.missing


@pytest.mark.fault("AT-11")
async def test_an_update_changes_the_same_record_and_nothing_else_of_it(visit):
    can(visit, "update", "unknown")
    id_ = visit.seed("e1", "Before")
    seen = (await visit.list()).seen[id_]
    assert visit.unknown(id_)
    changed = await update(visit, seen, title="After")
    assert changed.id == id_
    assert visit.back(id_)["title"] == "After"
    assert visit.unknown(id_), "what the hub does not know of stays"
    others = {name: value for name, value in changed.fields.items() if name != "title"}
    assert others == {name: value for name, value in seen.fields.items() if name != "title"}
    assert visit.count() == 1


@pytest.mark.fault("F26")
async def test_a_write_on_an_old_version_is_refused_and_overwrites_nothing(visit):
    can(visit, "update")
    made = await make(visit)
    visit.edit(made.id, "Edited by hand")
    operations = {
        "update": lambda: visit.resource.update(
            visit.session, visit.scope, change_of(made, title="Ours")
        ),
        "cancel": lambda: visit.resource.cancel(visit.session, visit.scope, change_of(made)),
        "remove": lambda: visit.resource.remove(
            visit.session, visit.scope, Removal(made.id, made.version, made.raw)
        ),
    }
    for name, write in operations.items():
        if not visit.resource.conditional or getattr(visit.resource, name) is None:
            continue
        with pytest.raises(Replan) as caught:
            await write()
        assert_sentence(caught.value.says)
        assert visit.back(made.id)["title"] == "Edited by hand"


@pytest.mark.fault("F24")
async def test_a_create_that_is_done_twice_makes_one_record(visit):
    draft = draft_of(visit)
    if visit.resource.repeat_safe == "once":
        pytest.skip("cannot repeat a create")
    first = await visit.resource.create(visit.session, visit.scope, draft)
    again = await visit.resource.create(visit.session, visit.scope, draft)
    assert again.id == first.id
    assert visit.count() == 1


@pytest.mark.fault("F24")
async def test_a_create_whose_answer_was_lost_is_found_and_not_made_again(visit):
    can(visit, "create", "proxy")
    draft = draft_of(visit)
    visit.proxy.rule(Cut(after=True), method=visit.creates_by or visit.writes_by, nth=1)
    with pytest.raises(OutcomeUnknown) as caught:
        await visit.resource.create(visit.session, visit.scope, draft)
    assert_sentence(caught.value.says)
    found = await looked_up(visit, draft)
    assert isinstance(found, Seen)
    assert found.mark == draft.mark
    again = await visit.resource.create(visit.session, visit.scope, draft)
    assert again.id == found.id
    assert visit.count() == 1


async def looked_up(visit, draft):
    """Look for what a create made, as the hub does: by its id, else by its mark."""
    if visit.resource.choose_id is not None:
        found = await current(visit, draft.id)
        assert found.id == draft.id
        return found
    return await visit.resource.find(visit.session, visit.scope, draft.mark)


async def test_a_create_under_a_name_that_is_taken_is_held(visit):
    can(visit, "create", "choose_id")
    taken = visit.seed("taken", "Somebody else's")
    draft = msgspec.structs.replace(draft_of(visit), id=taken)
    with pytest.raises(HoldRecord) as caught:
        await visit.resource.create(visit.session, visit.scope, draft)
    assert_sentence(caught.value.says)
    assert visit.back(taken)["title"] == "Somebody else's"


async def test_a_removal_may_be_repeated(visit):
    can(visit, "remove")
    made = await make(visit)
    removal = Removal(made.id, made.version, made.raw)
    await visit.resource.remove(visit.session, visit.scope, removal)
    assert visit.back(made.id) is None
    await visit.resource.remove(visit.session, visit.scope, removal)
    assert isinstance(await current(visit, made.id), Missing)


async def test_a_cancelled_record_stays_and_says_so(visit):
    can(visit, "cancel")
    made = await make(visit)
    await visit.resource.cancel(visit.session, visit.scope, change_of(made))
    back = visit.back(made.id)
    assert back["status"] == "cancelled"
    assert back["title"] == "AC not cooling"


async def test_an_update_of_what_is_gone_makes_nothing(visit):
    can(visit, "update")
    made = await make(visit)
    visit.delete(made.id)
    with pytest.raises((Gone, Replan)) as caught:
        await visit.resource.update(visit.session, visit.scope, change_of(made, title="Ours"))
    assert_sentence(caught.value.says)
    assert visit.count() == 0


@pytest.mark.fault("AT-23")
async def test_a_cleared_field_is_cleared_everywhere(visit):
    can(visit, "update")
    texts = [n for n in ("notes", "category", "link") if n in visit.resource.writes]
    made = await make(visit, **dict.fromkeys(texts, "https://hub.example/v/1"))
    for name in texts:
        assert made.fields[name] == "https://hub.example/v/1"
    changed = await update(visit, made, **dict.fromkeys(texts, ""))
    direct = await current(visit, made.id)
    for name in texts:
        for shown in (changed, direct):
            how = visit.resource.fields[name]
            assert same(stored(how, ""), shown.fields.get(name)), name
    assert direct.fields["title"] == "AC not cooling"


@given(st.data())
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_every_declared_field_survives(visit, world, data):
    can(visit, "create")
    kinds = {**samples.FIELDS, **world.samples}
    names = [name for name in sorted(visit.resource.writes) if kinds.get(name) is not None]
    strategy = st.fixed_dictionaries({name: kinds[name] for name in names})
    first, second = data.draw(strategy), data.draw(strategy)
    made = await make(visit, **first)
    if visit.resource.update is None:
        second = first
    shown = await update(visit, made, **second) if second is not first else made
    direct = await current(visit, made.id)
    for name, value in second.items():
        wanted = stored(visit.resource.fields[name], value)
        for fields in (shown.fields, direct.fields):
            assert same(wanted, fields[name]) or explains(value, fields[name]), name
    if visit.resource.remove is not None:
        await visit.resource.remove(
            visit.session, visit.scope, Removal(direct.id, direct.version, direct.raw)
        )


SERIES = msgspec.structs.replace(WHEN, rule=Rule(rrule=("FREQ=WEEKLY;COUNT=6",)))
MOVED = Timed(start=samples.at("2026-12-14T14:00"), zone=WHEN.zone, seconds=3600)
EXCEPTIONS = Occurrences(
    {
        "2026-12-07T09:00:00": Occurrence(cancelled=True),
        "2026-12-14T09:00:00": Occurrence(fields={"when": MOVED}),
        "2026-12-21T09:00:00": Occurrence(fields={"title": "Last before Christmas"}),
    }
)


async def test_a_series_keeps_its_rule_and_exceptions(visit, world):
    can(visit, "update")
    if not world.series:
        pytest.skip("cannot keep a series")
    made = await make(visit, when=SERIES, occurrences=EXCEPTIONS)
    renamed = await update(visit, made, title="Filter change")
    fewer = Occurrences({k: v for k, v in EXCEPTIONS.by_start.items() if not v.cancelled})
    mended = await update(visit, renamed, occurrences=fewer)
    direct = await current(visit, made.id)
    for seen, exceptions in ((made, EXCEPTIONS), (renamed, EXCEPTIONS), (mended, fewer)):
        assert same(seen.fields["when"], SERIES)
        assert same(seen.fields["occurrences"], exceptions)
    assert direct.fields == mended.fields
    assert direct.fields["title"] == "Filter change"
    assert visit.count() == 1


REFUSALS = {
    400: HoldRecord,
    401: SignIn,
    403: (HoldRecord, GiveUp),
    404: (Gone, GiveUp),
    412: Replan,
    413: HoldRecord,
    415: HoldRecord,
    423: RetryLater,
    429: RetryLater,
    500: OutcomeUnknown,
    507: (RetryLater, GiveUp),
}


@pytest.mark.parametrize("status", REFUSALS)
async def test_a_refused_write_is_named_by_what_to_do_next(visit, status):
    can(visit, "update", "proxy")
    made = await make(visit)
    page = "<html><head><title>x</title></head><body><b>No</b> such luck</body></html>"
    headers = {"Retry-After": "4000"} if status == 429 else {}
    visit.proxy.rule(Status(status, page, headers=headers), method=visit.writes_by)
    with pytest.raises(REFUSALS[status]) as caught:
        await visit.resource.update(visit.session, visit.scope, change_of(made, title="Ours"))
    assert isinstance(caught.value, VendorError)
    assert_sentence(caught.value.says)
    assert "<" not in caught.value.says
    if isinstance(caught.value, HoldRecord):
        assert "No such luck" in caught.value.says
    assert visit.back(made.id)["title"] == "AC not cooling"


async def test_what_the_connector_declares_fits_together(visit):
    resource = visit.resource
    assert resource.writes <= set(resource.fields)
    assert bool(resource.writes) == (resource.create is not None or resource.update is not None)
    if resource.create is not None:
        assert (resource.repeat_safe == "client id") <= (resource.choose_id is not None)
    assert visit.connector.system == visit.session.system
    secret = {setting.name for setting in visit.connector.settings if setting.secret}
    assert "password" not in {s.name for s in visit.connector.settings} - secret
    assert dataclasses.is_dataclass(visit.connector)
