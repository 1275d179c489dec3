"""Two companies in one database: nothing of one is in any read of the other."""

import secrets
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truckroll.app import audit, members, passes, tenants
from truckroll.app.hub import Actor, Hub
from truckroll.app.trouble import TroubleError
from truckroll.recipes.compile import builtin
from truckroll.store.migrate import SCHEMA
from truckroll.store.open import open_stores
from web.web_office import RECIPE, tables

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR = timedelta(days=365 * 20)
IDS = 60
WORDS = ("acme-jobs", "acme-copy", RECIPE, "Boiler of acme", "Boiler", "J-1", "Ana", "boss", "2")
CHOSEN = "acme"


async def settle(hub, folder, company):
    """Let a company have a bit of everything, each of it with the company's name on it."""
    await tables(hub, folder, company)
    bound = {"from": f"{company}-jobs", "to": f"{company}-copy", "zone": "America/New_York"}
    await hub.store.install_recipe(RECIPE, builtin()[RECIPE], bound, {})
    view = await passes.apply(hub)
    assert view.writes == 1
    await members.add(hub, "boss", mail=f"boss@{company}.example", presets=["administrator"])
    await members.make_token(hub, f"{company} phone", "boss")
    (account, *_) = await hub.store.accounts()
    (scope, *_) = await hub.store.scopes(account.id)
    await hub.store.map_person(f"Ana of {company}", account.id, scope.id, company)


@pytest.fixture
async def both(database_url, tmp_path):
    async with open_stores(database_url, tmp_path / "home") as stores:
        numbers = [await stores.of(1).add_tenant(name) for name in (CHOSEN, "beta")]
        hubs = [
            Hub(tmp_path / "home", stores.of(number), actor=Actor(name="op", way="cli"))
            for number in numbers
        ]
        for hub, name in zip(hubs, (CHOSEN, "beta"), strict=True):
            await settle(hub, tmp_path, name)
        yield hubs


def reads(store):
    """Return every read of a store as a function of an id and of a word."""
    return {
        "account": lambda _, word: store.account(word),
        "accounts": lambda *_: store.accounts(),
        "scopes": lambda id_, _: store.scopes(id_),
        "all scopes": lambda *_: store.scopes(),
        "scope": lambda id_, _: store.scope(id_),
        "people": lambda *_: store.people(),
        "people_seen": lambda id_, _: store.people_seen([id_]),
        "recipes": lambda *_: store.recipes(),
        "history": lambda _, word: store.history(word),
        "removed": lambda *_: store.removed_recipes(),
        "runs": lambda id_, _: store.runs(id_),
        "all runs": lambda *_: store.runs(),
        "steps": lambda id_, _: _drained(store.steps_of(id_)),
        "story": lambda id_, _: store.story(id_),
        "links": lambda id_, _: store.links([id_]),
        "find_links": lambda id_, word: store.find_links(word, id_),
        "find_any_links": lambda _, word: store.find_links(word),
        "find_records": lambda _, word: store.find_records(word),
        "numbers_like": lambda _, word: store.numbers_like(word[:2]),
        "holds": lambda id_, _: store.holds(id_),
        "accepted": lambda id_, _: store.accepted([id_]),
        "unreadable": lambda id_, _: store.unreadable([id_]),
        "between": lambda id_, _: store.appointments_between(
            [id_], [(LONG_AGO, LONG_AGO + FAR)]
        ),
        "versions": lambda id_, word: store.versions(id_, [word, "1", "2"]),
        "intents": lambda id_, _: store.open_intents(id_),
        "members": lambda id_, word: store.members(word, id_=id_),
        "all members": lambda *_: store.members(),
        "tokens": lambda id_, _: store.tokens(id_),
        "all tokens": lambda *_: store.tokens(),
        "audit": lambda id_, word: store.audit_lines(word=word, before=id_),
        "all audit": lambda *_: store.audit_lines(limit=1000),
        "tenant_name": lambda *_: store.tenant_name(),
    }  # fmt: skip


async def _drained(items):
    return [one async for one in items]


async def _read(read, id_, word):
    try:
        return repr(await read(id_, word))
    except KeyError:
        return ""


@pytest.mark.fault("F65")
async def test_no_read_of_a_company_has_anything_of_another(both):
    acme, beta = both
    own = dict.fromkeys(reads(beta.store), "")
    for id_ in range(IDS):
        word = WORDS[id_ % len(WORDS)]
        for name, read in reads(beta.store).items():
            found = await _read(read, id_, word)
            assert "acme" not in found, (name, id_, word)
            own[name] += found
    quiet = {name for name, found in own.items() if "beta" not in found}
    seen = {
        "accounts",
        "all scopes",
        "recipes",
        "find_any_links",
        "all members",
        "all tokens",
        "all audit",
    }
    assert not quiet & seen, quiet
    assert "acme" in await _read(reads(acme.store)["all audit"], 0, "")


@pytest.mark.fault("F65")
async def test_no_table_shows_a_row_of_a_tenant_that_is_not_set(both, database_url):
    options = f"-c role=truckroll_app -c search_path={SCHEMA}"
    with psycopg.connect(database_url, options=options, autocommit=True) as app:
        names = [
            row[0]
            for row in app.execute(
                "select table_name::text from information_schema.columns"
                " where table_schema = 'truckroll' and column_name = 'tenant'"
            )
        ]
        assert len(names) >= 20

        @settings(max_examples=150, derandomize=True, deadline=None, database=None)
        @given(
            table=st.sampled_from(names),
            setting=st.sampled_from(["", "1", "2", "3", "0", "-1"]),
        )
        def ask(table, setting):
            app.execute("select set_config('truckroll.tenant', %s, false)", [setting])
            rows = app.execute(f"select distinct tenant from {table}").fetchall()
            assert rows in ([], [(int(setting or 0),)]), (table, setting)

        ask()


async def test_nobody_changes_or_takes_out_a_line_of_the_audit_log(both, database_url):
    await audit.write(both[0], "test", "x")
    options = f"-c role=truckroll_app -c search_path={SCHEMA} -c truckroll.tenant=1"
    for text in ("update audit set who = ''", "delete from audit", "truncate audit"):
        with psycopg.connect(database_url, options=options, autocommit=True) as app:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(text)


async def test_a_tenant_goes_with_all_that_it_has_and_nothing_else(both, database_url):
    acme, beta = both
    for wrong, says in (
        (("beta", ""), "Nothing was removed"),
        (("beta", "beat"), "Nothing was removed"),
        (("acme", "acme"), "first tenant"),
        (("gamma", "gamma"), "there is no tenant"),
    ):
        with pytest.raises(TroubleError, match=says):
            await tenants.remove(acme, wrong[0], confirmed=wrong[1])
    with pytest.raises(TroubleError, match="working in"):
        await tenants.remove(beta, "beta", confirmed="beta")
    with psycopg.connect(database_url, autocommit=True) as owner:
        before = _counts(owner)
        assert before[2]["record"] == 2
        await tenants.remove(acme, "beta", confirmed="beta")
        after = _counts(owner)
    assert 2 not in after
    assert after[1].pop("audit") > before[1].pop("audit")
    assert after[1] == before[1]
    assert [one.name for one in await tenants.listed(acme)] == ["acme"]


def _counts(owner):
    """Return how many rows each tenant has in each table."""
    found: dict = {}
    names = owner.execute(
        "select table_name::text from information_schema.columns"
        " where table_schema = 'truckroll' and column_name = 'tenant'"
    ).fetchall()
    for (name,) in names:
        for tenant, rows in owner.execute(
            f"select tenant, count(*) from truckroll.{name} group by tenant"
        ):
            found.setdefault(tenant, {})[name] = rows
    return found


async def test_names_of_tenants_are_their_own(both):
    acme, beta = both
    for name in ("Acme", "", "  ", "17", "x" * 101, "a\nb"):
        with pytest.raises(TroubleError):
            await tenants.add(acme, name)
        if name.strip() and name != "Acme":
            continue
        with pytest.raises(TroubleError):
            await tenants.rename(beta, name)
    assert (await tenants.rename(beta, "Beta Air")).name == "Beta Air"
    assert await tenants.find(acme.store, "beta air") == 2
    assert await tenants.find(acme.store, "2") == 2


async def test_what_spans_tenants_works_for_an_owner_that_is_no_superuser(
    server_url, template, tmp_path
):
    name = f"truckroll_test_{secrets.token_hex(6)}"
    parts = urlsplit(server_url)
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"create role {name} login password 'pw'")
        server.execute(f"create database {name} owner {name}")
        server.execute(f"grant truckroll_app to {name}")
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=f"{name}:pw@{host}", path=f"/{name}"))
        try:
            async with open_stores(url, tmp_path / "home") as stores:
                numbers = [await stores.of(1).add_tenant(one) for one in (CHOSEN, "beta")]
                acme, beta = (
                    Hub(tmp_path / "home", stores.of(one), actor=Actor(name="op", way="cli"))
                    for one in numbers
                )
                await settle(acme, tmp_path, CHOSEN)
                await settle(beta, tmp_path, "beta")
                made = await members.make_token(acme, "both", "boss", also=["beta"])
                found = await members.caller(acme.store, made.secret, "beta", acme.now())
                assert found.places == (1, 2)
                assert found.store.tenant == 2
                await tenants.remove(acme, "beta", confirmed="beta")
                assert await acme.store.tenants() == [1]
                assert len(await acme.store.accounts()) == 2
        finally:
            server.execute(f"drop database {name} with (force)")
            server.execute(f"drop role {name}")


async def test_a_line_of_the_audit_log_is_short_and_has_no_secret(both):
    acme, _ = both
    await audit.write(acme, "test", "Bearer tkr_abcdefghijklmnop", new={"text": "x" * 5000})
    (line, *_) = await audit.listed(acme)
    assert line.subject == "Bearer [hidden]"
    assert line.new == {"text": "5,000 letters"}
