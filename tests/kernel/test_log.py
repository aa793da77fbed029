"""The log: one line each, fields beside a constant message, and no secrets."""

import json
import logging
from collections.abc import Iterator

import pytest

from kernel.log import REDACTED, JsonLines, TextLines, configure


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Give the root logger and put it back as it was."""
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    ours = logging.getLogger("waitroom")
    own_level = ours.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)
    ours.setLevel(own_level)


def record(message: str = "room opened", **fields: object) -> logging.LogRecord:
    """Make a log record with fields."""
    return logging.makeLogRecord(
        {"name": "waitroom.service", "levelname": "INFO", "msg": message, "created": 1_800_000_000.5} | fields
    )


def test_a_line_is_one_json_object_with_the_fields_in_it() -> None:
    """Time in UTC with milliseconds; what JSON does not know becomes text."""
    assert json.loads(JsonLines().format(record(room="main", rate=2.5, lanes=("a", {"b": 1}), odd={1}))) == {
        "time": "2027-01-15T08:00:00.500+00:00",
        "level": "info",
        "logger": "waitroom.service",
        "message": "room opened",
        "room": "main",
        "rate": 2.5,
        "lanes": ["a", {"b": 1}],
        "odd": "{1}",
    }


def test_a_field_cannot_displace_the_lines_own() -> None:
    """`time` of a field is dropped, not believed."""
    assert json.loads(JsonLines().format(record(time="yesterday")))["time"].startswith("2027")


@pytest.mark.parametrize(
    "name",
    ["ticket", "Token", "cookie", "secret", "authorization", "password", "set-cookie", "admission_token"],
)
def test_secrets_do_not_reach_the_output(name: str) -> None:
    """By name, at any depth, in both forms."""
    fields = {name: "hunter2", "headers": {name: "hunter2", "list": [{name: ["hunter2"]}], 5: "five"}}

    for formatter in (JsonLines(), TextLines()):
        line = formatter.format(record(**fields))
        assert "hunter2" not in line
        assert line.count(REDACTED) == 3
        assert "five" in line


def test_words_that_only_look_like_secrets_stay() -> None:
    """`tickets=5` is a count."""
    assert json.loads(JsonLines().format(record(tickets=5)))["tickets"] == 5


def test_the_text_form_is_for_people() -> None:
    """One line, fields behind; a line break in a text or field cannot fake a second line."""
    assert TextLines().format(record("opened\r\nfake", room="ma\nin", rate=2)) == (
        '2027-01-15T08:00:00.500+00:00 INFO    waitroom.service: opened\\r\\nfake room="ma\\nin" rate=2'
    )


def test_an_exception_comes_along() -> None:
    """In JSON as a field, in text below the line."""
    failed = record(exc_info=(RuntimeError, RuntimeError("boom"), None))

    assert "RuntimeError: boom" in json.loads(JsonLines().format(failed))["exception"]
    assert TextLines().format(failed).splitlines()[-1] == "RuntimeError: boom"


def test_configuring_twice_does_not_double_the_lines(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last form counts, the level holds, other people's handlers stay."""
    before = len(root.handlers)
    configure("warning", text=True, ours=["waitroom"])
    configure("info", ours=["waitroom"])
    logging.getLogger("waitroom").info("room opened", extra={"room": "main"})
    logging.getLogger("waitroom").debug("not this")

    lines = capsys.readouterr().err.splitlines()

    assert len(root.handlers) == before + 1
    assert [json.loads(line)["room"] for line in lines] == ["main"]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_packages_of_others_speak_from_warnings_on(
    level: str, root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looking for a fault of ours, nobody wants a stranger's headers and frames; an error is told by everybody."""
    configure(level, ours=["waitroom"])
    number = logging.getLevelNamesMapping()[level.upper()]
    for name in ("waitroom.service", "websockets.client"):
        for tells in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(tells, "> Cookie: a=b")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = [(line["logger"].partition(".")[0], line["level"].upper()) for line in lines]
    numbers = logging.getLevelNamesMapping()

    assert min(numbers[said] for name, said in told if name == "waitroom") == number
    assert min(numbers[said] for name, said in told if name == "websockets") == max(number, logging.WARNING)


def test_an_unknown_level_is_refused(root: logging.Logger) -> None:
    """The settings check it first; this is the last net, and leaves everything as it was."""
    before = list(root.handlers)

    with pytest.raises(ValueError, match="LOUD"):
        configure("loud")
    assert root.handlers == before
