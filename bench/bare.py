"""The bare loops: the least that has to be sent, by aiohttp at the given concurrency.

    bare:main PLAN     a JSON file: lists (address and sync token each), puts (address, body)
    bare:replay PLAN   a JSON file: a token, and calls (address, body) to be sent as they are

The first prints the new sync tokens as JSON. Nothing is parsed, compared or kept.
"""

import asyncio
import json
import re
import sys
from base64 import b64encode
from pathlib import Path

import aiohttp

_LIST = (
    '<?xml version="1.0" encoding="utf-8"?><D:sync-collection xmlns:D="DAV:" '
    'xmlns:C="urn:ietf:params:xml:ns:caldav"><D:sync-token>{token}</D:sync-token>'
    "<D:sync-level>1</D:sync-level><D:prop><D:getetag/><C:calendar-data/></D:prop>"
    "</D:sync-collection>"
)
_TOKEN = re.compile(r"sync-token>([^<]*)</[^>]*sync-token>")


async def send(plan: dict) -> list[str]:
    """Send the lists, then the PUTs; return the tokens that the lists ended with."""
    proofs = {"Authorization": f"Basic {b64encode(plan['proof'].encode()).decode()}"}
    gate = asyncio.Semaphore(plan["concurrency"])
    async with aiohttp.ClientSession() as session:

        async def ask(url: str, token: str) -> str:
            body = _LIST.format(token=token).encode()
            headers = {"Content-Type": "application/xml; charset=utf-8", "Depth": "0"} | proofs
            async with session.request("REPORT", url, data=body, headers=headers) as answer:
                text = await answer.text()
                found = _TOKEN.findall(text)
                assert answer.status == 207, text
                return found[-1]

        async def put(url: str, body: str) -> None:
            headers = {"Content-Type": "text/calendar; charset=utf-8"} | proofs
            async with gate, session.put(url, data=body.encode(), headers=headers) as answer:
                await answer.read()
                assert answer.status in {200, 201, 204}, f"{url}: {answer.status}"

        tokens = await asyncio.gather(*(ask(url, token) for url, token in plan["lists"]))
        await asyncio.gather(*(put(url, body) for url, body in plan["puts"]))
    return list(tokens)


async def again(plan: dict) -> None:
    """Send recorded multipart calls one after the other."""
    proof = {"Authorization": f"Bearer {plan['token']}"}
    async with aiohttp.ClientSession() as session:
        for url, body in plan["calls"]:
            boundary = body.split("\r\n", 1)[0].removeprefix("--")
            headers = proof | {"Content-Type": f'multipart/mixed; boundary="{boundary}"'}
            if not body.startswith("--"):
                headers["Content-Type"] = "application/json"
            async with session.post(url, data=body.encode(), headers=headers) as answer:
                text = await answer.text()
                assert answer.status == 200, text


def replay() -> int:
    asyncio.run(again(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
    return 0


def main() -> int:
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps(asyncio.run(send(plan))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
