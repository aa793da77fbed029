"""A fan in a room that asks who comes, in a browser: from the waiting page to the question, and back with a place."""

import asyncio
import json
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import async_playwright
from redis.asyncio import Redis

from admission.es256 import public_jwk
from bench.screenshots import CHROMIUM_ARGS
from kernel.asgi import Receive, Scope, Send, respond
from kernel.clock import ManualClock
from tests.process.looking import PATIENCE_MS, chromium
from tests.waitroom.house import _KEY
from tests.waitroom.identities import scene
from tests.waitroom.test_web import BASE


async def keys(scope: Scope, receive: Receive, send: Send, name: str) -> None:
    """Publish the key of the house's documents."""
    del scope, receive, name
    key = {**public_jwk(_KEY.public_key()), "kid": "s1", "alg": "ES256", "use": "sig", "purpose": "status"}
    await respond(send, 200, [(b"content-type", b"application/json")], json.dumps({"keys": [key]}).encode())


@pytest.mark.process
async def test_the_waiting_page_leads_to_the_question_and_the_answer_to_the_place(
    store: Redis, clock: ManualClock, tmp_path: Path
) -> None:
    """The page joins as anywhere, is led on, shows a fault in words, and waits on with the place of the code."""
    async with scene(store, clock, tmp_path) as here:
        _, (code,) = here.codes()
        here.front._plain["GET", "jwks.json"] = keys
        server = uvicorn.Server(uvicorn.Config(here.front, port=0, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve())
        async with asyncio.timeout(PATIENCE_MS / 1000):
            while not server.started:  # noqa: ASYNC110 (uvicorn has no event for it)
                await asyncio.sleep(0.02)
        site = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
            page = await browser.new_page(locale="en-GB")
            page.set_default_timeout(PATIENCE_MS)
            await page.goto(f"{site}{BASE}?target=/shop")
            await page.wait_for_selector("html[data-state=identity]", state="attached")
            await page.fill("#code", "0000")
            await page.click("button.button")
            fault = await page.text_content("#fault")
            await page.fill("#code", code)
            await page.click("button.button")
            await page.wait_for_selector("html[data-state=almost]", state="attached")
            address, kept = page.url, await page.evaluate("document.cookie")
            await page.reload()
            await page.wait_for_selector("html[data-state=almost]", state="attached")
            await browser.close()
        server.should_exit = True
        await serving
        line = (await here.beat()).line

    assert fault == "This code is not valid here. Please look at it again."
    assert address == f"{site}{BASE}?target=%2Fshop"
    assert not kept
    assert line is not None
    assert line.issued == 1
