"""A toy vendor, to hold the kit to its word."""

from truckroll_sim.kit.auth import bearer
from truckroll_sim.kit.calls import Answer, Refused
from truckroll_sim.kit.push import Delivery
from truckroll_sim.kit.system import System


class Things:
    def __init__(self, toy):
        self._toy = toy

    def list(self, _options):
        return list(self._toy.things.rows())

    def get(self, key, _options):
        if (row := self._toy.things.get(key)) is None:
            raise KeyError(f"there is no thing {key}")
        return row

    def add(self, fields, _options):
        key = str(self._toy.kit.ids.number("thing"))
        return self._toy.things.put(key, {"id": key, **fields}).row

    def edit(self, key, fields, _options):
        return self._toy.things.put(key, {**self.get(key, {}), **fields}).row

    def remove(self, key, _options):
        self.get(key, {})
        self._toy.things.drop(key)


class Toy(System):
    name = "toy"
    also = ("toy-too",)

    def __init__(self, kit):
        super().__init__(kit)
        self.things = kit.table()
        self.records["things"] = Things(self)
        self.acts["greet"] = lambda wanted: {"hello": wanted["who"]}
        self.routes.add("GET", "/things", self._list)
        self.routes.add("GET", "/things/{id}", self._get)
        self.routes.add("GET", "/things/special", lambda _: Answer.json("special"))
        self.routes.add("POST", "/things", self._make)
        self.routes.add("POST", "/hook", self._hook)

    def credentials(self, base):
        return {"address": base, "token": self.kit.tokens.issue("ann")}

    def seed(self, parameters):
        if unknown := set(parameters) - {"things"}:
            raise ValueError(f"unknown parameter: {unknown}")
        for _ in range(parameters.get("things", 1)):
            self.records["things"].add({}, {})
        return {"things": len(self.things)}

    def account(self, call):
        grant = self.kit.tokens.grant(bearer(call))
        return grant.account if grant else None

    def not_found(self, _call):
        return Answer.json({"message": "nothing here"}, 404)

    def trouble(self, _call, fault):
        return Answer.json({"message": fault.reason}, fault.status)

    def _list(self, call):
        return Answer.json(list(self.things.rows(self.kit.faults.lag_seconds(call))))

    def _get(self, call):
        if (row := self.things.get(call.parts["id"])) is None:
            raise Refused(self.not_found(call))
        return Answer.json(row)

    async def _make(self, call):
        self.kit.outbox.tell("bob", "a thing", "it was made")
        return Answer.json(self.records["things"].add(call.json(), {}), 201)

    def _hook(self, call):
        self.kit.push.send(Delivery(call.json()["to"], {}, b"x", frozenset({503}), (0.01,)))
        return Answer.empty()
