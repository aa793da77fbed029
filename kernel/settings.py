"""Setting: one named value that an operator chooses, from the environment or a TOML table.

A package declares its settings as a frozen dataclass whose fields come from ``setting``. The field
``data_folder`` is read from WAITROOM_DATA_FOLDER, else from the key ``data_folder`` of the table, else
its default counts. A secret may also stand in a file: WAITROOM_X_FILE (or the key ``x_file``) names it,
one line break at its end is dropped, and the value never shows in ``repr`` or in a fault.

All faults are told at once, unknown names with a guess among them: a misspelt setting that is silently
ignored is how a sale runs with the wrong limit. Checks of several fields together belong into
``__post_init__``, which raises ``Misconfigured``; they run when the fields themselves are right.

Types: ``int float str bool Path tuple[str, ...]``, each also ``| None`` (empty in the environment means
None).
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from kernel.errors import Misconfigured

Settings = TypeVar("Settings")

PREFIX = "WAITROOM_"
LIST = tuple[str, ...]
TYPE_NAMES: Mapping[object, str] = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    Path: "path",
    LIST: "comma-separated list",
}
_WORDS = {
    word: value
    for value, words in ((True, "true yes on 1"), (False, "false no off 0"))
    for word in words.split()
}
_REQUIRED: Any = dataclasses.MISSING
_META = "setting"


@dataclass(frozen=True, slots=True)
class Rule:
    """What ``setting`` says about a field beside its type."""

    help: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str | int, ...]
    secret: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as documentation and ``waitroom check settings`` show it."""

    name: str
    env: str
    type: str
    default: str
    help: str
    secret: bool


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    kind: object
    optional: bool
    default: Any
    rule: Rule


def setting(
    *,
    default: Any = _REQUIRED,
    help: str,  # noqa: A002 (it is what argparse and others call it)
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str | int] = (),
    secret: bool = False,
) -> Any:
    """Declare a field; without a default it must be given. Limits are inclusive."""
    rule = Rule(help, minimum, maximum, tuple(choices), secret)
    return dataclasses.field(default=default, metadata={_META: rule}, repr=not secret, kw_only=True)


def read(
    cls: type[Settings],
    environ: Mapping[str, str],
    table: Mapping[str, object] = types.MappingProxyType({}),
    prefix: str = PREFIX,
) -> Settings:
    """Read one class of settings.

    Raises ``Misconfigured`` with every fault there is.
    """
    made: Settings = read_all((cls,), environ, table, prefix)[0]
    return made


def read_all(
    classes: Sequence[type[Any]],
    environ: Mapping[str, str],
    table: Mapping[str, object] = types.MappingProxyType({}),
    prefix: str = PREFIX,
) -> list[Any]:
    """Read several classes from the same sources: a name is unknown when none of them has it.

    Raises ``Misconfigured`` with every fault there is.
    """
    faults: list[str] = []
    made: list[Any] = []
    fields = [_fields(cls) for cls in classes]
    faults += _unknown(
        {name for own in fields for field in own for name in _spellings(field)}, environ, table, prefix
    )
    for cls, own in zip(classes, fields, strict=True):
        before = len(faults)
        values = {field.name: _value(field, environ, table, prefix, faults) for field in own}
        if len(faults) == before:
            try:
                made.append(cls(**values))
            except Misconfigured as error:
                faults += error.faults
    if faults:
        raise Misconfigured(faults)
    return made


def describe(cls: type[Any], prefix: str = PREFIX) -> list[Row]:
    """Return a row for each setting, in the order of the class."""
    return [
        Row(
            field.name,
            prefix + field.name.upper(),
            _type_text(field),
            _default_text(field),
            field.rule.help,
            field.rule.secret,
        )
        for field in _fields(cls)
    ]


def _fields(cls: type[Any]) -> list[_Field]:
    hints = typing.get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        options = [hint for hint in typing.get_args(hints[field.name]) if hint is not type(None)]
        optional = isinstance(hints[field.name], types.UnionType)
        kind = options[0] if optional and len(options) == 1 else hints[field.name]
        if kind not in TYPE_NAMES or _META not in field.metadata:
            raise TypeError(f"{cls.__name__}.{field.name} is not a setting of a known type")
        found.append(_Field(field.name, kind, optional, field.default, field.metadata[_META]))
    return found


def _spellings(field: _Field) -> tuple[str, ...]:
    return (field.name, f"{field.name}_file") if field.rule.secret else (field.name,)


def _unknown(
    known: set[str], environ: Mapping[str, str], table: Mapping[str, object], prefix: str
) -> Iterator[str]:
    for name in sorted(environ):
        bare = name.removeprefix(prefix)
        if name.startswith(prefix) and bare not in {right.upper() for right in known}:
            yield _guess(name, bare.lower(), known, lambda right: prefix + right.upper())
    for name in sorted(table.keys() - known):
        yield _guess(name, name, known, str)


def _guess(name: str, bare: str, known: set[str], spelling: Callable[[str], str]) -> str:
    close = difflib.get_close_matches(bare, sorted(known), n=1)
    return f"{name}: there is no such setting" + (f"; did you mean {spelling(close[0])}?" if close else ".")


def _value(
    field: _Field, environ: Mapping[str, str], table: Mapping[str, object], prefix: str, faults: list[str]
) -> Any:
    """Return the value of a field, or add a fault and return anything."""
    env = prefix + field.name.upper()
    for source, plain, read_one in ((environ, env, _from_text), (table, field.name, _from_toml)):
        in_file = plain + ("_FILE" if source is environ else "_file")
        has_file = field.rule.secret and in_file in source
        label = in_file if has_file else plain
        if has_file and plain in source:
            faults.append(f"{plain}: set either this or {in_file}.")
            return None
        try:
            if has_file:
                return _checked(field, _from_text(field, _file_text(source[in_file])))
            if plain in source:
                return _checked(field, read_one(field, typing.cast("Any", source[plain])))
        except ValueError as error:
            faults.append(f"{label}: {error}.")
            return None
    if field.default is _REQUIRED:
        faults.append(f"{env}: must be set ({field.rule.help}).")
    return field.default


def _file_text(path: object) -> str:
    if not isinstance(path, str) or not path:
        raise ValueError("must be the path of a file")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"the file {path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"the file {path} is not UTF-8 text") from error
    return text.removesuffix("\n").removesuffix("\r")


def _from_text(field: _Field, text: str) -> Any:
    if field.optional and not text:
        return None
    try:
        if field.kind is int:
            return int(text)
        if field.kind is float:
            return float(text)
        if field.kind is bool:
            return _WORDS[text.strip().lower()]
    except (ValueError, KeyError):
        raise _mismatch(field, text) from None
    if field.kind is Path:
        return _path(field, text)
    if field.kind == LIST:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _from_toml(field: _Field, value: object) -> Any:
    if field.kind == LIST:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ValueError("must be a list of texts")
    if field.kind is Path and isinstance(value, str):
        return _path(field, value)
    if field.kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if field.kind is type(value):
        return value
    raise _mismatch(field, value)


def _path(field: _Field, text: str) -> Path:
    if not text or "\0" in text:
        raise _mismatch(field, text)
    return Path(text)


def _mismatch(field: _Field, value: object) -> ValueError:
    shown = "" if field.rule.secret else f", not {value!r}"
    return ValueError(
        f"must be a {TYPE_NAMES[field.kind]}{shown}"
        if field.kind is not bool
        else f"must be true or false{shown}"
    )


def _checked(field: _Field, value: Any) -> Any:
    rule = field.rule
    shown = "" if rule.secret else f", not {value!r}"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be a finite number{shown}")
    if rule.choices and value is not None:
        for item in value if isinstance(value, tuple) else (value,):
            if item not in rule.choices:
                listed = ", ".join(str(choice) for choice in rule.choices)
                raise ValueError(f"must be one of {listed}" + ("" if rule.secret else f", not {item!r}"))
    if isinstance(value, int | float):
        if rule.minimum is not None and value < rule.minimum:
            raise ValueError(f"must be at least {rule.minimum:g}{shown}")
        if rule.maximum is not None and value > rule.maximum:
            raise ValueError(f"must be at most {rule.maximum:g}{shown}")
    return value


def _type_text(field: _Field) -> str:
    rule = field.rule
    text = " or ".join(str(choice) for choice in rule.choices) or TYPE_NAMES[field.kind]
    if rule.minimum is not None:
        text += f" ≥ {rule.minimum:g}"
    if rule.maximum is not None:
        text += f" ≤ {rule.maximum:g}"
    return text


def _default_text(field: _Field) -> str:
    if field.default is _REQUIRED:
        return "required"
    if field.default is None:
        return ""
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return ",".join(field.default) if isinstance(field.default, tuple) else str(field.default)


def env(name: str) -> str:
    """Give the environment's name of a setting."""
    return PREFIX + name.upper()


def is_site(url: str) -> bool:
    """Tell whether a text is the address of a site: http or https, a host, no query."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not parts.query
        )
    except ValueError:
        return False
