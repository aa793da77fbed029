"""Settings: what an operator chooses for one installation; a room's own choices stand in the rooms file.

Every setting is WAITROOM_<NAME> in the environment or a key of the settings file; secrets also
<NAME>_FILE. ``waitroom check settings`` prints them all, and every fault at once.

Everything listens on 127.0.0.1 unless told otherwise, the operator's port by a setting of its own: a
first try must not be on the network by accident, and opening the gate to the world must not open
the console with it.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Self

from botguard.model_key import public_keys
from gateway.event_settings import EventSettings
from gateway.shop_settings import payment_faults
from kernel.asgi import Network
from kernel.errors import Misconfigured
from kernel.settings import env, is_site, read, setting

DEMO_SENDER = "Aurora Hall <tickets@aurora.example>"
DEMO: Mapping[str, object] = {
    "data": ".demo",
    "log_format": "text",
    "log_level": "warning",
    "drain_s": 0.5,
    # An open event stream must not hold up Ctrl-C.
    "stop_s": 3,
    # Simulated fans name an address of their own each.
    "trusted_proxies": ["127.0.0.0/8"],
    "shop_demo": True,
    "payments": "sandbox",
}


@dataclass(frozen=True, slots=True)
class Settings(EventSettings):
    """All settings of the server's processes."""

    host: str = setting(default="127.0.0.1", help="address that the gate listens on; 0.0.0.0 for the network")
    port: int = setting(default=8080, minimum=0, maximum=65535, help="port of the gate, which fans use")
    operator_host: str = setting(
        default="127.0.0.1", help="address that the console and the operator API listen on"
    )
    operator_port: int = setting(
        default=8081, minimum=0, maximum=65535, help="port of the console and the operator API"
    )
    shop_host: str = setting(default="127.0.0.1", help="address that the shop listens on")
    shop_port: int = setting(default=8082, minimum=0, maximum=65535, help="port of the shop")
    workers: int = setting(default=1, minimum=1, maximum=256, help="gate processes that share the port")
    data: Path = setting(  # noqa: RUF009 (a field, as dataclasses.field is)
        default=Path("data"), help="folder for keys, journal and the embedded store"
    )
    rooms: Path | None = setting(default=None, help="TOML file with the rooms")  # noqa: RUF009
    store_url: str | None = setting(
        default=None, help="Redis or Valkey server; empty: an embedded one in the data folder"
    )
    journal_url: str | None = setting(
        default=None, help="SQL database of the journal; empty: SQLite in the data folder"
    )
    history_days: int = setting(
        default=90,
        minimum=1,
        maximum=3650,
        help="so long the figures of each minute are kept, for the history page",
    )
    keyring: Path | None = setting(  # noqa: RUF009
        default=None, help="file with the signing keys; empty: keyring.json in the data folder"
    )
    public_url: str | None = setting(default=None, help="address that fans type, as https://tickets.example")
    secure_cookies: str = setting(
        default="auto",
        choices=("auto", "yes", "no"),
        help="cookies for TLS only; auto: when public_url is https",
    )
    hsts_s: int = setting(
        default=31_536_000,
        minimum=0,
        help="so long browsers come by TLS only (HSTS), where cookies are for TLS only; 0: they are not told",
    )
    prefix: str = setting(
        default="/.waitroom", help="path below which the waiting room answers on the site's host"
    )
    default_origin: str | None = setting(
        default=None, help="origin for addresses that no room covers; empty: they are 404"
    )
    keep_host: bool = setting(default=True, help="hand the client's Host header to the origin")
    trusted_proxies: tuple[str, ...] = setting(
        default=(), help="networks whose X-Forwarded-* headers are believed, as 10.0.0.0/8"
    )
    operator_token: str | None = setting(
        default=None, secret=True, help="secret of the operator; the demo makes one in the data folder"
    )
    backend_token: str | None = setting(
        default=None, secret=True, help="secret with which backends finish, renew and revoke sessions"
    )
    open_paths: tuple[str, ...] = setting(
        default=(),
        help="addresses below which the gate asks for no admission: /tickets/,/gift/ (the demo sets the shop's)",
    )
    bot_list: Path | None = setting(  # noqa: RUF009
        default=None, help="own list of networks and agents for the bot guard; read again when it changes"
    )
    bot_agent_keys: Path | None = setting(  # noqa: RUF009
        default=None, help="JWK set with the keys of agents whose signed requests are welcome"
    )
    bot_asn: Path | None = setting(  # noqa: RUF009
        default=None, help="MaxMind DB file of autonomous systems, for the bot guard"
    )
    bot_model: Path | None = setting(  # noqa: RUF009
        default=None, help="signed model of movements of your own; empty: the one that comes with the package"
    )
    bot_model_keys: tuple[str, ...] = setting(
        default=(),
        help="public keys of which one must have signed that model, as `waitroom bots keys` tells them",
    )
    ja4_header: str | None = setting(
        default=None, help="header in which a trusted proxy passes JA4, the fingerprint of TLS"
    )
    connect_s: float = setting(default=5.0, minimum=0.01, help="time to connect to the origin")
    first_byte_s: float = setting(default=60.0, minimum=0.01, help="time until the origin begins to answer")
    idle_s: float = setting(
        default=120.0, minimum=0.01, help="longest silence within an answer of the origin"
    )
    origin_connections: int = setting(
        default=1000, minimum=1, help="connections of one worker to the origins"
    )
    header_s: float = setting(
        default=15.0, minimum=0.1, help="time a client has to send the head of a request"
    )
    keep_alive_s: int = setting(
        default=65, minimum=1, help="time that an idle connection of a client stays open"
    )
    max_header_bytes: int = setting(default=32_768, minimum=1024, help="largest head of a request")
    max_connections: int = setting(default=10_000, minimum=1, help="connections of one worker; more get 503")
    drain_s: float = setting(
        default=5.0, minimum=0, help="after SIGTERM: time between not ready and closing the port"
    )
    stop_s: int = setting(default=30, minimum=1, help="after that: time for requests in flight")
    log_level: str = setting(
        default="info", choices=("debug", "info", "warning", "error"), help="least serious log line to write"
    )
    log_format: str = setting(default="json", choices=("json", "text"), help="form of the log on stderr")

    def __post_init__(self) -> None:
        """Refuse what each field alone cannot show; raises Misconfigured with all faults."""
        faults = [
            f"{env('trusted_proxies')}: {text!r} is not a network such as 10.0.0.0/8 or ::1."
            for text in self.trusted_proxies
            if not _is_network(text)
        ]
        for name in ("public_url", "default_origin", "shop_url"):
            url = getattr(self, name)
            if url is not None and not is_site(url):
                faults.append(f"{env(name)}: {url!r} is not an address such as https://tickets.example.")
        if not self.prefix.startswith("/") or self.prefix.endswith("/") or set(self.prefix) & set(" ?#%\\;"):
            faults.append(f"{env('prefix')}: must begin with / and not end with one, not {self.prefix!r}.")
        for name in ("store_url", "shop_store_url"):
            url = getattr(self, name)
            if url is not None and not url.startswith(("redis://", "rediss://", "unix://")):
                faults.append(f"{env(name)}: must begin with redis://, rediss:// or unix://.")
        for name in ("operator_token", "backend_token", "organiser_token"):
            secret = getattr(self, name)
            if secret is not None and len(secret) < 16:
                faults.append(f"{env(name)}: a secret of fewer than 16 characters can be guessed.")
        faults += self._model_faults()
        faults += self.tracing_faults()
        faults += payment_faults(self)
        if self.takes_real_money and not self.secure:
            faults.append(
                f"{env('public_url')}: real money is taken over TLS only; set the https:// address that buyers type."
            )
        faults += self.people_faults(secure=self.secure)
        faults += self.staff_faults(site=self.site, secure=self.secure)
        faults += self.challenge_faults(self.public_url)
        faults += self.reminder_faults(self.public_url)
        faults += self.identity_faults(secure=self.secure, public_url=self.public_url)
        faults += self.operator_faults(secure=self.secure)
        faults += self.event_faults()
        names = ("port", "operator_port", "shop_port", "sandbox_port")
        ports = [(name, getattr(self, name)) for name in names]
        faults += [
            f"{env(name)}: {number} is the port of {env(other)} already."
            for index, (name, number) in enumerate(ports)
            for other, taken in ports[:index]
            if number == taken != 0
        ]
        if faults:
            raise Misconfigured(faults)

    def _model_faults(self) -> list[str]:
        """Say what is wrong with the keys of the bot guard's model."""
        name = env("bot_model_keys")
        try:
            keys = public_keys(self.bot_model_keys)
        except Misconfigured as error:
            return [f"{name}: {fault}" for fault in error.faults]
        if self.bot_model is not None and not keys:
            return [f"{name}: a model of your own counts only where a key that is named here has signed it."]
        return []

    @property
    def secure(self) -> bool:
        """True when cookies are for TLS only (and so can be ``__Host-`` cookies)."""
        if self.secure_cookies == "auto":
            return self.public_url is not None and self.public_url.startswith("https://")
        return self.secure_cookies == "yes"

    @property
    def networks(self) -> tuple[Network, ...]:
        """The trusted proxies."""
        return tuple(ip_network(text, strict=False) for text in self.trusted_proxies)

    @property
    def keyring_path(self) -> Path:
        """The file with the signing keys."""
        return self.keyring or self.data / "keyring.json"

    @property
    def journal_address(self) -> str:
        """The journal's SQL database."""
        return self.journal_url or f"sqlite:///{(self.data / 'journal.db').resolve()}"

    @property
    def site(self) -> str:
        """The address that people type."""
        return self.public_url or f"http://{loopback(self.host)}:{self.port}"

    @property
    def issuer(self) -> str:
        """The name of this installation in tokens."""
        return self.public_url or "waitroom"

    @property
    def console(self) -> str:
        """The address of the console, as operators type it."""
        return (self.operator_url or f"http://{loopback(self.operator_host)}:{self.operator_port}").rstrip(
            "/"
        )

    @property
    def operator_token_path(self) -> Path:
        """The file in which the operator's secret stands when it is not set."""
        return self.data / "operator-token"

    @property
    def shop_address(self) -> str:
        """The shop as rooms name it, and as admissions for it do."""
        return (self.shop_url or f"http://127.0.0.1:{self.shop_port}").rstrip("/")

    @property
    def shop_database_address(self) -> str:
        """The shop's main SQL database."""
        return self.shop_database_url or f"sqlite:///{(self.data / 'shop.db').resolve()}"

    @property
    def ticket_keys_path(self) -> Path:
        """The file with the keys that sign tickets."""
        return self.data / "ticket-keys.json"

    def to_try_out(self) -> Self:
        """Return what the demo runs with: its fans are told of their turn by mails that lie in its folder."""
        if self.reminds:
            return self
        return replace(self, reminder_mail_folder=self.mail_folder, reminder_mail_from=DEMO_SENDER)

    @property
    def mail_folder(self) -> Path:
        """The folder in which the demo keeps its mails."""
        return self.data / "mails"

    @property
    def organiser_token_path(self) -> Path:
        """The file in which the organiser's secret stands when it is not set."""
        return self.data / "organiser-token"


def loopback(host: str) -> str:
    """Give the address at which this machine reaches what listens on `host`, as it stands in a URL."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104


def is_shop_alone(settings: Settings) -> bool:
    """Tell whether a shop runs here without a line: it keeps a folder of its own, and no gate ever made a journal."""
    has_journal = settings.journal_url is not None or (settings.data / "journal.db").exists()
    return (settings.data / "shop").is_dir() and not has_journal


def load(
    environ: Mapping[str, str] = os.environ,
    *,
    file: Path | None = None,
    under: Mapping[str, object] | None = None,
) -> Settings:
    """Read the settings: environment over file over ``under`` over the defaults.

    Raises Misconfigured with every fault.
    """
    table: dict[str, object] = dict(under or {})
    if file is not None:
        try:
            table |= tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise Misconfigured([f"The settings file {file} cannot be read: {error.strerror}."]) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Misconfigured([f"The settings file {file} is not TOML: {error}."]) from error
    return read(Settings, environ, table)


def to_environ(settings: Settings) -> dict[str, str]:
    """Write settings as environment variables, for a child process of the same user."""
    out: dict[str, str] = {}
    for field in fields(settings):
        given = getattr(settings, field.name)
        if given is None:
            text = ""
        elif isinstance(given, bool):
            text = "true" if given else "false"
        else:
            text = ",".join(given) if isinstance(given, tuple) else str(given)
        out[env(field.name)] = text
    return out


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
