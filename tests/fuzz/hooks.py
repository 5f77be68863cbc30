"""What schemathesis may not send, because it would not send what it thinks."""

from typing import Any

import schemathesis

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@schemathesis.hook
def filter_case(context: object, case: schemathesis.Case[Any]) -> bool:
    """Leave out forms that hold an empty list or object: neither can be written in a form, so that a body which they make invalid arrives
    as a valid one."""
    return case.media_type not in FORMS or not _holds_emptiness(case.body)


def _holds_emptiness(value: Any) -> bool:
    if isinstance(value, dict):
        return any(each == {} or _holds_emptiness(each) for each in value.values())
    return isinstance(value, list) and (not value or any(_holds_emptiness(each) for each in value))
