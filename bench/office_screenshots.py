"""Office screenshots: the back office of a real demo in the middle of a sale, on phone and desktop, light and dark.

Run: ``python -m bench.office_screenshots OUTDIR [NAME …]`` (``--fans 400``, ``--paid 120``, ``--language en``). A demo
is started in a folder of its own, a crowd buys, and Chromium logs in at the demo's sandbox of logins, as a newcomer
does, by what the pages offer. So no two runs show the same figures; what they look like is what counts.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from bench.screenshots import CHROMIUM_ARGS, SCHEMES, SIZES
from bench.servers import ServerFailed, free_port, running
from checkout.catalogue.evenings import EVENTS
from gateway.demo import ROOMS, with_shop

WHO = "ida"
EVENING = f"/staff/office/events/{EVENTS[0].slug}"
SHOTS = {
    "office-door": "/staff",
    "office-login": "/staff/login",
    "office-staff": "/staff",
    "office-home": "/staff/office",
    "office-sales": f"{EVENING}/sales",
    "office-orders": f"{EVENING}/orders",
    "office-hall": f"{EVENING}/hall",
}
"""Names and addresses; the first two are looked at by who has not logged in yet."""

OUTSIDE = ("office-door", "office-login")
PER_MINUTE, ACTIVE = 1800, 600
PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Office:
    """A running demo: where staff come to, where its API is, and the API's secret; and the operators' page likewise."""

    site: str
    api: str
    token: str
    control: str
    operator_token: str

    def paid(self) -> int:
        """Count the orders of the evening that were paid in the last hour."""
        now_ms = time.time_ns() // 1_000_000
        span = f"from_ms={now_ms - 3_600_000}&until_ms={now_ms}&step=hour"
        address = f"{self.api}/organiser/api/events/{EVENTS[0].slug}/sales?{span}"
        asked = urllib.request.Request(address, headers={"authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return int(json.loads(answer.read())["total"]["paid"])


@contextmanager
def selling(fans: int, paid: int, per_minute: int = PER_MINUTE) -> Iterator[Office]:
    """Run a demo that lets in so many a minute until the block ends, which begins when so many orders are paid."""
    with tempfile.TemporaryDirectory() as where:
        folder, (port, operator, shop) = Path(where), (free_port() for _ in range(3))
        text = with_shop(ROOMS.read_text(encoding="utf-8"), shop)
        text = re.sub(r"(?m)^new_users_per_minute = \d+$", f"new_users_per_minute = {per_minute}", text)
        text = re.sub(r"(?m)^total_active_users = \d+$", f"total_active_users = {ACTIVE}", text)
        rooms, data = folder / "rooms.toml", folder / "demo"
        rooms.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "gateway", "demo", "--data", str(data), "--rooms", str(rooms)]
        command += ["--port", str(port), "--operator-port", str(operator), "--shop-port", str(shop)]
        command += ["--crowd", str(fans)]
        ready = f"http://127.0.0.1:{operator}/health/ready"
        with running(command, ready=ready, log=folder / "demo.log"):
            tokens = [(data / f"{name}-token").read_text().strip() for name in ("organiser", "operator")]
            shop_url, control = f"http://127.0.0.1:{shop}", f"http://127.0.0.1:{operator}"
            office = Office(f"http://localhost:{shop}", shop_url, tokens[0], control, tokens[1])
            until = time.monotonic() + PATIENCE_S
            while office.paid() < paid:
                if time.monotonic() > until:
                    raise ServerFailed(f"{office.paid()} orders were paid within {PATIENCE_S:.0f} s")
                time.sleep(0.5)
            yield office


def log_in(context: BrowserContext, office: Office) -> None:
    """Log in as whoever comes for the first time: by the office's address, and what the pages offer."""
    page = context.new_page()
    page.goto(f"{office.site}/staff/office")
    page.locator('a[href="/staff/login"]').click()
    page.locator(f'button[value="{WHO}"]').click()
    page.locator('a[href="/staff/office"]').wait_for()
    page.close()


def take(browser: Browser, office: Office, names: list[str], language: str, folder: Path) -> None:
    """Take the pictures in all sizes and schemes."""
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                reduced_motion="reduce",
                locale=language,
                timezone_id="Europe/Berlin",
            )
            for name in sorted(names, key=list(SHOTS).index):
                if name not in OUTSIDE and not context.cookies(f"{office.site}/staff"):
                    log_in(context, office)
                page = context.new_page()
                page.goto(office.site + SHOTS[name])
                page.screenshot(path=folder / f"{name}-{size}-{scheme}-{language}.png", full_page=True)
                page.close()
                if name == "office-login":
                    # What a login under way has left behind is none.
                    context.clear_cookies()
            context.close()
            sys.stderr.write(f"{size} {scheme}\n")


def main() -> None:
    """Take the pictures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("names", nargs="*", choices=[*SHOTS, []])
    asked.add_argument("--fans", type=int, default=400, help="simulated fans")
    asked.add_argument(
        "--paid", type=int, default=120, help="so many orders are paid before a picture is taken"
    )
    asked.add_argument("--language", default="en")
    options = asked.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with selling(options.fans, options.paid) as office, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        take(browser, office, options.names or list(SHOTS), options.language, options.folder)
        browser.close()


if __name__ == "__main__":
    main()
