"""The API keeps what its OpenAPI document says, whatever it is asked."""

import asyncio
import threading
from collections import Counter
from contextlib import contextmanager

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from truckroll.app import members
from truckroll.app.hub import Actor, Hub
from truckroll.recipes.compile import builtin
from truckroll.store.open import open_stores
from truckroll.web.app import make_app
from truckroll.web.server import listen_on, serve
from web.web_office import RECIPE, tables

NOTHING_TO_SAY = {"GET /api/v1/me"}
EXAMPLES = 10
KNOWN = {"recipes": {"name": RECIPE}, "accounts": {"name": "acme-jobs"}, "runs": {"run": 1}}
CHECKED = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "response_headers_conformance", "unsupported_method"),
    "negative_data_rejection",
)


@contextmanager
def served(database_url, home):
    """Serve a hub with two recipes from a thread; yields its address and a token."""
    ready: dict = {}
    up, stop = threading.Event(), None

    async def run():
        nonlocal stop
        stop = asyncio.Event()
        ready["loop"] = asyncio.get_running_loop()
        async with open_stores(database_url, home) as stores:
            await stores.of(1).add_tenant("acme")
            hub = Hub(home, stores.of(1), actor=Actor(name="op", way="cli"))
            await tables(hub, home.parent, "acme")
            bound = {"from": "acme-jobs", "to": "acme-copy", "zone": "America/New_York"}
            text = builtin()[RECIPE]
            await hub.store.install_recipe(RECIPE, text, bound, {})
            await members.add(hub, "boss", presets=["administrator"])
            ready["token"] = (await members.make_token(hub, "test", "boss")).secret
            listening = listen_on("127.0.0.1", 0)
            ready["url"] = f"http://127.0.0.1:{listening.getsockname()[1]}"
            app = make_app(
                stores, home, calls_a_minute=100_000, failures_a_minute=100_000, patience=0.2
            )
            await serve(app, listening, stop, up.set)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert up.wait(60)
    try:
        yield ready["url"], ready["token"]
    finally:
        ready["loop"].call_soon_threadsafe(stop.set)
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def address(database_url, tmp_path):
    with served(database_url, tmp_path / "home") as found:
        yield found


def _for_httpx(sent):
    """Turn what the library means for requests into what httpx takes.

    Its own client does not work beside the CalDAV client's: both bring a urllib3.
    """
    sent.pop("cookies", None)
    body = sent.pop("data", None)
    if isinstance(body, str):
        body = body.encode()
    return {**sent, "content": body} if body is not None else sent


def _removals_last(operation):
    """What takes things away comes last, and the token that all calls come with very last."""
    return operation.method == "delete", "tokens" in operation.path, operation.label


def ask_one(operation, call, statuses):
    """Ask an operation for what it takes and for what it does not, by known names and others."""
    checks = [CHECKS.get_one(name) for name in CHECKED]
    cases = operation.as_strategy()
    if operation.label not in NOTHING_TO_SAY:
        cases = st.one_of(cases, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, real=st.booleans())
    def ask(case, real):
        if real and operation.method != "delete":
            known = KNOWN.get(operation.path.split("/")[3], {})
            case.path_parameters = {**(case.path_parameters or {}), **known}
        answer = call(case)
        case.validate_response(answer, checks=checks)
        statuses[answer.status_code] += 1

    try:
        ask()
    except Exception as error:  # noqa: BLE001 -- all of them are told together
        return str(error)[:2000]
    return ""


def test_whatever_is_asked_the_answer_is_as_the_document_says(address):
    url, token = address
    headers = {"Authorization": f"Bearer {token}"}
    wrong, asked, statuses = [], set(), Counter()
    with httpx.Client(timeout=30) as client:

        def call(case):
            sent = case.as_transport_kwargs(base_url=url, headers=headers)
            return client.request(**_for_httpx(sent))

        document = client.get(f"{url}/api/openapi.json").json()
        assert document["openapi"].startswith("3.1")
        found = schemathesis.openapi.from_dict(document).get_all_operations()
        for operation in sorted((one.ok() for one in found), key=_removals_last):
            asked.add(operation.label)
            if says := ask_one(operation, call, statuses):
                wrong.append(f"{operation.label}: {says}")
    print(statuses)
    assert not wrong, "\n\n".join(wrong)
    assert len(asked) > 30
    assert {200, 201, 204, 400, 404, 422} <= set(statuses)
