"""OTLP: hands recorded spans to a collector, in the background (OpenTelemetry's SDK; extra ``waitroom[otel]``).

Spans wait in a queue of bounded length; a thread sends them in batches. Whatever the collector does (away, slow, 500),
a request only ever puts something into that queue: when it is full, the oldest are dropped. What an operator hears of
it is one line a minute at most. Ids, names and sampling are ours (``kernel.tracing``); the package writes and sends.
"""

import logging
import threading
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from kernel.tracing import Span, Trace

PATH = "/v1/traces"
QUEUE_MOST = 4_096
BATCH_MOST = 512
EVERY_MS = 1_000
PATIENCE_S = 5.0
CLOSE_S, GIVE_UP_S = 3.0, 1.0

_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_FINE, _WRONG = Status(StatusCode.UNSET), StatusCode.ERROR


class Otlp:
    """``tracing.Recorder``: sends what was recorded to one collector."""

    def __init__(
        self, endpoint: str, service: str, version: str, instance: str, *, every_ms: int = EVERY_MS
    ) -> None:
        """`endpoint`: the collector's base address, as http://127.0.0.1:4318; `service`: which process this is."""
        # The package tells of each batch that does not arrive; that is for those who look for it.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._resource = Resource({
            "service.namespace": "waitroom",
            "service.name": service,
            "service.version": version,
            "service.instance.id": instance,
        })  # fmt: skip
        self._scope = InstrumentationScope("waitroom", version)
        self._exporter = OTLPSpanExporter(endpoint.rstrip("/") + PATH, timeout=PATIENCE_S)
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=QUEUE_MOST,
            schedule_delay_millis=every_ms,
            max_export_batch_size=BATCH_MOST,
        )

    def record(self, span: Span) -> None:
        """Put a span into the queue."""
        trace = span.trace
        self._processor.on_end(
            ReadableSpan(
                span.name,
                context=_context(trace),
                parent=_context(trace._replace(span_id=span.parent)) if span.parent else None,
                resource=self._resource,
                attributes=span.attributes,
                links=[Link(_context(other)) for other in span.links],
                kind=_KINDS[span.kind],
                status=Status(_WRONG, span.error) if span.error else _FINE,
                start_time=span.started_ns,
                end_time=span.ended_ns,
                instrumentation_scope=self._scope,
            )
        )

    def close(self) -> None:
        """Send what waits, for some seconds at most; who is still trying then gives up."""
        closing = threading.Thread(target=self._processor.shutdown, name="otlp: the last spans", daemon=True)
        closing.start()
        closing.join(CLOSE_S)
        if closing.is_alive():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]
            closing.join(GIVE_UP_S)


def _context(trace: Trace) -> SpanContext:
    state: Any = TraceState.from_header([trace.state]) if trace.state else None
    return SpanContext(
        int(trace.trace_id, 16),
        int(trace.span_id, 16),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=state,
    )
