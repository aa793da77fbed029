"""``waitroom plan``, ``apply`` and ``export`` with targets, against the operator's port as it is wired."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.apply_targets import keep_secret, source_beside
from kernel.errors import Misconfigured
from kernel.webhook_signing import secret_of
from tests.gateway.test_apply_command import Careless, Desk, Lossy, Meanwhile, desk, faster, room

__all__ = ["desk"]

ADDRESS = "https://hooks.example/very-secret"
TARGET = '[[targets]]\nname = "shop"\nway = "webhook"\naddress_env = "SHOP_HOOK"\nkinds = ["opened"]\n'


@pytest.fixture(autouse=True)
def shop_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the address into the environment."""
    monkeypatch.setenv("SHOP_HOOK", ADDRESS)


def test_targets_are_planned_made_changed_and_removed(desk: Desk) -> None:
    """Beside the rooms; the secret goes to a file of its owner alone and is printed nowhere; so does no address."""
    text = room() + TARGET
    status, out, err = desk.run("plan", text)
    assert (status, err) == (2, "")
    assert out.splitlines()[-5:] == [
        "+ target shop is made",
        "    way: webhook",
        "    address: https://hooks.example/…",
        '    kinds: ["opened"]',
        "2 to make, 0 to change, 0 to remove.",
    ]
    said = out
    status, out, _ = desk.run("apply", text, "--yes", "--who", "Ann", "--secrets", str(desk.folder))
    said += out
    path = desk.folder / "shop.secret"
    assert (status, out.splitlines()[-2:]) == (
        0,
        [f"+ target shop: done: its secret is in {path}", "2 of 2 done."],
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_text().strip()
    assert len(secret_of(secret)) == 32
    assert desk.run("plan", text)[0] == 0

    status, out, _ = desk.run("apply", room() + TARGET.replace("opened", "phase"), "--yes")
    said += out
    assert (status, '    kinds: ["opened"] -> ["phase"]' in out) == (0, True)
    status, out, _ = desk.run("plan", room())
    assert (status, "shop" in out) == (0, False)
    assert desk.run("apply", room(), "--yes", "--prune")[0] == 0
    assert desk.api.ask("GET", "/api/targets/shop").status == 200
    assert "? target shop is not in the file" in desk.run("plan", "targets = []\n" + room())[1]
    status, out, _ = desk.run("apply", "targets = []\n" + room(), "--yes", "--prune", "--json")
    told = json.loads(out)
    assert (status, told["targets"][0]["target"], told["targets"][0]["outcome"]) == (0, "shop", "done")
    assert desk.api.ask("GET", "/api/targets/shop").status == 404
    assert ADDRESS not in said
    assert secret not in said


def test_what_is_exported_is_no_change_and_has_no_secret(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is a variable, which the export names."""
    desk.run("apply", room() + TARGET, "--yes")

    status, text, err = desk.run("export", None)

    assert (status, err, ADDRESS in text) == (0, "", False)
    assert 'address_env = "WAITROOM_TARGET_SHOP"  # https://hooks.example/…' in text
    assert "the environment has no WAITROOM_TARGET_SHOP" in desk.run("plan", text)[2]
    monkeypatch.setenv("WAITROOM_TARGET_SHOP", ADDRESS)
    assert desk.run("plan", text)[0] == 0
    monkeypatch.setenv("WAITROOM_TARGET_SHOP", ADDRESS + "-2")
    assert "https://hooks.example/… (another path)" in desk.run("plan", text)[1]
    assert "targets" not in desk.run("export", None, "main")[1]


def changed(desk: Desk) -> Callable[[], None]:
    """Give somebody who changes the target meanwhile."""

    def act() -> None:
        body = {"way": "webhook", "address": ADDRESS, "rooms": ["main"]}
        sent = {"If-Match": "*", "Content-Type": "application/json"}
        assert desk.api.ask("PUT", "/api/targets/shop", body, sent).status == 200

    return act


@pytest.mark.parametrize("kind", [Meanwhile, Careless])
@pytest.mark.parametrize("prune", [False, True])
def test_who_was_faster_is_not_overwritten(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, kind: type, prune: bool
) -> None:
    """Refused; without a tag (the mutant) the other's change is gone, and nobody is told."""
    desk.run("apply", room() + TARGET, "--yes")
    faster(desk, monkeypatch, changed(desk), kind)
    text = "targets = []\n" + room() if prune else room() + TARGET.replace("opened", "phase")

    status, out, _ = desk.run("apply", text, "--yes", *(["--prune"] if prune else []))

    found = desk.api.ask("GET", "/api/targets/shop").document
    kept = found.get("rooms") == ["main"]
    assert (status, kept) == ((1, True) if kind is Meanwhile else (0, False))
    assert ("somebody changed this target since it was planned; plan again" in out) is kept


def test_a_lost_answer_is_looked_after(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, with what was wanted: done."""
    desk.run("apply", room(), "--yes")
    faster(desk, monkeypatch, lambda: None, Lossy)

    status, out, _ = desk.run("apply", room() + TARGET, "--yes")

    assert (status, "+ target shop: done: The line broke." in out) == (0, True)


def test_a_target_of_that_name_that_came_meanwhile_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plan again."""
    desk.run("apply", room(), "--yes")
    body = {"name": "shop", "way": "webhook", "address": ADDRESS}
    sent = {"Content-Type": "application/json"}
    faster(desk, monkeypatch, lambda: desk.api.ask("POST", "/api/targets", body, sent) and None)

    status, out, _ = desk.run("apply", room() + TARGET, "--yes")

    assert (status, "+ target shop: NOT done: somebody changed this target" in out) == (1, True)


def test_what_the_installation_does_not_allow_is_told(desk: Desk) -> None:
    """Which hosts may be called is a setting of the installation, not of the file."""
    status, out, _ = desk.run(
        "apply",
        room() + TARGET.replace('address_env = "SHOP_HOOK"', 'address = "https://10.0.0.1/"'),
        "--yes",
    )
    assert (status, "+ target shop: NOT done:" in out, "not public" in out) == (1, True, True)


def test_faults_of_targets_are_told_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of rooms are."""
    monkeypatch.delenv("SHOP_HOOK")
    lost = Desk("http://127.0.0.1:1", tmp_path, capsys)
    for text, said in (
        (room() + TARGET, "targets.shop.address_env: the environment has no SHOP_HOOK"),
        (
            room() + TARGET.replace("address_env", "address_file"),
            "targets.shop.address_file: the file SHOP_HOOK cannot",
        ),
        (room() + TARGET.replace("webhook", "pigeon"), "targets.shop.way: must be"),
    ):
        status, out, err = lost.run("plan", text)
        assert (status, out, said in err) == (1, "", True), err


def test_an_address_is_read_beside_the_file(tmp_path: Path) -> None:
    """From the folder of the file; no octets that are no text, and not without an end."""
    (tmp_path / "hook").write_text(f"{ADDRESS}\n")
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    (tmp_path / "long").write_text("x" * 10_000)
    source = source_beside(tmp_path, {"EMPTY": " "})

    assert source("address_file", "hook") == ADDRESS
    assert len(source("address_file", "long")) == 4096
    for by, name in (("address_file", "odd"), ("address_file", "none"), ("address_env", "EMPTY")):
        with pytest.raises(Misconfigured):
            source(by, name)


def test_a_secret_is_not_written_through_a_link(tmp_path: Path) -> None:
    """What stands there before is replaced, never followed; a folder that is not there is said."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (tmp_path / "shop.secret").symlink_to(elsewhere)

    assert "its secret is in" in keep_secret(tmp_path, "shop", {"secret": "whsec_x"})
    assert (elsewhere.read_text(), (tmp_path / "shop.secret").read_text()) == ("mine", "whsec_x\n")
    assert "could not be written" in keep_secret(tmp_path / "none", "shop", {"secret": "whsec_x"})
    assert keep_secret(tmp_path, "shop", {}) == ""
    assert "--secrets FOLDER" in keep_secret(None, "shop", {"secret": "whsec_x"})
