"""``waitroom plan``, ``apply`` and ``export``: against the operator's port as it is wired, on a real store."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway import apply_command
from gateway.cli import main
from gateway.operator_client import Answer, NoAnswer, OperatorClient
from tests.dashboards.wired import TOKEN, running
from waitroom import rooms_plan

SALE = """
[[rooms.main.sales]]
name = "spring"
event_start_time = 2096-06-01T10:00:00+02:00
event_end_time = 2096-06-01T12:00:00+02:00
"""


def room(name: str = "main", *lines: str) -> str:
    """Write a room of a file."""
    return "\n".join([f"[rooms.{name}]", 'origin = "https://shop.example.com"', *lines, ""])


@dataclass
class Desk:
    """An operator's machine: a file, the commands, and what a person would ask the API beside."""

    url: str
    folder: Path
    capsys: pytest.CaptureFixture[str]
    api: OperatorClient = field(init=False)

    def __post_init__(self) -> None:
        """Write the token down."""
        self.api = OperatorClient(self.url, TOKEN)
        (self.folder / "token").write_text(TOKEN)

    def run(self, command: str, text: str | None, *words: str) -> tuple[int, str, str]:
        """Run a command on a file with `text`; return status, answer and what it said beside."""
        given = [command]
        if text is not None:
            (self.folder / "rooms.toml").write_text(text, encoding="utf-8")
            given.append(str(self.folder / "rooms.toml"))
        status = main([*given, "--url", self.url, "--token-file", str(self.folder / "token"), *words])
        told = self.capsys.readouterr()
        return status, told.out, told.err

    def room(self, name: str = "main") -> dict[str, Any]:
        """Return a room's document."""
        return dict(self.api.ask("GET", f"/api/rooms/{name}").document)

    def steer(self, name: str = "main", **settings: Any) -> None:
        """Change a room as somebody else would."""
        headers = {"If-Match": "*", "Content-Type": "application/json"}
        assert self.api.ask("PATCH", f"/api/rooms/{name}", settings, headers).status == 200


@pytest.fixture
def desk(
    store_url: str,
    store: object,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    """Give a desk before an installation without rooms."""
    del store
    monkeypatch.delenv("WAITROOM_OPERATOR_TOKEN", raising=False)
    with running(store_url, tmp_path / "data") as url:
        yield Desk(url, tmp_path, capsys)


def test_a_plan_shows_and_changes_nothing_and_apply_does_what_it_showed(desk: Desk) -> None:
    """2 where there is something to do, 0 where there is not; the journal's record says who and why."""
    text = room("main", "drain_s = 5") + SALE

    status, out, _ = desk.run("plan", text)
    assert (status, desk.api.ask("GET", "/api/rooms").document) == (2, {"rooms": []})
    assert out.splitlines() == [
        "+ main is made",
        "    origin: https://shop.example.com",
        "    drain_s: 5",
        "    sales.spring: there",
        "1 to make, 0 to change, 0 to remove.",
    ]

    status, out, _ = desk.run("apply", text, "--yes", "--who", "Änn", "--why", "spring tour")
    assert (status, out.splitlines()[-2:]) == (0, ["+ main: done", "1 of 1 done."])
    assert (desk.room()["drain_s"], desk.room()["sales"][0]["name"]) == (5, "spring")
    (change,) = desk.api.ask("GET", "/api/rooms/main/changes").document["changes"]
    assert (change["who"], change["why"]) == ("Änn", "spring tour")

    assert desk.run("plan", text)[:2] == (0, "= main stays as it is\nNothing to do.\n")
    assert desk.run("apply", text, "--yes")[0] == 0
    assert desk.room()["version"] == 1


def test_a_change_shows_old_and_new_and_leaves_the_switches(desk: Desk) -> None:
    """A pause and a message outlive the file; the name of the file is the reason where none is given."""
    desk.run("apply", room("main", "drain_s = 5"), "--yes")
    desk.steer(paused=True, message="Soon")

    text = room("main", "drain_s = 6", "[rooms.main.lane_shares]", "verified = 0.5", "standard = 0.45")
    _, out, _ = desk.run("apply", text, "--yes", "--who", "Ann")

    assert out.splitlines()[1:4] == [
        "    lane_shares.verified: 0.6 -> 0.5",
        "    lane_shares.standard: 0.35 -> 0.45",
        "    drain_s: 5 -> 6",
    ]
    assert [desk.room()[name] for name in ("drain_s", "paused", "message")] == [6, True, "Soon"]
    last = desk.api.ask("GET", "/api/rooms/main/changes").document["changes"][0]
    assert (last["who"], last["why"]) == ("Ann", "waitroom apply rooms.toml")


def test_rooms_that_the_file_does_not_have_stay_unless_they_are_pruned(desk: Desk) -> None:
    """Named as left alone; with --prune they are removed, by their version."""
    desk.run("apply", room("main") + room("old"), "--yes")

    status, out, _ = desk.run("plan", room("main"))
    assert (status, "? old is not in the file and is left alone (--prune removes it)" in out) == (0, True)
    assert desk.run("apply", room("main"), "--yes")[0] == 0
    assert desk.room("old")["name"] == "old"

    status, out, _ = desk.run("apply", room("main"), "--yes", "--prune", "--json")
    told = json.loads(out)
    assert (status, told["changes"], told["rooms"][0]["act"], told["rooms"][0]["outcome"]) == (
        0,
        1,
        "remove",
        "done",
    )
    assert desk.room("old")["code"] == "room-unknown"


def test_whoever_prunes_without_being_asked_is_found(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant of the test above: a plan that always prunes takes the other room away."""
    inner = rooms_plan.planned
    desk.run("apply", room("main") + room("old"), "--yes")
    monkeypatch.setattr(rooms_plan, "planned", lambda *given, prune: inner(*given, prune=prune or True))

    assert desk.run("plan", room("main"))[0] == 2
    assert desk.run("apply", room("main"), "--yes")[0] == 0
    assert desk.room("old")["code"] == "room-unknown"


def test_prune_by_a_file_without_rooms_is_refused(desk: Desk) -> None:
    """An empty file is a mistake sooner than a wish to remove everything."""
    desk.run("apply", room(), "--yes")

    status, _, err = desk.run("apply", "", "--yes", "--prune")

    assert (status, "--prune would remove every room" in err, desk.room()["version"]) == (1, True, 1)


class Meanwhile:
    """A client in whose midst somebody else acts, once, before the first request that changes something."""

    def __init__(self, inner: OperatorClient, act: Callable[[], None]) -> None:
        """Hand everything to `inner`."""
        self._inner = inner
        self._act: Callable[[], None] | None = act

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Let the other be faster."""
        if method != "GET" and self._act is not None:
            act, self._act = self._act, None
            act()
        return self._inner.ask(method, path, body, self.sent(headers))

    def sent(self, headers: Mapping[str, str] | None) -> Mapping[str, str] | None:
        """Return the headers that go out."""
        return headers


class Careless(Meanwhile):
    """The mutant: it names no version."""

    def sent(self, headers: Mapping[str, str] | None) -> Mapping[str, str] | None:
        """Let whatever is current be changed."""
        return {**(headers or {}), "If-Match": "*"} if headers and "If-Match" in headers else headers


def faster(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None], kind: type = Meanwhile
) -> None:
    """Let somebody act between plan and change."""
    monkeypatch.setattr(apply_command, "client_of", lambda _: kind(desk.api, act))


def test_who_was_faster_is_not_overwritten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, the room is the other's, the rest is not tried; a repetition finishes."""
    desk.run("apply", room("main") + room("two"), "--yes")
    text = room("main", "drain_s = 5") + room("two", "drain_s = 6")
    with monkeypatch.context() as patch:
        faster(desk, patch, lambda: desk.steer(drain_s=77))
        status, out, _ = desk.run("apply", text, "--yes")

    assert status == 1
    assert out.splitlines()[-3:] == [
        "~ main: NOT done: api changed this room (drain_s) since it was planned; plan again",
        "~ two: not tried",
        "0 of 2 done.",
    ]
    assert (desk.room()["drain_s"], desk.room("two")["version"]) == (77, 1)
    assert desk.run("apply", text, "--yes")[0] == 0
    assert (desk.room()["drain_s"], desk.room("two")["drain_s"]) == (5, 6)


def test_without_a_version_the_other_would_be_overwritten(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the test above: with If-Match * the other's change is gone, and nobody is told."""
    desk.run("apply", room("main"), "--yes")
    faster(desk, monkeypatch, lambda: desk.steer(drain_s=77), Careless)

    status, _, _ = desk.run("apply", room("main", "drain_s = 5"), "--yes")

    assert (status, desk.room()["drain_s"]) == (0, 5)


@pytest.mark.parametrize("prune", [[], ["--prune"]])
def test_a_room_that_came_or_went_meanwhile_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, prune: list[str]
) -> None:
    """Made by somebody else, removed, or changed before it is removed: plan again."""
    if not prune:
        faster(desk, monkeypatch, lambda: desk.api.ask("PUT", "/api/rooms/main", {"origin": "http://a"}, {
            "If-None-Match": "*", "Content-Type": "application/json"}) and None)  # fmt: skip
        text = room()
    else:
        desk.run("apply", room("old"), "--yes")
        faster(desk, monkeypatch, lambda: desk.steer("old", drain_s=1))
        text = room("other", 'path = "/x"')

    status, out, _ = desk.run("apply", text, "--yes", *prune)

    assert (status, "changed this room" in out, "since it was planned; plan again" in out) == (
        1,
        True,
        True,
    )
    assert desk.room("old" if prune else "main")["version"] == (2 if prune else 1)


def test_a_room_that_was_removed_meanwhile_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """404 to a change of what was there."""
    desk.run("apply", room(), "--yes")
    faster(
        desk, monkeypatch, lambda: desk.api.ask("DELETE", "/api/rooms/main", None, {"If-Match": "*"}) and None
    )

    status, out, _ = desk.run("apply", room("main", "drain_s = 5"), "--yes")

    assert (status, "plan again" in out) == (1, True)


class Lossy(Meanwhile):
    """A line on which the answer to the first change is lost; ``before`` loses the request itself."""

    before = False

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Lose one answer."""
        if method == "GET" or self._act is None:
            return self._inner.ask(method, path, body, headers)
        act, self._act = self._act, None
        if not self.before:
            self._inner.ask(method, path, body, headers)
        act()
        raise NoAnswer("The line broke.")


class LossyBefore(Lossy):
    """The request itself is lost."""

    before = True


class Dead(Lossy):
    """After the loss nothing answers any more."""

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Lose one answer, then all."""
        if method == "GET" and self._act is None:
            raise NoAnswer("The line broke.")
        return super().ask(method, path, body, headers)


@pytest.mark.parametrize(
    ("kind", "steered", "status", "told"),
    [
        (Lossy, {}, 0, ["~ main: done: The line broke.", "~ two: done", "2 of 2 done."]),
        (LossyBefore, {}, 1, ["~ main: NOT done: The line broke. It was not done", "~ two: not tried", "0 of 2 done."]),
        (Lossy, {"drain_s": 8}, 1, [
            "~ main: NOT KNOWN: The line broke. Whether it was done is not known; plan again", "~ two: not tried",
            "0 of 2 done."]),
        (Dead, {}, 1, [
            "~ main: NOT KNOWN: The line broke. Whether it was done is not known; plan again", "~ two: not tried",
            "0 of 2 done."]),
    ],
    ids=["done", "not-done", "changed-again", "dead"],
)  # fmt: skip
def test_a_lost_answer_is_looked_after(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    steered: dict[str, int],
    status: int,
    told: list[str],
) -> None:
    """It says what is done, what is not and what nobody knows; and a repetition finishes."""
    desk.run("apply", room("main") + room("two"), "--yes")
    text = room("main", "drain_s = 5") + room("two", "drain_s = 6")
    with monkeypatch.context() as patch:
        faster(desk, patch, lambda: desk.steer(**steered) if steered else None, kind)
        found, out, _ = desk.run("apply", text, "--yes")

    assert (found, out.splitlines()[-3:]) == (status, told)
    assert desk.run("apply", text, "--yes")[0] == 0
    assert (desk.room()["drain_s"], desk.room("two")["drain_s"]) == (5, 6)


class Interrupted(Lossy):
    """Somebody presses Ctrl-C while a change is on its way."""

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Break off where the answer would be lost."""
        try:
            return super().ask(method, path, body, headers)
        except NoAnswer:
            raise KeyboardInterrupt from None


def test_whoever_breaks_off_is_told_what_is_done(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It had arrived: done; nothing after it is tried once somebody else changed the room as well."""
    desk.run("apply", room("main") + room("two"), "--yes")
    text = room("main", "drain_s = 5") + room("two", "drain_s = 6")
    faster(desk, monkeypatch, lambda: desk.steer(drain_s=8), Interrupted)

    status, out, _ = desk.run("apply", text, "--yes")

    assert (status, out.splitlines()[-2:]) == (1, ["~ two: not tried", "0 of 2 done."])
    assert "~ main: NOT KNOWN: Interrupted. Whether it was done is not known; plan again" in out


class Failing(Meanwhile):
    """An installation that fails for a moment."""

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Answer 503 to changes."""
        if method == "GET":
            return self._inner.ask(method, path, body, headers)
        return Answer(503, {"code": "store-away", "detail": "The store is away."})


def test_what_the_installation_cannot_do_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """503: it looks whether it was done; a fault of the document is told as the API tells it."""
    with monkeypatch.context() as patch:
        faster(desk, patch, lambda: None, Failing)
        status, out, _ = desk.run("apply", room(), "--yes")
    assert (status, "+ main: NOT done: The store is away. It was not done" in out) == (1, True)

    with monkeypatch.context() as patch:
        steer = {"origin": "http://a", "name": "two", "path": "/x"}
        faster(
            desk,
            patch,
            lambda: desk.api.ask("POST", "/api/rooms", steer, {"Content-Type": "application/json"}) and None,
        )
        status, out, _ = desk.run("apply", room("main", 'path = "/x"'), "--yes")
    assert status == 1
    assert "NOT done: The settings have a fault: rooms.main and rooms.two both stand before */x" in out


def test_what_is_exported_makes_the_same_rooms_elsewhere(desk: Desk, store_url: str) -> None:
    """Export, remove everything, apply: the same documents; the export itself is a plan with nothing to do."""
    text = (
        room("main", 'message = """We "begin"\nat ten"""', "max_waiting = 7")
        + SALE
        + room("two", 'path = "/x"')
    )
    desk.run("apply", text, "--yes")
    desk.steer("two", paused=True)
    before = [desk.room("main"), desk.room("two")]

    status, exported, err = desk.run("export", None)
    assert (status, err) == (0, "")
    assert desk.run("plan", exported)[0] == 0
    assert desk.run("export", None, "two")[1] == exported[exported.index("[rooms.two]") :]

    for name in ("main", "two"):
        desk.api.ask("DELETE", f"/api/rooms/{name}", None, {"If-Match": "*"})
    assert desk.run("apply", exported, "--yes")[0] == 0
    after = [desk.room("main"), desk.room("two")]
    assert [document | {"version": 0} for document in after] == [
        document | {"version": 0} for document in before
    ]
    assert desk.run("export", None, "none", "main") == (1, "", "waitroom: There is no room none.\n")


def test_settings_that_this_version_does_not_know_are_no_export(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a room would be worse than none."""

    class Newer(Meanwhile):
        def ask(self, *words: Any) -> Answer:
            answer = self._inner.ask(*words)
            return Answer(answer.status, {"rooms": [one | {"turbo": 1} for one in answer.document["rooms"]]})

    desk.run("apply", room(), "--yes")
    faster(desk, monkeypatch, lambda: None, Newer)

    status, out, err = desk.run("export", None)

    assert (status, out, "does not know: turbo" in err) == (1, "", True)
    assert desk.run("plan", room())[0] == 0


BAD: dict[str, tuple[str, list[str], list[str]]] = {
    "no-toml": ("[rooms", [], ["This is not TOML"]),
    "ten-faults": (
        '[rooms.main]\norigin = "x"\ndrain = 5\n[rooms.B]\n[room]\n', [],
        ["rooms.main.origin must be", "rooms.main.drain is not known", "rooms.B: a room's name", "room is not known"],
    ),
    "page": (room("main", 'custom_page_html = "<p>{{ main }}"'), [], ["rooms.main.custom_page_html"]),
    "clash": (room("a", 'path = "/x"') + room("b", 'path = "/x"'), [], ["both stand before */x"]),
    "address": (room(), ["--url", "nowhere"], ["nowhere is not an address"]),
    "clear": (room(), ["--url", "http://10.0.0.5:8081"], ["in the clear"]),
    "no-token": (room(), ["--token-file", "none/token"], ["none/token cannot be read"]),
    "authorities": (room(), ["--url", "https://127.0.0.1:1", "--authorities", "none.pem"], ["none.pem cannot be read"]),
    "nobody": (room(), ["--url", "http://127.0.0.1:1"], ["http://127.0.0.1:1 gives no answer"]),
}  # fmt: skip


@pytest.mark.parametrize("command", ["plan", "apply"])
@pytest.mark.parametrize(("text", "words", "said"), BAD.values(), ids=BAD)
def test_faults_are_told_all_at_once_and_nothing_is_asked(
    command: str,
    text: str,
    words: list[str],
    said: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit status 1, since 2 means changes; one sentence each."""
    desk = Desk("http://127.0.0.1:1", tmp_path, capsys)

    status, out, err = desk.run(command, text, *words, *(["--yes"] if command == "apply" else []))

    assert (status, out) == (1, "")
    assert [word for word in said if word not in err] == []
    assert len(err.splitlines()) >= len(said)


@pytest.mark.parametrize(
    "words",
    [
        ["plan"],
        ["plan", "a.toml", "--turbo"],
        ["plan", "a.toml", "--token", "secret"],
        ["plan", "a.toml", "--yes"],
    ],
)
def test_a_plan_that_was_asked_for_wrongly_does_not_look_like_changes(words: list[str]) -> None:
    """1 and not argparse's 2; a token is no argument."""
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 1


def test_a_token_that_may_not_is_told(desk: Desk) -> None:
    """What the installation says, with exit status 1."""
    (desk.folder / "token").write_text("another-token-of-theirs")

    status, out, err = desk.run("plan", room())

    assert (status, out, len(err.splitlines()), "token" in err) == (1, "", 1, True)


def test_nothing_is_done_before_somebody_said_yes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can be asked is asked; where nobody can be, --yes is needed, and nothing is asked of the API."""
    status, out, err = desk.run("apply", room())
    assert (status, out, "use --yes" in err) == (1, "", True)
    assert "use --yes" in desk.run("apply", room(), "--json")[2]

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    def gone(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", gone)
    assert desk.run("apply", room())[0] == 1
    for said, version in (("no", None), ("y", None), ("yes", 1)):
        monkeypatch.setattr("builtins.input", lambda _, said=said: said)
        status, out, _ = desk.run("apply", room())
        assert (status, desk.room().get("version")) == (0 if version else 1, version)
        assert ("Nothing was changed." in out) is (version is None)


def test_a_plan_in_json_has_whole_values(desk: Desk) -> None:
    """What people see is cut short, what programs read is not."""
    status, out, _ = desk.run("plan", room("main", f'description = "{"x" * 200}"'), "--json")

    (made,) = json.loads(out)["rooms"]
    assert (status, made["act"], made["version"]) == (2, "make", 0)
    assert made["what"][1] == {"field": "description", "old": None, "new": "x" * 200}
