"""Preview: what an operator sees while they write a theme, and what they are told when it cannot be used."""

from pathlib import Path

import pytest

from gateway.preview import Preview
from kernel.asgi import Message

ROOM = '[rooms.main]\norigin = "http://127.0.0.1:1"\ndescription = "Aurora Hall"\n'
BASE = "/.waitroom/r/main"


async def ask(
    file: Path, path: str, *, method: str = "GET", query: str = "", language: str = "en"
) -> tuple[int, dict[bytes, bytes], str]:
    """Ask a preview; give status, headers and text."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(),
        "headers": [(b"accept-language", language.encode())],
    }  # fmt: skip
    await Preview(file, lambda: 1_800_000_000_000)(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), bytes(sent[1]["body"]).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a rooms file that is in order."""
    path = tmp_path / "rooms.toml"
    path.write_text(ROOM)
    return path


async def test_the_root_leads_to_the_first_rooms_states(file: Path) -> None:
    """Nobody has to know an address by heart."""
    status, headers, _ = await ask(file, "/")

    assert (status, headers[b"location"]) == (303, f"{BASE}/preview".encode())


@pytest.mark.parametrize(
    "path", [f"{BASE}/preview", f"{BASE}/preview/waiting", f"{BASE}/preview/recall", f"{BASE}/how"]
)
async def test_every_page_speaks_the_language_that_was_asked_for(file: Path, path: str) -> None:
    """By the address first, then by the browser; nothing is cached."""
    for query, language in (("lang=de", "en"), ("", "de-AT")):
        status, headers, text = await ask(file, path, query=query, language=language)

        assert (status, headers[b"content-language"]) == (200, b"de")
        assert 'lang="de"' in text
        assert headers[b"cache-control"] == b"no-store"


async def test_a_state_can_be_seen_without_javascript(file: Path) -> None:
    """What the server renders for who has none."""
    _, _, text = await ask(file, f"{BASE}/preview/waiting", query="js=0")

    assert "<script" not in text


async def test_a_change_of_the_file_is_seen_by_the_next_request(file: Path) -> None:
    """Save, reload: no restart."""
    _, _, before = await ask(file, f"{BASE}/preview/waiting")
    file.write_text(ROOM.replace("Aurora Hall", "Winter Garden"))
    _, _, after = await ask(file, f"{BASE}/preview/waiting")

    assert "Aurora Hall" in before
    assert "Winter Garden" in after


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[rooms.main", "rooms"),
        ("", "there is no room in it"),
        (ROOM + "custom_page_html = '<p>mine</p>'\n", "rooms.main.custom_page_html"),
        (ROOM + '[rooms.main.theme.colours]\naccent = "#ffff00"\n', "contrast"),
        (
            ROOM + '[rooms.main.theme.texts.en]\n"state.nowhere.detail" = "x"\n',
            "theme.texts.en.state.nowhere.detail",
        ),
        (ROOM + "surprise = 1\n", "surprise"),
    ],
)
async def test_what_is_wrong_with_the_file_stands_in_the_browser(file: Path, text: str, told: str) -> None:
    """All of it, and what to do."""
    file.write_text(text)

    status, _, page = await ask(file, f"{BASE}/preview")

    assert status == 422
    assert told in page
    assert "reload" in page


async def test_a_file_that_is_gone_is_told_as_well(tmp_path: Path) -> None:
    """A name mistyped."""
    status, _, page = await ask(tmp_path / "nothing.toml", "/")

    assert status == 422
    assert "cannot be read" in page


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"{BASE}/preview", 405),
        ("GET", "/.waitroom/r/other/preview", 404),
        ("GET", f"{BASE}/preview/nowhere", 404),
        ("GET", "/.waitroom/static/nothing.js", 404),
        ("GET", f"{BASE}/join", 303),
    ],
)
async def test_other_addresses_have_a_clear_answer(file: Path, method: str, path: str, status: int) -> None:
    """A preview joins nobody."""
    assert (await ask(file, path, method=method))[0] == status
