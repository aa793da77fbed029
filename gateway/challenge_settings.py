"""Challenge settings: the keys of an operator at providers of checks.

Part of ``settings.Settings``, which says how a setting is given and is the only one to ask. Which check a room asks for
is the room's own setting (``challenge``).
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from botguard.challenges.port import URLS, Way
from gateway.shop_settings import ShopSettings
from kernel.settings import env, is_site, setting


@dataclass(frozen=True, slots=True)
class ChallengeSettings(ShopSettings):
    """Settings of checks, beside those of the shop."""

    hcaptcha_sitekey: str | None = setting(default=None, help="public key at hCaptcha; empty: no room has it")
    hcaptcha_secret: str | None = setting(default=None, secret=True, help="secret key at hCaptcha")
    hcaptcha_url: str = setting(default=URLS[Way.HCAPTCHA], help="address at which hCaptcha judges answers")
    turnstile_sitekey: str | None = setting(
        default=None, help="public key at Cloudflare Turnstile; empty: no room has it"
    )
    turnstile_secret: str | None = setting(
        default=None, secret=True, help="secret key at Cloudflare Turnstile"
    )
    turnstile_url: str = setting(
        default=URLS[Way.TURNSTILE], help="address at which Turnstile judges answers"
    )
    recaptcha_sitekey: str | None = setting(
        default=None, help="public key at Google reCAPTCHA v3; empty: no room has it"
    )
    recaptcha_secret: str | None = setting(
        default=None, secret=True, help="secret key at Google reCAPTCHA v3"
    )
    recaptcha_url: str = setting(
        default=URLS[Way.RECAPTCHA], help="address at which reCAPTCHA judges answers"
    )
    challenge_hosts: tuple[str, ...] = setting(
        default=(),
        help="hosts on which a provider's check may have been done; empty: that of public_url",
    )
    challenge_limit_s: float = setting(
        default=3.0, minimum=0.1, maximum=10, help="time that a provider has to judge an answer"
    )

    def provider_keys(self) -> dict[Way, tuple[str, str, str]]:
        """Return (public key, secret, address) of each provider that is set up."""
        rows = (
            (Way.HCAPTCHA, self.hcaptcha_sitekey, self.hcaptcha_secret, self.hcaptcha_url),
            (Way.TURNSTILE, self.turnstile_sitekey, self.turnstile_secret, self.turnstile_url),
            (Way.RECAPTCHA, self.recaptcha_sitekey, self.recaptcha_secret, self.recaptcha_url),
        )
        return {way: (key, secret, url) for way, key, secret, url in rows if key and secret}

    def hosts_of_checks(self, public_url: str | None) -> frozenset[str]:
        """Return the hosts on which a check may have been done."""
        own = urlsplit(public_url).hostname if public_url is not None and is_site(public_url) else None
        return frozenset(self.challenge_hosts or ({own} if own else ()))

    def challenge_faults(self, public_url: str | None) -> list[str]:
        """Say what is wrong."""
        faults = []
        for way in (Way.HCAPTCHA, Way.TURNSTILE, Way.RECAPTCHA):
            key, secret = getattr(self, f"{way}_sitekey"), getattr(self, f"{way}_secret")
            if bool(key) != bool(secret):
                missing = env(f"{way}_secret" if key else f"{way}_sitekey")
                faults.append(f"{missing}: {way} needs its public key and its secret.")
            url = getattr(self, f"{way}_url")
            if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
                faults.append(f"{env(f'{way}_url')}: the secret goes there, so it must begin with https://.")
        if self.provider_keys() and not self.hosts_of_checks(public_url):
            faults.append(
                f"{env('challenge_hosts')}: without it, and without {env('public_url')}, a check that was done on "
                "another site would count here."
            )
        return faults
