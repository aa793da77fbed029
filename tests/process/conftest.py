"""What tests of real processes share: a Chromium for each file, and fans in front of the scripted room."""

from collections.abc import Iterator

import pytest
from playwright.async_api import expect as expect_async
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from bench.screenshots import CHROMIUM_ARGS
from tests.process.looking import PATIENCE_MS, chromium

for words in (expect, expect_async):
    words.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give one Chromium for all tests of a file. Its back button works as on a phone (bfcache)."""
    with sync_playwright() as playwright:
        own = playwright.chromium.launch(
            executable_path=chromium(),
            args=CHROMIUM_ARGS,
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield own
        own.close()


@pytest.fixture
def fan(browser: Browser) -> Iterator[BrowserContext]:
    """Give a fresh browser profile with a fan behind it."""
    context = browser.new_context(locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def plain_fan(browser: Browser) -> Iterator[BrowserContext]:
    """Give a fan whose browser runs no scripts."""
    context = browser.new_context(locale="en-GB", java_script_enabled=False)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()
