"""The page of the API names every route, and what it says of them is so."""

from pathlib import Path

import httpx

from truckroll.web.app import CALLS_A_MINUTE, LARGEST_BODY, PATIENCE_SECONDS, make_app

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def as_table(app):
    """Return the routes as Markdown: method, path, right, and what they are for."""
    lines = [("", "path under /api/v1", "right", ""), ("---",) * 4]
    found = []
    for route in app.routes:
        if route.path_format.startswith("/api/v1"):
            for handler in route.route_handlers:
                for method in set(handler.http_methods) - {"OPTIONS", "HEAD"}:
                    path = route.path_format.removeprefix("/api/v1")
                    right = str(handler.opt["right"])
                    found.append((path, method, right, handler.summary))
    lines += [(method, f"`{path}`", right, says) for path, method, right, says in sorted(found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def test_the_page_has_every_route_and_the_limits(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    assert as_table(make_app(None, tmp_path)) in page
    for limit in (f"{CALLS_A_MINUTE} calls", f"{LARGEST_BODY // 1000:,} kB", "200 items"):
        assert limit in page
    assert f"{PATIENCE_SECONDS:.0f} seconds" in page


async def test_a_token_may_call_so_often_a_minute(office):
    state = office.app.state
    app = make_app(state.stores, state.home, calls_a_minute=3)
    headers = {"Authorization": f"Bearer {office.tokens['acme', 'csr']}"}
    others = {"Authorization": f"Bearer {office.tokens['acme', 'dispatcher']}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.example") as client:
        statuses = [(await client.get("/api/v1/me", headers=headers)).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        refused = await client.get("/api/v1/me", headers=headers)
        assert "used too often" in refused.json()["detail"]
        assert int(refused.headers["ratelimit-reset"]) <= 60
        assert (await client.get("/api/v1/me", headers=others)).status_code == 200
