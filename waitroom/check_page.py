"""Check page: where a place in the lane ``suspect`` shows that somebody is there.

A page of its own, so that a provider's sources stand in the policy of this page and of no other; the waiting page leads
here and is come back to. Not here: what a check is worth (``ports.Challenges``), who climbs (``challenging``).
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from waitroom.assets import asset_url
from waitroom.view import Look, render

_PROVIDERS = {"hcaptcha": "hCaptcha", "turnstile": "Cloudflare Turnstile", "recaptcha": "Google reCAPTCHA"}


@dataclass(frozen=True, slots=True)
class Check:
    """What the page of a check needs: the way, and a provider's key, script and sources."""

    way: str = "work"
    sitekey: str = ""
    script: str = ""
    sources: tuple[str, ...] = ()


def check_page(prefix: str, look: Look, room: str, target: str, check: Check) -> bytes:
    """Render the page of a check."""
    base = f"{prefix}r/{room}"
    instead = urlencode({"target": target, "lang": look.words.tag, "way": "work"})
    return render(
        "check.html",
        prefix,
        look,
        room=room,
        root=prefix,
        target=target,
        check=check,
        provider=_PROVIDERS.get(check.way, ""),
        script=asset_url(prefix, "check.js"),
        solver=asset_url(prefix, "solve.js"),
        back=f"{base}?{urlencode({'target': target})}",
        plain=f"{base}/ticket?{urlencode({'target': target, 'lang': look.words.tag})}",
        instead=f"{base}/challenge?{instead}",
    )
