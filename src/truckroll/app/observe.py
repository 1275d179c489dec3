"""Metrics and traces: what the hub hears of itself, in the form that others scrape and collect."""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from truckroll.kit import watch
from truckroll.kit.retiring import Retiring, retiring
from truckroll.store.watch import Calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.sdk.trace import TracerProvider

    from truckroll.store.open import Stores

BUCKET_SECONDS = 15
MOST_LABELS = 2000  # sets of labels of one metric; further ones are counted together
_OTHER = "other"
_TRACES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 1800, 7200)

_COUNTS: Final[Mapping[watch.Count, tuple[str, tuple[str, ...]]]] = {
    "pushes": ("Pushes received", ("system", "result")),
    "runs": ("Runs that ended", ("result",)),
    "writes": ("Writes that ended", ("op", "result")),
    "reads": ("Reads of scopes that ended", ("system", "result")),
    "retries": ("Attempts after the first", ("system",)),
    "errands": ("Errands that ended", ("kind", "result")),
}
_LENGTHS: Final[Mapping[watch.Length, tuple[str, str]]] = {
    "delivery": ("delivery_latency", "From a push to the write that it led to"),
    "processing": ("processing_latency", "From an observation to the write that it led to"),
    "push_answer": ("push_answer", "From a push's first byte to the answer"),
    "read": ("read", "Length of a read of a scope"),
    "run": ("run", "Length of a run"),
}
_LEVELS: Final[Mapping[watch.Level, tuple[str, str]]] = {
    "budget_used": ("budget_used_ratio", "account"),
    "breaker": ("breaker_state", "account"),
    "errands_due": ("errands_due", "kind"),
}


class Meter:
    """The watcher of a process: Prometheus metrics, spans, and the calls that alarms look at.

    Calls are summed per account until `flush` writes them to the store. Made by `watching`.
    """

    def __init__(
        self, provider: TracerProvider | None = None, *, now: Callable[[], datetime] | None = None
    ) -> None:
        self.registry = CollectorRegistry()
        self._now = now or _utc_now
        self._calls: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        self._ends: dict[tuple[int, str], Retiring] = {}
        self._known: dict[str, dict[tuple[str, ...], Any]] = defaultdict(dict)
        self._tracer = provider.get_tracer("truckroll") if provider is not None else None
        self._counts = {
            name: Counter(f"truckroll_{name}", says, labels, registry=self.registry)
            for name, (says, labels) in _COUNTS.items()
        }
        self._lengths = {
            name: Histogram(
                f"truckroll_{full}_seconds", says, registry=self.registry, buckets=_SECONDS
            )
            for name, (full, says) in _LENGTHS.items()
        }
        self._levels = {
            name: Gauge(f"truckroll_{full}", full, ("tenant", label), registry=self.registry)
            for name, (full, label) in _LEVELS.items()
        }
        self._http = Counter(
            "truckroll_calls",
            "Calls to systems, every attempt counted",
            ("tenant", "account", "system", "status"),
            registry=self.registry,
        )

    @contextmanager
    def span(self, name: str, parent: str, about: Mapping[str, watch.Id]) -> Iterator[None]:
        """Surround a piece of work with a span, and bind its ids to what is logged within."""
        with watch.bound(**about):
            if self._tracer is None:
                yield
                return
            from truckroll.app.tracing import spanning  # noqa: PLC0415 -- only where it is on

            with spanning(self._tracer, name, parent, watch.ids()):
                yield

    def traceparent(self) -> str:
        """Return where we are, as the header of W3C Trace Context says it."""
        if self._tracer is None:
            return ""
        from truckroll.app.tracing import here  # noqa: PLC0415 -- only where it is on

        return here()

    def count(self, name: watch.Count, amount: int, labels: Mapping[str, str]) -> None:
        """Add to a count; labels that are not given are empty."""
        values = tuple(labels.get(label, "") for label in _COUNTS[name][1])
        self._child(name, self._counts[name], values).inc(amount)

    def measure(self, name: watch.Length, seconds: float, labels: Mapping[str, str]) -> None:
        """Take a length of time."""
        del labels  # a histogram has many series already
        self._lengths[name].observe(max(0.0, seconds))

    def level(self, name: watch.Level, value: float, labels: Mapping[str, str]) -> None:
        """Set a level of the tenant that is bound here."""
        values = (str(watch.ids().get("tenant", "")), labels.get(_LEVELS[name][1], ""))
        self._child(name, self._levels[name], values).set(value)

    def called(self, account: str, system: str, status: int, headers: Mapping[str, str]) -> None:
        """Count a call of an account of the tenant that is bound here."""
        tenant = watch.ids().get("tenant", 0)
        values = (str(tenant or ""), account, system, _class(status))
        self._child("calls", self._http, values).inc()
        if not (tenant and account):
            return
        self._calls[int(tenant), account][_column(status)] += 1
        if "deprecation" in headers or "sunset" in headers:
            end = retiring(headers, now=self._now())
            if end is not None:
                self._ends[int(tenant), account] = end

    async def flush(self, stores: Stores) -> None:
        """Write the calls heard of since the last time, and what systems say of their end."""
        calls, self._calls = self._calls, defaultdict(lambda: [0, 0, 0])
        ends, self._ends = self._ends, {}
        now = self._now()
        at = datetime.fromtimestamp(now.timestamp() // BUCKET_SECONDS * BUCKET_SECONDS, UTC)
        by_tenant: dict[int, dict[str, Calls]] = defaultdict(dict)
        for (tenant, account), numbers in calls.items():
            by_tenant[tenant][account] = Calls(*numbers)
        for tenant, theirs in by_tenant.items():
            await stores.of(tenant).note_calls(theirs, at=at)
        for (tenant, account), end in ends.items():
            await stores.of(tenant).note_end(
                account,
                deprecated_at=end.deprecated_at,
                sunset_at=end.sunset_at,
                more=end.more,
                at=now,
            )

    def _child(self, name: str, metric: Counter | Gauge, values: tuple[str, ...]) -> Any:
        """Return the series of these labels; beyond the bound, the one of all others."""
        known = self._known[name]
        if values not in known:
            full = len(known) >= MOST_LABELS
            child = metric.labels(*((_OTHER,) * len(values) if full else values))
            if full:
                return child
            known[values] = child
        return known[values]


@contextmanager
def watching() -> Iterator[Meter]:
    """Give the meter of a process, and let everything within the context be heard.

    Spans leave by OTLP over HTTP where OTEL_EXPORTER_OTLP_ENDPOINT is set (OpenTelemetry,
    "OTLP Exporter Configuration"); else none are made.
    """
    if not any(os.environ.get(name) for name in _TRACES):
        meter = Meter()
        with watch.watched(meter):
            yield meter
        return
    from truckroll.app.tracing import exporting  # noqa: PLC0415 -- slow to import, seldom on

    with exporting() as provider:
        meter = Meter(provider)
        with watch.watched(meter):
            yield meter


def _class(status: int) -> str:
    return f"{status // 100}xx" if status else "none"


def _column(status: int) -> int:
    """Return 0 for an answer, 1 for a request to pause, 2 for a failure or no answer at all."""
    if status == 429:  # noqa: PLR2004 -- statuses are best known by number
        return 1
    return 2 if status == 0 or status >= 500 else 0  # noqa: PLR2004 -- the class of failures


def _utc_now() -> datetime:
    return datetime.now(UTC)
