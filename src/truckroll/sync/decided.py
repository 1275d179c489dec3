"""What a person of the hub decides about records: it is agreed on their word, and written.

A decision enters as a changed value of what is agreed, so that needs and steps follow from it as
from any other change (SYNC §5, §6). The source is written before its followers: nobody's calendar
tells what the source did not take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from truckroll.model.records import Fields, same
from truckroll.sync.perform import Performer
from truckroll.sync.planned import planned_of
from truckroll.sync.run import ROUNDS
from truckroll.sync.types import PERSON, Decision, Note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from truckroll.sync.job import Job, Report
    from truckroll.sync.ports import OpenStep
    from truckroll.sync.types import Link, Outcome, Step


_CHANGED = "somebody changed it at the same moment"


class Said(msgspec.Struct, frozen=True):
    """A person's word on one link: `fields` in the mirror's terms, and why, as a phrase."""

    link: int
    fields: Fields
    why: str


class Answer(msgspec.Struct, frozen=True):
    """What became of a person's word: taken, or not, with what the system said.

    `doubtful` says that it may have been taken: the next pass finds out.
    """

    link: int
    taken: bool
    says: str = ""
    doubtful: bool = False


def decide(link: Link, said: Said, by: str) -> Decision:
    """Return the link as it is on a person's word; what follows from that is planned as ever."""
    agreed = {**link.agreed, **said.fields}
    words = {**link.by, **dict.fromkeys(said.fields, PERSON)}
    return Decision(
        link=msgspec.structs.replace(link, agreed=agreed, by=words),
        changed=True,
        notes=(Note("decided", f"{by} decided: {said.why}", 0, said.fields),),
    )


def foreseen(decision: Decision, said: Said) -> Link:
    """Return a planned link as it would be on a person's word, for a look ahead."""
    return decide(decision.link, said, "").link


async def take(
    job: Job, run: int, report: Report, words: Sequence[Said], *, by: str
) -> list[Answer]:
    """Agree on what a person says about some links, write it to the source, then to the others.

    The links are written in the order given; where the source does not take one, it and all after
    it stay as they were. Outcomes are in the report.
    """
    hands = _Hands(job, run, report)
    ids = [one.link for one in words]
    await _weigh(hands, ids)
    before = {one.id: one for one in await job.store.links(ids)}
    answers: list[Answer] = []
    for said in words:
        if answers and not answers[-1].taken:
            text = "it waits for the visit before it, which was not moved"
            answers.append(Answer(said.link, taken=False, says=text))
            continue
        answers.append(await _one(hands, before[said.link], said, by))
    taken = [said for said, answer in zip(words, answers, strict=True) if answer.taken]
    await _followers(hands, taken)
    return answers


async def _weigh(hands: _Hands, ids: Sequence[int]) -> None:
    """Weigh what was observed before it is decided about: the later word is the person's."""
    job = hands.job
    decisions = await planned_of(job, await job.store.links(ids), hands.waiting, said={})
    bare = [_due(msgspec.structs.replace(one, steps=()), job) for one in decisions]
    await job.store.journal(hands.run, bare, at=job.now())


async def _one(hands: _Hands, before: Link, said: Said, by: str) -> Answer:
    job = hands.job
    await job.store.journal(hands.run, [_due(decide(before, said, by), job)], at=job.now())
    (link,) = await job.store.links([said.link])
    if not _stands(link, said):
        return Answer(said.link, taken=False, says=_CHANGED)
    outcome = await hands.write([link], {link.key: said.why}, source=True)
    if outcome is None or outcome.kind == "done":
        (link,) = await job.store.links([said.link])
        taken = _stands(link, said)
        return Answer(said.link, taken=taken, says="" if taken else _CHANGED)
    if outcome.kind == "unknown":
        return Answer(said.link, taken=False, says=outcome.says, doubtful=True)
    await _take_back(hands, before, said, outcome.says)
    return Answer(said.link, taken=False, says=outcome.says)


def _stands(link: Link, said: Said) -> bool:
    return all(same(link.agreed.get(name), value) for name, value in said.fields.items())


async def _take_back(hands: _Hands, before: Link, said: Said, says: str) -> None:
    """Let stand what was agreed before a word that the source did not take."""
    job = hands.job
    (link,) = await job.store.links([said.link])
    agreed, words = dict(link.agreed), dict(link.by)
    for name in said.fields:
        agreed.pop(name, None)
        words.pop(name, None)
        if name in before.agreed:
            agreed[name] = before.agreed[name]
            words[name] = before.by.get(name, PERSON)
    decision = Decision(
        link=msgspec.structs.replace(link, agreed=agreed, by=words),
        changed=True,
        notes=(Note("not_taken", f"what was decided was not done: {says}"),),
    )
    await job.store.journal(hands.run, [_due(decision, job)], at=job.now())


def _due(decision: Decision, job: Job) -> Decision:
    return msgspec.structs.replace(decision, look_again_at=job.now())


async def _followers(hands: _Hands, words: Sequence[Said]) -> None:
    """Give every end what it needs of what was taken; conflicts are planned anew."""
    if not words:
        return
    for _ in range(ROUNDS):
        links = await hands.job.store.links([one.link for one in words])
        why = {one.link: one.why for one in words}
        outcome = await hands.write(links, {link.key: why[link.id] for link in links})
        if outcome is None or outcome.kind not in ("conflict", "gone"):
            return


class _Hands:
    """Plans, journals and performs the steps of some links in a run."""

    def __init__(self, job: Job, run: int, report: Report) -> None:
        self.job = job
        self.run = run
        self.waiting = report.waiting
        self._report = report
        scopes = {scope.id: scope.scope for scope in (*job.sources, *job.targets)}
        self._worst: Outcome | None = None
        self._performer = Performer(
            job.store, run, dict(job.hands), scopes, now=job.now, progress=self._heard
        )

    async def write(
        self, links: Sequence[Link], said: Mapping[str, str], *, source: bool = False
    ) -> Outcome | None:
        """Write what these links need, or the source alone of it.

        Returns None where nothing was needed, else an outcome that is not `done`, if there is.
        """
        decisions = await planned_of(self.job, links, self.waiting, said=said)
        if source:
            decisions = [_due(_source_alone(one), self.job) for one in decisions]
        opened = await self.job.store.journal(self.run, decisions, at=self.job.now())
        self._report.decisions.extend(decisions)
        self._report.steps.extend(one.step for one in opened)
        self._worst = None
        await self._performer.perform(opened)
        return self._worst

    def _heard(self, outcome: Outcome, opened: OpenStep) -> None:
        self._report.outcomes[outcome.kind] += 1
        if outcome.kind == "done":
            self._report.done.append(opened.step)
        else:
            self._report.failures.append((opened.step, outcome))
        if self._worst is None or outcome.kind != "done":
            self._worst = outcome


def _source_alone(decision: Decision) -> Decision:
    """Leave the followers' steps for later: their needs stay."""
    sources = {end.id for end in decision.link.ends if end.side == "source"}
    steps: tuple[Step, ...] = tuple(one for one in decision.steps if one.end in sources)
    return msgspec.structs.replace(decision, steps=steps)
