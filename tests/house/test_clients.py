"""Clients: whoever asks others over HTTP reaches them in the house's one way."""

import ast

from tests.house.tree import modules


def own_ways(text: str) -> list[int]:
    """Return the lines in which a client is made with other connections than ours."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != "aiohttp.ClientSession":
            continue
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if not given.get("connector", "").startswith("connector("):
            found.append(node.lineno)
    return found


def test_every_client_looks_names_up_as_the_system_does() -> None:
    """Whatever else is installed (``kernel.connecting``)."""
    assert {str(path): lines for path, text in modules() if (lines := own_ways(text))} == {}


def test_a_client_with_connections_of_its_own_is_found() -> None:
    """The mutants: the client's default, and a connector that was made elsewhere."""
    ours = "aiohttp.ClientSession(connector=connector(4), timeout=limit)"

    assert own_ways(ours) == []
    assert own_ways("aiohttp.ClientSession(timeout=limit)") == [1]
    assert own_ways("aiohttp.ClientSession(connector=aiohttp.TCPConnector())") == [1]
