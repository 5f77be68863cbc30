"""What a browser says of itself, in a few words that a member knows it by."""

BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    *(("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("CrOS", "ChromeOS")),
    *(("Mac OS X", "macOS"), ("Linux", "Linux")),
)
"""What is looked for → what it is called; the first that is there, since each pretends to be those behind it."""


def label_of(user_agent: str) -> str:
    """Return browser and system, as far as they are known; empty for others."""
    known = (next((name for sign, name in names if sign in user_agent), "") for names in (BROWSERS, SYSTEMS))
    return ", ".join(name for name in known if name)
