"""Script: one transition of the shared state, run by the store in one piece.

The comment at the head of a Lua file is the signature of the call::

    -- join: give the next numbers to a batch of fans and keep their leaves.
    -- KEYS: line, journal, leaves...
    -- ARGV: run, count, leaf...
    -- RETURNS: {'joined', first} | {'full'} | {'closed', phase}
    local line, journal = KEYS[1], KEYS[2]
    local run, count = ARGV[1], tonumber(ARGV[2])

``leaves...`` takes a list; only the last name of a line may. A script without keys or arguments
says ``none``. A comment line that begins none of the four parts goes on with the part before it.
``load`` refuses a head that is incomplete, a name that is not the file's, and locals whose order
is not the head's; ``call`` refuses wrong names before the store is asked.

Time: each call carries one more argument that the file does not see, ``now_ms``. A prelude on the
file's first line (line numbers in the store's errors stay right) takes it off ARGV; where it is empty
the store's own ``TIME`` counts. Either way the script finds a whole number in the local ``now_ms``.
For a number above 10^14 use ``string.format('%.0f', n)``: Lua's ``..`` would round it.

Asking twice: EVALSHA; where the store answers NOSCRIPT nothing has run, so the script is loaded and
called again. Any other failure is the caller's to judge, because the script may have run.

Errors of the client pass through; ``kernel.store.translated`` turns them into ``Unavailable``.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from redis.exceptions import NoScriptError

from kernel.errors import Misconfigured
from kernel.store import Store

PRELUDE = (
    "local now_ms = table.remove(ARGV) "
    "if now_ms == '' then local t = redis.call('TIME') now_ms = t[1] * 1000 + math.floor(t[2] / 1000) "
    "else now_ms = tonumber(now_ms) end "
)

START = " start(KEYS, now_ms) "
"""Ends what a script may have in front of it: functions that are made once, the last of them ``start``, which begins a
call. Where one command runs a script many times (``kernel.batch``) they are made once for all of them."""

Scalar = str | int | bytes

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TITLE = re.compile(r"([a-z][a-z0-9_]*): (\S.*)")
_PART = re.compile(r"(KEYS|ARGV|RETURNS): *(.*)")
_ITEM = r"(?:\w+\(\s*)?(?:KEYS|ARGV)\[\d+\](?:\s*\))?"
_LOCALS = re.compile(rf"\blocal\s+(\w+(?:\s*,\s*\w+)*)\s*=\s*({_ITEM}(?:\s*,\s*{_ITEM})*)")
_INDEX = re.compile(r"(KEYS|ARGV)\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Script:
    """A loaded file. ``keys`` and ``args`` are the head's names; a trailing ``...`` marks a list."""

    name: str
    sentence: str
    keys: tuple[str, ...]
    args: tuple[str, ...]
    returns: str
    text: str
    sha1: str

    def mutated(self, old: str, new: str) -> "Script":
        """Return the script with its one occurrence of ``old`` replaced: for tests of a guard.

        Such a test takes the guard out of the script and shows that the check then fails.
        Raises ``ValueError`` unless ``old`` stands in the file exactly once, so that a mutant cannot
        silently become the original.
        """
        found = self.text.count(old, len(PRELUDE))
        if found != 1:
            raise ValueError(f"the script {self.name} holds {old!r} {found} times, not once")
        return _with_text(self, self.text[: len(PRELUDE)] + self.text[len(PRELUDE) :].replace(old, new))


def _with_text(script: Script, text: str) -> Script:
    return replace(script, text=text, sha1=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def load(path: Path) -> Script:
    """Read a Lua file and its head.

    Raises ``Misconfigured`` with all faults of the file.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path.name}: cannot be read: {error}") from error
    return _read(path, source)


@lru_cache(maxsize=256)
def _read(path: Path, source: str) -> Script:
    """Understand a file: once, however many stores of a process ask for it."""
    parts = _head(source)
    faults: list[str] = []
    title = _TITLE.fullmatch(parts.get("", ""))
    if title is None:
        faults.append("the first line must be '-- name: what it does.'")
    elif title[1] != path.stem:
        faults.append(f"the head names {title[1]!r}")
    names = {part: _names(part, parts, faults) for part in ("KEYS", "ARGV")}
    if not parts.get("RETURNS"):
        faults.append("the head has no RETURNS line")
    if not faults:
        faults.extend(_misplaced(source, names))
    if faults or title is None:
        raise Misconfigured([f"{path.name}: {fault}" for fault in faults])
    script = Script(title[1], title[2], names["KEYS"], names["ARGV"], parts["RETURNS"], "", "")
    return _with_text(script, PRELUDE + source)


def _head(source: str) -> dict[str, str]:
    """Split the comment at the top into its parts; the title stands under the empty name."""
    parts: dict[str, str] = {}
    part = ""
    for line in source.splitlines():
        if not line.startswith("--"):
            break
        text = line[2:].strip()
        begun = _PART.fullmatch(text)
        if begun is not None:
            part, text = begun[1], begun[2]
        parts[part] = f"{parts.get(part, '')} {text}".strip()
    return parts


def _names(part: str, parts: Mapping[str, str], faults: list[str]) -> tuple[str, ...]:
    if not parts.get(part):
        faults.append(f"the head has no {part} line")
        return ()
    if parts[part] == "none":
        return ()
    names = tuple(name.strip() for name in parts[part].split(","))
    for place, name in enumerate(names):
        last = place == len(names) - 1
        if _NAME.fullmatch(name.removesuffix("...") if last else name) is None:
            faults.append(f"{part}: {name!r} is not a name" + ("" if last else " (a list only as the last)"))
    bare = [name.removesuffix("...") for name in names]
    faults.extend(f"{part}: {name!r} stands twice" for name in sorted(set(bare)) if bare.count(name) > 1)
    return names


def _misplaced(source: str, names: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Find locals that are not what the head calls them, and indexes that no call fills."""
    for local in _LOCALS.finditer(source):
        given = [name.strip() for name in local[1].split(",")]
        for name, (part, number) in zip(given, _INDEX.findall(local[2]), strict=False):
            place = int(number) - 1
            if 0 <= place < len(names[part]) and names[part][place] not in (name, f"{name}..."):
                called = names[part][place]
                yield f"the local {name!r} takes {part}[{number}], which the head calls {called!r}"
    for part, number in _INDEX.findall(source):
        known = names[part]
        open_ended = bool(known) and known[-1].endswith("...")
        if not open_ended and not 1 <= int(number) <= len(known):
            yield f"{part}[{number}] is not in the head"


async def call(
    client: Store,
    script: Script,
    keys: Mapping[str, str | Sequence[str]],
    args: Mapping[str, Scalar | Sequence[Scalar]],
    now_ms: int | None = None,
) -> list[Any]:
    """Run ``script`` and return its list: the first item is the outcome's word, the rest ints and bytes.

    Raises ``ValueError`` for a missing, unknown or wrongly shaped name, before the store is asked.
    """
    given_keys = _in_order(script, "KEYS", script.keys, keys)
    given_args = _in_order(script, "ARGV", script.args, args)
    return await fast_call(client, script, given_keys, given_args, now_ms)


async def fast_call(
    client: Store, script: Script, keys: Sequence[str], argv: Sequence[Scalar], now_ms: int | None = None
) -> list[Any]:
    """Run ``script`` with keys and arguments already in the head's order: for the hot path."""
    rest = (*keys, *argv, "" if now_ms is None else now_ms)
    try:
        reply = await client.evalsha(script.sha1, len(keys), *rest)
    except NoScriptError:
        await client.script_load(script.text)
        reply = await client.evalsha(script.sha1, len(keys), *rest)
    if not isinstance(reply, list) or not reply or not isinstance(reply[0], bytes):
        raise TypeError(f"the script {script.name} returned {reply!r}, not a list that begins with a word")
    reply[0] = reply[0].decode()
    return reply


def _in_order(script: Script, part: str, names: tuple[str, ...], given: Mapping[str, Any]) -> list[Any]:
    wanted = {name.removesuffix("...") for name in names}
    faults = [f"{name} is missing" for name in sorted(wanted - given.keys())]
    faults += [f"{name} is unknown" for name in sorted(given.keys() - wanted)]
    if faults:
        raise ValueError(f"{script.name} {part}: {', '.join(faults)}")
    return list(chain.from_iterable(_values(script, part, name, given) for name in names))


def _values(script: Script, part: str, name: str, given: Mapping[str, Any]) -> Sequence[Any]:
    value = given[name.removesuffix("...")]
    values = value if name.endswith("...") and isinstance(value, list | tuple) else (value,)
    allowed = str if part == "KEYS" else Scalar
    if (name.endswith("...") and values is not value) or not all(
        isinstance(item, allowed) and not isinstance(item, bool) for item in values
    ):
        raise ValueError(f"{script.name} {part}: {name} cannot be {value!r}")
    return values
