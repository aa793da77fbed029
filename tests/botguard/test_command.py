"""The command `waitroom bots`: data that are not there are told in a sentence."""

import pytest

from gateway.cli import main


@pytest.mark.parametrize("what", ["evaluate", "train"])
def test_data_that_are_not_there_are_told(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2 and the path, no traceback."""
    assert main(["bots", what, "--delbot", "nowhere.tgz"]) == 2
    assert "nowhere.tgz is not there" in capsys.readouterr().err
