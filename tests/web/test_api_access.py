"""Who may call, and what they may do."""


async def test_a_token_says_who_one_is(office):
    me = await office.well("GET", "/me", preset="dispatcher")
    assert me["name"] == "dispatcher"
    assert me["tenant"]["name"] == "acme"
    assert "holds.answer" in me["rights"]
    assert "members.manage" not in me["rights"]


async def test_lists(office):
    for path in ("/tenants", "/members", "/tokens", "/audit", "/accounts", "/recipes", "/runs"):
        print(path, await office.well("GET", path))
    print((await office.client.get("/api/openapi.json")).text[:300])
