"""Idempotency keys as clients send them: what can be one. What they do is in idempotency.py."""

from chassis.errors import InvalidField

MAX_KEY_BYTES = 255


def check_key(request_id: str) -> str:
    """Return an idempotency key; empty means none. Raises InvalidField where it is too long or cannot be stored."""
    if len(request_id.encode()) > MAX_KEY_BYTES or "\0" in request_id:
        raise InvalidField("request_id", f"An idempotency key has at most {MAX_KEY_BYTES} bytes and no NUL.")
    return request_id
