"""The staff's page in real Chromium, whose own authenticator makes keys and answers; and what axe says of the page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import CDPSession, Page, async_playwright, expect
from playwright.sync_api import Browser, Route

from bench import axe
from bench.screenshots import CHROMIUM_ARGS
from checkout.people.staff import StaffRole
from checkout.people.staff_keys import StaffKey
from checkout.people.staff_sessions import Entry, StaffSession
from checkout.staffroom.page import TYPES, NewDevice, Shown, StaffPage, assets, texts
from tests.gateway.serving import serving
from tests.gateway.staff_front import NEW_PRICES, PRICES, StaffFront, staff_front
from tests.process.looking import PATIENCE_MS, chromium

pytestmark = [pytest.mark.browser, pytest.mark.process]

NOW_MS = 1_800_000_000_000
HOST = "http://localhost"
"""Of this machine, so that the browser offers keys without TLS."""
CODES = "#codes li"
OPTIONS = {
    "protocol": "ctap2", "transport": "usb", "hasUserVerification": True, "isUserVerified": True,
    "automaticPresenceSimulation": True,
}  # fmt: skip


@dataclass
class Desk:
    """Somebody at a browser, with a key that Chromium plays."""

    front: StaffFront
    page: Page
    devices: CDPSession
    site: str
    faults: list[str]

    async def plug_in(self, **changes: Any) -> str:
        """Plug another key in; returns its name."""
        made = await self.devices.send(
            "WebAuthn.addVirtualAuthenticator", {"options": {**OPTIONS, **changes}}
        )
        return str(made["authenticatorId"])

    async def pull_out(self, key: str) -> None:
        """Pull a key out."""
        await self.devices.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": key})

    async def log_in(self) -> None:
        """Press the button; the provider sends the browser back."""
        await self.page.goto(f"{self.site}/staff")
        await self.page.click("a.button")
        await self.page.wait_for_selector("#who")

    async def add_key(self, label: str) -> None:
        """Make a key, as far as the page has to be asked."""
        await self.page.fill("#label", label)
        await self.page.click("#add-key button:not([type])")

    async def ask(self, path: str, plain: Any = None, code: str = "") -> int:
        """Ask the API from a script of the page; returns the status."""
        script = """async ([path, plain, code]) => {
          const who = await (await fetch("/staff/who")).json();
          const answer = await fetch(path, {method: "POST", body: JSON.stringify(plain), headers: {
            "content-type": "application/json", "staff-csrf": who.csrf, "staff-code": code}});
          return answer.status;
        }"""
        return int(await self.page.evaluate(script, [path, plain, code]))


@asynccontextmanager
async def desk(store_url: str, folder: Path) -> AsyncIterator[Desk]:
    """Open a shop whose staff log in, and a browser at its page."""
    app: list[Any] = []

    async def handed_on(scope: Any, receive: Any, send: Any) -> None:
        await app[0](scope, receive, send)

    async with serving(handed_on) as port, async_playwright() as playwright:
        site = f"http://localhost:{port}"
        async with staff_front(store_url, folder, staff_url=site) as own:
            app.append(own.app)
            own.provider.subject, own.provider.wrong = "ida", {"email_verified": True}
            own.invite("ida", StaffRole.ORGANISER)
            browser = await playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
            context = await browser.new_context(locale="en-GB", reduced_motion="reduce")
            context.set_default_timeout(PATIENCE_MS)
            page = await context.new_page()
            faults: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            devices = await context.new_cdp_session(page)
            await devices.send("WebAuthn.enable")
            yield Desk(own, page, devices, site, faults)
            await browser.close()


async def test_a_key_of_chromium_is_made_and_moves_prices(store_url: str, tmp_path: Path) -> None:
    """Log in, make a key, write recovery codes down; the key's code moves prices once. A second key by the first."""
    async with desk(store_url, tmp_path) as own:
        page = own.page
        first = await own.plug_in()
        await own.log_in()
        none = await own.ask(PRICES, NEW_PRICES)
        await own.add_key("Blue")
        await page.wait_for_selector("#told:not([hidden])")
        codes = await page.locator(CODES).all_inner_texts()
        await page.reload()
        code = await page.evaluate(PROVE)
        moved = [await own.ask(PRICES, NEW_PRICES, code) for _ in range(2)]
        # Where a code could be typed, the key is asked, and the form goes.
        await page.click("#device [data-key]")
        await page.wait_for_selector("#secret")
        await page.goto(f"{own.site}/staff")
        await page.fill("#code-add", await page.evaluate(PROVE))
        # Of two keys in one browser either may answer first; here people have one in their hand.
        await own.pull_out(first)
        await own.plug_in()
        await own.add_key("Red")
        await page.wait_for_selector("#keys li >> nth=1")
        labels = await page.locator("#keys li b").all_inner_texts()
        fault = await page.inner_text("#fault")

    assert none == 403
    assert len(codes) == 10
    assert moved == [200, 403]
    assert sorted(labels) == ["Blue", "Red"]
    assert fault == ""
    assert own.faults == []


PROVE = """async () => {
  const paper = document.querySelector("meta[name=staff-csrf]").content;
  const call = async (path, body) => (await fetch(path, {method: "POST", body: JSON.stringify(body),
    headers: {"content-type": "application/json", "staff-csrf": paper}})).json();
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(await call("/staff/proof/options", {}));
  const key = await navigator.credentials.get({publicKey: options});
  return (await call("/staff/proof", {answer: key.toJSON()})).code;
}"""
"""The browser's own way to write an answer, beside that of our script."""


async def test_a_key_that_makes_sure_of_nobody_is_refused(store_url: str, tmp_path: Path) -> None:
    """Whoever holds it could be anybody: Chromium makes no such key for us, and the page says one sentence."""
    async with desk(store_url, tmp_path) as own:
        await own.plug_in(isUserVerified=False)
        await own.log_in()
        await own.add_key("Blue")
        await expect(own.page.locator("#fault")).to_contain_text("That did not work")
        keys = await own.page.locator("#keys li").count()

    assert keys == 0
    assert own.faults == []


async def test_a_key_is_taken_away_by_a_recovery_code_and_never_the_last(
    store_url: str, tmp_path: Path
) -> None:
    """On the page, as people do."""
    async with desk(store_url, tmp_path) as own:
        page, key = own.page, await own.plug_in()
        await own.log_in()
        await own.add_key("Blue")
        await page.wait_for_selector("#told:not([hidden])")
        codes = await page.locator(CODES).all_inner_texts()
        await own.pull_out(key)
        await page.reload()
        await page.click("#keys summary")
        await page.fill("#code-1", codes[0])
        await page.click("#keys li form button:not([type])")
        await page.wait_for_selector("#fault:not(:empty)")
        last = await page.inner_text("#fault")
        await own.plug_in()
        await page.fill("#label", "Red")
        await page.fill("#code-add", codes[1])
        await page.click("#add-key button:not([type])")
        await page.wait_for_selector("#keys li >> nth=1")
        row = page.locator("#keys li", has_text="Blue")
        await row.locator("summary").click()
        await row.locator("input[name=code]").fill(codes[2])
        await row.locator("form button:not([type])").click()
        await expect(page.locator("#keys li")).to_have_count(1)
        left = await page.inner_text("#keys li b")
        await page.click(".top button")
        await page.wait_for_selector("a.button")

    assert last == "This is your only factor. Make another one first."
    assert left == "Red"


# -------------------------------------------------------------------------------------- how it looks


def every_state(tag: str) -> dict[str, str]:
    """Write the page as it looks to nobody, to a newcomer, to somebody with everything, and while a device is made."""
    session = StaffSession("ida", StaffRole.OWNER, "digest", "paper", NOW_MS)
    keys = [StaffKey("a" * 43, "Blue <key>", NOW_MS, 0), StaffKey("b" * 43, "x" * 40, NOW_MS, NOW_MS)]
    entries = [
        Entry(NOW_MS, "ida", what, "2001:db8:1::/48") for what in ("entered", "invited", "over", "role")
    ]
    device = NewDevice(
        "A" * 32, f"otpauth://totp/Waitroom:ida?secret={'A' * 32}&issuer=Waitroom", NOW_MS, "paper"
    )
    codes = ["ABCDEFGHIJKLMNOP"] * 10
    shown = {
        "out": Shown(), "refused": Shown(fault="login.stranger"), "new": Shown(session),
        "all": Shown(session, keys, True, 1, entries, "fault.second-factor-wrong"),
        "codes": Shown(session, keys, False, 10, entries, "", codes),
        "device": Shown(session, (), False, 0, entries, "", (), device),
    }  # fmt: skip
    page = StaffPage()
    return {name: page.text(tag, one) for name, one in shown.items()}


def _served(pages: dict[str, str]) -> Any:
    def answer(route: Route) -> None:
        name = urlsplit(route.request.url).path.rpartition("/")[2]
        if name in assets():
            route.fulfill(body=assets()[name], content_type=TYPES[name[name.rfind(".") :]])
        else:
            route.fulfill(body=pages[name], content_type="text/html; charset=utf-8")

    return answer


@pytest.mark.parametrize(
    ("language", "scheme", "width"), [("en", "light", 320), ("de", "dark", 1200), ("de", "light", 390)]
)
def test_axe_finds_nothing_on_the_staffs_page(
    language: str, scheme: str, width: int, browser: Browser
) -> None:
    """In every state, with everything unfolded; and nothing scrolls sideways."""
    pages, found = every_state(language), {}
    context = browser.new_context(
        color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": 1600}
    )  # type: ignore[arg-type]
    page = context.new_page()
    page.route("**/*", _served(pages))
    for name in pages:
        page.goto(f"{HOST}/{name}")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        if (wrong := axe.violations(page)) or wide:
            found[name] = [*wrong, *(["scrolls sideways"] if wide else [])]
    context.close()

    assert found == {}


def test_axe_notices_a_code_without_a_label(browser: Browser) -> None:
    """Mutant: the label of a code is gone."""
    text = every_state("en")["all"].replace('<label for="code-device">', "<label>")
    page = browser.new_page()
    page.route("**/*", _served({"x": text}))
    page.goto(f"{HOST}/x")
    wrong = axe.violations(page)
    page.close()

    assert any(line.startswith("label") for line in wrong)


def test_what_people_have_named_is_text(browser: Browser) -> None:
    """A key's name may have any sign; both languages are spoken."""
    del browser
    assert "Blue &lt;key&gt;" in every_state("en")["all"]
    assert set(texts()) == {"en", "de"}
