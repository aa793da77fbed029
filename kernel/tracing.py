"""Tracing: one id for all that comes of one request, in every process that it passes (W3C Trace Context, level 1).

A trace is named by 16 octets and each step in it, a *span*, by 8; both travel in the header ``traceparent``, and what
other makers add in ``tracestate``. That works without any package: every request has a trace (``kernel.traced``), it
stands in every log line (``kernel.log``) and goes on to whoever is asked. What takes time is *recorded* only where a
``Recorder`` was installed (``kernel.otlp``), and only of traces that are sampled; elsewhere ``span`` costs a look.

* **Ids say nothing.** They are drawn, or derived from a secret name by SHA-256 (``derived``): so a later visit can
  point at an earlier one without anything being stored.
* **Kept** traces (``written``, in a row of a table) are gone on with by ``continuing``: whoever works on it later, in
  whichever process, is in the same trace. Where that happens inside of another request, the two are linked.

No personal data belongs into a name or an attribute: rooms, lanes, numbers, words from closed sets. Why so: ADR-0046.
"""

import random
import re
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from hashlib import sha256
from types import TracebackType
from typing import NamedTuple, Protocol

Attribute = str | int | float | bool

PARENT, STATE = b"traceparent", b"tracestate"
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = "internal", "server", "client", "producer", "consumer"
"""Kinds of spans, as OpenTelemetry names them."""

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(r"[\x20-\x7e]{1,512}")
_SAMPLED = 1
_dice = random.Random()  # noqa: S311 (a name, not a secret)


class Trace(NamedTuple):
    """Where we are: the trace, the span in it, and whether it is recorded."""

    trace_id: str
    span_id: str
    sampled: bool = False
    state: str = ""


class Sampling(NamedTuple):
    """Which traces that begin here are recorded: this share of them, and all whose address holds one of these words."""

    ratio: float = 0.0
    always: tuple[str, ...] = ()


class Span:
    """A step that is being recorded. Times are nanoseconds since 1970."""

    __slots__ = ("attributes", "ended_ns", "error", "kind", "links", "name", "parent", "started_ns", "trace")

    def __init__(self, name: str, kind: str, trace: Trace, parent: str) -> None:
        """`parent`: the id of the span that it is a part of, '' for the first one of a trace."""
        self.name = name
        self.kind = kind
        self.trace = trace
        self.parent = parent
        self.attributes: dict[str, Attribute] = {}
        self.links: list[Trace] = []
        self.error = ""
        self.started_ns = time.time_ns()
        self.ended_ns = 0

    def set(self, name: str, value: Attribute) -> None:
        """Note something of the step; never of a person."""
        self.attributes[name] = value

    def fail(self, why: str) -> None:
        """Say that it went wrong; `why` is a word from a closed set."""
        self.error = why
        self.attributes["error.type"] = why

    def link(self, other: Trace) -> None:
        """Point at a step of another trace."""
        self.links.append(other)


class Recorder(Protocol):
    """Takes what was recorded. It never waits and never raises."""

    def record(self, span: Span) -> None:
        """Take a step that has ended."""

    def close(self) -> None:
        """Hand over what is left, for a bounded time."""


class _State:
    """What is installed in this process."""

    recorder: Recorder | None = None
    sampling = Sampling()


class Unnamed:
    """A trace that has begun, whose name nobody has asked for yet: most requests end without that."""

    __slots__ = ("trace",)

    def __init__(self) -> None:
        self.trace: Trace | None = None


_current: ContextVar[Trace | Unnamed | None] = ContextVar("trace", default=None)


# ------------------------------------------------------------------------------ the wire's form


def parse(parent: str, state: str = "") -> Trace | None:
    """Read both headers; None for a ``traceparent`` that is malformed. A malformed ``tracestate`` is left out.

    >>> parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").span_id
    '00f067aa0ba902b7'
    """
    found = _PARENT.fullmatch(parent)
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    carried = state if _STATE.fullmatch(state) else ""
    return Trace(trace_id, span_id, bool(int(flags, 16) & _SAMPLED), carried)


def written(trace: Trace | None) -> str:
    """Write a trace as ``traceparent`` has it, to be sent on or kept; '' for none."""
    if trace is None:
        return ""
    return f"00-{trace.trace_id}-{trace.span_id}-{'01' if trace.sampled else '00'}"


def onward(trace: Trace | None = None) -> dict[str, str]:
    """Give the headers with which whoever is asked continues the trace; none outside of one."""
    here = trace or current()
    if here is None:
        return {}
    told = {"traceparent": written(here)}
    if here.state:
        told["tracestate"] = here.state
    return told


# ------------------------------------------------------------------------------ where we are


def current() -> Trace | None:
    """Tell where we are; None outside of any request."""
    here = _current.get()
    if not isinstance(here, Unnamed):
        return here
    if here.trace is None:
        here.trace = new()
    return here.trace


def enter(trace: Trace | Unnamed | None) -> Token[Trace | Unnamed | None]:
    """Be in a trace from here on; `leave` takes what this returns."""
    return _current.set(trace)


def leave(token: Token[Trace | Unnamed | None]) -> None:
    """Be where we were."""
    _current.reset(token)


def new(*, sampled: bool = False) -> Trace:
    """Begin a trace."""
    return Trace(f"{_dice.getrandbits(128) or 1:032x}", f"{_dice.getrandbits(64) or 1:016x}", sampled)


def derived(kind: str, *of: str) -> Trace:
    """Name a step by what it is about, the same whenever it is asked for. What it is about cannot be read from it.

    It is its own trace's only step; whether it is recorded follows from the name as well.
    """
    parts = [part.encode() for part in ("waitroom-trace-1", kind, *of)]
    digest = sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).hexdigest()
    return Trace(digest[:32], digest[32:48], _drawn(digest[:32]))


def begins(address: str) -> bool:
    """Tell whether a trace of a request to this address is recorded, whatever the dice say."""
    return _State.recorder is not None and any(word in address for word in _State.sampling.always)


def root(address: str) -> Trace:
    """Begin the trace of a request; sampled by chance, and always for some addresses."""
    fresh = new()
    if _State.recorder is None:
        return fresh
    return fresh._replace(sampled=_drawn(fresh.trace_id) or begins(address))


def _drawn(trace_id: str) -> bool:
    """Draw by the id itself, as OpenTelemetry does: everybody who knows the id and the share draws alike."""
    if _State.recorder is None:
        return False
    return int(trace_id[16:], 16) < _State.sampling.ratio * 2**64


# ------------------------------------------------------------------------------ recording


def install(recorder: Recorder | None, sampling: Sampling | None = None) -> None:
    """Record from here on; None: nothing any more."""
    _State.recorder = recorder
    _State.sampling = sampling or Sampling()


def close() -> None:
    """Hand over what is left, and record no more."""
    recorder, _State.recorder = _State.recorder, None
    if recorder is not None:
        recorder.close()


def is_recording() -> bool:
    """Tell whether this process records at all."""
    return _State.recorder is not None


class Step:
    """A span under way, as a context manager; gives the ``Span``, or None where nothing is recorded."""

    __slots__ = ("_inside", "_span", "_token")

    def __init__(self, inside: Trace | None, span: Span | None) -> None:
        """`inside`: where we are meanwhile; None leaves us where we are."""
        self._inside = inside
        self._span = span
        self._token: Token[Trace | Unnamed | None] | None = None

    def __enter__(self) -> Span | None:
        if self._inside is not None:
            self._token = _current.set(self._inside)
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
        if self._span is not None:
            if kind is not None and not self._span.error:
                self._span.fail(kind.__name__)
            record(self._span)


_NOTHING = Step(None, None)


def record(span: Span) -> None:
    """Hand a span over that has just ended."""
    span.ended_ns = time.time_ns()
    if _State.recorder is not None:
        _State.recorder.record(span)


def begun(
    name: str, kind: str, parent: Trace, links: Sequence[Trace] = (), *, is_root: bool = False
) -> tuple[Trace, Span]:
    """Begin a span of a sampled trace: a part of `parent`, or with `is_root` that step itself."""
    own = parent if is_root else parent._replace(span_id=f"{_dice.getrandbits(64) or 1:016x}")
    span = Span(name, kind, own, "" if is_root else parent.span_id)
    span.links.extend(links)
    return own, span


def span(
    name: str,
    kind: str = INTERNAL,
    attributes: Mapping[str, Attribute] | None = None,
    links: Sequence[Trace] = (),
) -> Step:
    """Record what happens inside as a step of the trace that we are in."""
    if _State.recorder is None or (here := current()) is None or not here.sampled:
        return _NOTHING
    own, made = begun(name, kind, here, links)
    made.attributes.update(attributes or {})
    return Step(own, made)


def continuing(
    kept: str, name: str, kind: str = INTERNAL, attributes: Mapping[str, Attribute] | None = None
) -> Step:
    """Go on with a trace that was kept; with none, or in it already, this is `span`.

    Where it happens inside of another trace the step is linked with that.
    """
    here, there = current(), parse(kept)
    if there is None:
        if here is None:
            return Step(new(), None)
        return span(name, kind, attributes)
    if here is not None and here.trace_id == there.trace_id:
        return span(name, kind, attributes)
    if not there.sampled or _State.recorder is None:
        return Step(there, None)
    own, made = begun(name, kind, there, [] if here is None else [here])
    made.attributes.update(attributes or {})
    return Step(own, made)


def at_place(room: str, number: int, lane: str) -> dict[str, Attribute]:
    """Give what may be told of a place in a line."""
    return {"waitroom.room": room, "waitroom.number": number, "waitroom.lane": lane}


def milestone(
    kind: str, of: Sequence[str], attributes: Mapping[str, Attribute], before: Sequence[Trace] = ()
) -> None:
    """Record a step of a fan's way that later visits point at: its name is derived, so nobody has to remember it.

    It is linked with the request that we are in, and with the steps `before` it. It is recorded if either is sampled.
    """
    here, own = current(), derived(kind, *of)
    if _State.recorder is None or not (own.sampled or (here is not None and here.sampled)):
        return
    links = [*([] if here is None else [here]), *before]
    _, made = begun(kind, INTERNAL, own, links, is_root=True)
    made.attributes.update(attributes)
    record(made)
