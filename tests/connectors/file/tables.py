"""Helpers of the tests on tables: a file on a disk, read and written through the connector."""

from connectors.file.world import NoHttp
from contract.bench import Held, Read
from truckroll.connectors.file import FILE
from truckroll.kit.contract import Change, Draft, Removal, Scope, Session, Unreadable
from truckroll.model.records import encode_fields

APPOINTMENTS = FILE.resource("appointment")
SCOPE = Scope("table", "table", "appointment")
ZONE = "America/New_York"


class Office:
    """A table in a file, with the account that reads it."""

    def __init__(self, path, data=b"", *, zone=ZONE, **settings):
        self.path = path
        self.held = Held()
        if data:
            self.write(data)
        self.session = Session(
            account="office",
            system="file",
            settings={"path": str(path), "zone": zone, **settings},
            http=NoHttp(),
            known=self.held,
        )

    def write(self, data):
        self.path.write_bytes(data if isinstance(data, bytes) else data.encode())

    @property
    def text(self):
        return self.path.read_bytes().decode()

    async def list(self, cursor=None):
        pages = [page async for page in APPOINTMENTS.listing(self.session, SCOPE, cursor)]
        for page in pages:
            for item in page.items:
                self.held.take(item)
        return Read(pages)

    async def fields(self, id_="J-1"):
        item = await self.read(id_)
        assert not isinstance(item, Unreadable), item.reason
        return item.fields

    async def reason(self, id_="J-1"):
        item = await self.read(id_)
        assert isinstance(item, Unreadable), item
        return item.reason

    async def read(self, id_="J-1"):
        return await APPOINTMENTS.read(self.session, SCOPE, id_)

    async def create(self, id_, mark="m", **fields):
        draft = Draft(id_, id_, mark, fields)
        return await APPOINTMENTS.create(self.session, SCOPE, draft)

    async def update(self, seen, **fields):
        change = Change(seen.id, seen.version, fields, {**seen.fields, **fields}, seen.raw)
        return await APPOINTMENTS.update(self.session, SCOPE, change)

    async def cancel(self, seen, **fields):
        change = Change(seen.id, seen.version, fields, dict(seen.fields), seen.raw)
        return await APPOINTMENTS.cancel(self.session, SCOPE, change)

    async def remove(self, seen):
        removal = Removal(seen.id, seen.version, seen.raw)
        await APPOINTMENTS.remove(self.session, SCOPE, removal)


def plain(fields):
    """Return fields as comparable bytes."""
    return encode_fields(fields)
