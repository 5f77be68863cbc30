"""Pictures for members: drawn from the id alone, so that they need no storage and never change."""

import hashlib

CELLS = 5
CELL = 20
MARGIN = 10
SIDE = CELLS * CELL + 2 * MARGIN


def avatar(account_id: int) -> str:
    """Return a square SVG image: a mirrored pattern in a colour of the member's own."""
    digest = hashlib.sha256(f"avatar/{account_id}".encode()).digest()
    hue = digest[0] * 360 // 256
    cells = "".join(
        f"M{MARGIN + x * CELL} {MARGIN + y * CELL}h{CELL}v{CELL}h-{CELL}z"
        for y in range(CELLS)
        for x in range(CELLS)
        if digest[1 + y * CELLS + min(x, CELLS - 1 - x)] & 1
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" width="{SIDE * 4}" height="{SIDE * 4}">'
        f'<rect width="{SIDE}" height="{SIDE}" fill="hsl({hue},40%,92%)"/>'
        f'<path d="{cells}" fill="hsl({hue},55%,45%)"/></svg>'
    )


def header(account_id: int) -> str:
    """Return a wide SVG image: a gradient in the colour of the member's avatar."""
    hue = hashlib.sha256(f"avatar/{account_id}".encode()).digest()[0] * 360 // 256
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1500 500" width="1500" height="500">'
        '<defs><linearGradient id="g" x2="1" y2="1">'
        f'<stop stop-color="hsl({hue},45%,70%)"/><stop offset="1" stop-color="hsl({(hue + 40) % 360},45%,45%)"/>'
        '</linearGradient></defs><rect width="1500" height="500" fill="url(#g)"/></svg>'
    )
