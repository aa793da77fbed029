"""The samples below deploy/: each is accepted by the program that it is for, or read as what it is."""

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

from gateway.settings import Settings
from kernel.settings import env
from tests.house.tree import ROOT


def test_nginx_accepts_its_sample(tmp_path: Path) -> None:
    """`nginx -t` reads deploy/nginx/waitroom.conf inside an http block; only the cache lies elsewhere."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert nginx is not None, "nginx is missing: make setup"
    sample = (ROOT / "deploy" / "nginx" / "waitroom.conf").read_text()
    (tmp_path / "waitroom.conf").write_text(sample.replace("/var/tmp/waitroom-nginx", f"{tmp_path}/cache"))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{ access_log off; include {tmp_path}/waitroom.conf; }}\n"
    )

    checked = subprocess.run(
        [nginx, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr


def test_the_page_is_cached_for_each_target_and_the_document_once() -> None:
    """The page's ?target= is part of its cache key, or one fan's target would become everybody's."""
    sample = (ROOT / "deploy" / "nginx" / "waitroom.conf").read_text()
    map_block = re.search(r"map \$uri \$waitroom_arguments \{(.*?)\}", sample, re.DOTALL)

    assert map_block is not None
    assert map_block[1].split() == ["~/status$", "'';", "default", "$is_args$args;"]
    assert "proxy_cache_key $scheme$http_host$uri$waitroom_arguments;" in sample


def unknown_settings(text: str) -> set[str]:
    """Return the WAITROOM_… names in a text that are no settings."""
    known = {env(field.name) for field in fields(Settings)}
    known |= {f"{name}_FILE" for name in known}
    return set(re.findall(r"\bWAITROOM_[A-Z_]+[A-Z]\b", text)) - known


def test_samples_set_only_settings_that_exist() -> None:
    """Each WAITROOM_… name in the image and in deploy/ is a setting, so that a renamed one is not left behind."""
    samples = [ROOT / "Dockerfile", *(path for path in (ROOT / "deploy").rglob("*") if path.is_file())]

    assert {path.name: names for path in samples if (names := unknown_settings(path.read_text()))} == {}


def test_a_made_up_setting_in_a_sample_is_found() -> None:
    """The mutant: a sample with a name that no setting has is caught."""
    assert unknown_settings("WAITROOM_PORT=1 WAITROOM_TURBO=yes WAITROOM_OPERATOR_TOKEN_FILE=x") == {
        "WAITROOM_TURBO"
    }


def test_the_operators_port_is_not_published_to_the_world() -> None:
    """In the compose sample only the fans' port leaves the machine."""
    ports = re.findall(r'^ +- "([\d.:]+)"$', (ROOT / "deploy" / "compose.yaml").read_text(), re.MULTILINE)

    assert ports == ["80:80", "127.0.0.1:8081:8081"]
