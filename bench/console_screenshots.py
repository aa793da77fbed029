"""Console screenshots: the operators' page of a real demo in mid-sale, on phone and desktop, light and dark.

Run: ``python -m bench.console_screenshots OUTDIR`` (``--fans 2500``, ``--paid 40``, ``--picture FILE`` for README). The
same demo and crowd as for the back office; more fans come than are let in, so that a line stands before the door.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from bench.office_screenshots import Office, selling
from bench.screenshots import CHROMIUM_ARGS, SCHEMES, SIZES

ROOM = "main"
SHOTS = {
    "console": f"/?room={ROOM}",
    "console-stop": f"/rooms/{ROOM}/confirm/pause",
    "console-guests": f"/rooms/{ROOM}/guests",
    "console-history": f"/rooms/{ROOM}/history",
    "console-journal": "/journal",
}
PICTURE = "console"
PER_MINUTE = 360
"""Fewer than come, so that a line stands before the door."""
LOOKED_AT_MS = 20_000
"""So long the page is open before its picture is taken: its plots have points then."""


def sign_in(context: BrowserContext, office: Office) -> None:
    """Sign in with the operator token, as the first person does."""
    page = context.new_page()
    page.goto(f"{office.control}/login")
    page.fill("#who", "Ann Lee")
    page.fill("#token", office.operator_token)
    page.click("button.main")
    expect(page.locator("#pulse")).to_have_text("Live")
    page.close()


def take(browser: Browser, office: Office, folder: Path, picture: Path | None) -> None:
    """Take the pictures in all sizes and schemes."""
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
            )
            sign_in(context, office)
            for name, path in SHOTS.items():
                page = context.new_page()
                page.goto(office.control + path)
                if name == PICTURE:
                    page.wait_for_timeout(LOOKED_AT_MS)
                file = folder / f"{name}-{size}-{scheme}.png"
                page.screenshot(path=file, full_page=True)
                if picture is not None and (name, size, scheme) == (PICTURE, "desktop", "light"):
                    page.screenshot(path=picture)
                page.close()
            context.close()
            sys.stderr.write(f"{size} {scheme}\n")


def main() -> None:
    """Take the pictures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--fans", type=int, default=2500, help="simulated fans")
    asked.add_argument(
        "--paid", type=int, default=40, help="so many orders are paid before a picture is taken"
    )
    asked.add_argument("--picture", type=Path, help="where the one for README goes")
    options = asked.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with selling(options.fans, options.paid, PER_MINUTE) as office, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        take(browser, office, options.folder, options.picture)
        browser.close()


if __name__ == "__main__":
    main()
