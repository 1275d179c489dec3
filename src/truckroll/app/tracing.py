"""Spans of OpenTelemetry: where they begin, what they carry, where they go."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry import trace

    from truckroll.kit.watch import Id

_PROPAGATOR = TraceContextTextMapPropagator()


@contextmanager
def exporting() -> Iterator[TracerProvider]:
    """Give a provider whose spans leave by OTLP over HTTP, as the OTEL_ variables say.

    The last spans leave at the end of the context.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 -- slow
        OTLPSpanExporter,
    )

    about = {"service.name": "truckroll", "service.version": version("truckroll")}
    provider = TracerProvider(resource=Resource.create(about))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield provider
    finally:
        provider.shutdown()


@contextmanager
def spanning(
    tracer: trace.Tracer, name: str, parent: str, about: Mapping[str, Id]
) -> Iterator[None]:
    """Surround work with a span. `parent` is a traceparent of elsewhere, or "".

    Of an error only its kind is told: its sentence may name what a record holds.
    """
    above = _PROPAGATOR.extract({"traceparent": parent}) if parent else None
    with tracer.start_as_current_span(
        name,
        context=above,
        attributes={f"truckroll.{key}": value for key, value in about.items()},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def here() -> str:
    """Return the present span as a traceparent (W3C Trace Context), "" outside of any."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent", "")
