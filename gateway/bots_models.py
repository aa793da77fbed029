"""Bots models: ``waitroom bots keys``, ``sign`` and ``check``: a model of an operator's own, and their word for it.

The key's file belongs where models are made. ``check`` says of a file what the gate would say, before it is put in
place; it needs the public half only.
"""

import argparse
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.options import NO, settings_of

if TYPE_CHECKING:
    from botguard.model_key import ModelKey


def add_models(what: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe what can be done with models of one's own."""
    keys = what.add_parser("keys", help="make the key that signs models, or tell what is public of it")
    keys.add_argument("file", type=Path, help="the key's file; only its owner may read it")
    keys.set_defaults(run=tell_key)
    sign = what.add_parser("sign", help="sign a model, so that a gate takes it")
    sign.add_argument("model", type=Path, help="the model, as `train` wrote it")
    sign.add_argument(
        "--with", dest="sign_with", type=Path, required=True, metavar="FILE", help="the key's file"
    )
    sign.add_argument("--to", type=Path, help="where the signed one goes; else beside it, as NAME.signed")
    sign.set_defaults(run=sign_model)
    check = what.add_parser("check", help="say whether a gate would take a signed model, and what it is")
    check.add_argument("model", type=Path, nargs="?", help="its file; else the one that is set")
    check.add_argument(
        "--key", action="append", metavar="PUBLIC", help="a public key that counts; else those that are set"
    )
    check.add_argument("--settings", type=Path, metavar="FILE", help="TOML file with settings")
    check.set_defaults(run=check_model)


def tell_key(args: argparse.Namespace) -> int:
    """Make the key unless it is there, and print its name and its public half."""
    from botguard.model_key import make
    from kernel.settings import env

    key = make(args.file)
    print(f"{args.file}: key {key.id}")
    print(f"{env('bot_model_keys')}={key.public}")
    return 0


def sign_model(args: argparse.Namespace) -> int:
    """Sign the model of a file, and print where it stands."""
    from botguard.model_key import read

    path = args.to or args.model.with_name(f"{args.model.stem}.signed")
    print(save_signed(_octets(args.model), read(args.sign_with), path))
    return 0


def save_signed(raw: bytes, key: "ModelKey", path: Path) -> str:
    """Sign and write a model; return what is to be told. Raises ``Misconfigured``."""
    from botguard.signed_model import sign
    from kernel.errors import Misconfigured

    signed = sign(raw, key)
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(signed)
        fresh.replace(path)  # a gate that follows the file sees the old one or the new one
    except OSError as error:
        raise Misconfigured([f"{path}: the file cannot be written: {error.strerror}."]) from error
    return f"{path}: signed by the key {key.id}; sha256 {sha256(signed).hexdigest()}"


def check_model(args: argparse.Namespace) -> int:
    """Print what a signed model is, or why a gate would not take it."""
    from botguard.model import DEFAULT_SHA256
    from botguard.model_key import public_keys
    from botguard.signed_model import read, told
    from kernel.errors import Misconfigured

    settings = settings_of(args)
    path = args.model or settings.bot_model
    if path is None:
        print(f"no model is set: the one that comes with the package counts, sha256 {DEFAULT_SHA256}")
        return 0
    keys, octets = public_keys(args.key or settings.bot_model_keys), _octets(path)
    try:
        model = read(octets, keys)
    except Misconfigured as error:
        print("\n".join(f"{path}: {fault}" for fault in error.faults))
        return NO
    head = told(octets)
    print(f"{path}: signed by the key {head['key']}; sha256 {sha256(octets).hexdigest()}")
    print(
        f"features {head['features']}, {len(model.roots)} trees: {model.card.get('made', 'no word how it was made')}"
    )
    for name, digest in head["data"].items():
        print(f"data {name}: sha256 {digest}")
    return 0


def _octets(path: Path) -> bytes:
    from kernel.errors import Misconfigured

    try:
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured([f"{path}: the file cannot be read: {error.strerror}."]) from error
