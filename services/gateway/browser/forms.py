"""Forms that come back with what was typed and a sentence at each field that is wrong."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Form:
    """What a form shows: values as they were typed or as they are, and what is wrong, by field."""

    values: Mapping[str, object] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    """Its idempotency key."""

    @property
    def code(self) -> int:
        """The code of a page with this form."""
        return 422 if self.faults else 200
