"""OTLP to test: a collector that keeps what it is sent, and takes webhooks beside; it can be away, slow or broken."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Told:
    """A span as it came over the wire; ids in hex."""

    service: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, str]


@dataclass(slots=True)
class Collector:
    """What came. ``status``: what it answers; ``hooks``: the headers of each webhook."""

    url: str = ""
    status: int = 200
    asked: int = 0
    spans: list[Told] = field(default_factory=list)
    hooks: list[dict[str, str]] = field(default_factory=list)
    octets: bytes = b""
    """All that came, as it came."""
    goes_on: threading.Event = field(default_factory=threading.Event)
    """Until this is set no spans are answered."""

    def take(self, octets: bytes) -> None:
        """Read what an exporter sends. Raises what protobuf does for anything else."""
        self.octets += octets
        for resource in ExportTraceServiceRequest.FromString(octets).resource_spans:
            about = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Told(
                            about["service.name"],
                            span.name,
                            span.kind,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                            {one.key: str(one.value).strip() for one in span.attributes},
                        )
                    )

    def named(self, name: str, service: str = "") -> list[Told]:
        """Give the spans of a name, and of a service."""
        return [one for one in list(self.spans) if one.name == name and one.service.endswith(service)]


@contextmanager
def collector() -> Iterator[Collector]:
    """Run one."""
    own = Collector()
    own.goes_on.set()

    class Here(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take spans, or a webhook."""
            octets = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/hook":
                own.hooks.append({name.lower(): value for name, value in self.headers.items()})
                status = 200
            else:
                own.asked += 1
                own.goes_on.wait()
                status = own.status
                if status == 200:
                    own.take(octets)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Here)
    own.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield own
    finally:
        own.goes_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
