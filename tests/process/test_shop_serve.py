"""The shop alone: ``waitroom shop serve`` runs it without a line beside it, for a gate that stands elsewhere."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.process.test_demo import START_S, STOP_S, wait_until

pytestmark = pytest.mark.process

TOKEN = "throwaway-organiser-token"


def test_the_shop_runs_alone_lets_nobody_in_and_has_its_organisers_door(tmp_path: Path) -> None:
    """Two processes, health for all, the guard before the shop, metrics behind the organiser's token; then an end."""
    shop = subprocess.Popen(
        [sys.executable, "-m", "gateway", "shop", "serve", "--data", str(tmp_path), "--shop-port", "0",
         "--shop-workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "WAITROOM_ORGANISER_TOKEN": TOKEN, "WAITROOM_DRAIN_S": "0"},
    )  # fmt: skip
    assert shop.stdout is not None
    try:
        welcome = ""
        for line in shop.stdout:
            welcome += line
            if "Ctrl-C" in line:
                break
        address = re.search(r"http://127\.0\.0\.1:\d+", welcome)
        assert address is not None
        known = {"authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=address[0], timeout=START_S) as client:
            wait_until("ready", lambda: client.get("/health/ready").status_code == 200)
            answers = {
                path: (client.get(path).status_code, client.get(path, headers=known).status_code)
                for path in ("/health", "/", "/api/events", "/organiser/api/events", "/organiser/api/metrics")
            }
            counted = client.get("/organiser/api/metrics", headers=known).text
        shop.send_signal(signal.SIGTERM)
        status = shop.wait(STOP_S)
    finally:
        shop.kill()
        shop.stdout.close()

    assert answers == {
        "/health": (200, 200),
        "/": (401, 401),
        "/api/events": (401, 401),
        "/organiser/api/events": (401, 200),
        "/organiser/api/metrics": (401, 200),
    }
    assert "waitroom_shop_map_streams" in counted
    assert status == 0
    assert "as set in WAITROOM_ORGANISER_TOKEN" in welcome
