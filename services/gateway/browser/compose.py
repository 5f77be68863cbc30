"""The form that a status is written in, and what is wrong with what was typed there."""

from collections.abc import Mapping
from typing import Any

import msgspec

from chassis import characters
from chassis.errors import InvalidField
from services.gateway import entities
from services.gateway.browser.forms import Form
from services.gateway.browser.languages import mark
from services.gateway.browser.pictures import PICTURE_FAULT
from services.gateway.browser.visit import Visit
from services.gateway.parameters import LongText, ShortText
from services.gateway.rendering import STATUS_VISIBILITIES

MAX_CHARACTERS = 150

BLANK = mark("Please write something.")
TOO_LONG = mark("A status has at most 150 characters; this one has %(count)s.")
UNACCEPTABLE = mark("There are characters in this that cannot be shown.")
NO_VISIBILITY = mark("Please choose who may see it.")
GONE = mark("What you reply to is not there any more.")
MANY_MENTIONS = mark("This names too many members, or is too large.")


class NewStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a member has written."""

    status: LongText = ""
    visibility: ShortText = ""
    in_reply_to_id: ShortText = ""
    media_id: ShortText = ""
    """A picture that came with the form before, which was refused for something else."""
    description: LongText = ""
    """Of the picture, for who cannot see it."""
    next: ShortText = ""


async def compose_form(visit: Visit[Any], *, reply_to: entities.Status | None = None) -> Form:
    """Return an empty form with the visibility that a member's new statuses have; a reply has at most that of what it replies to."""
    settings = (await visit.gateway.clients.own_account(visit.viewer_id)).settings
    visibility = STATUS_VISIBILITIES[settings.default_visibility]
    text = ""
    if reply_to is not None:
        order = list(STATUS_VISIBILITIES.values())
        visibility = max(visibility, reply_to.visibility, key=order.index)
        if reply_to.account.id != str(visit.viewer_id):
            text = f"@{reply_to.account.username} "
    values: Mapping[str, object] = {
        "status": text,
        "visibility": visibility,
        "in_reply_to_id": reply_to.id if reply_to else "",
    }
    return Form(values)


def faults_of(visit: Visit[NewStatus], error: InvalidField) -> dict[str, str]:
    """Return what is wrong with a status that was refused, by field, in the writer's language."""
    field = error.metadata["field"]
    if field == "visibility":
        return {"visibility": visit.say(NO_VISIBILITY)}
    if field in ("file", "media_ids"):
        return {"file": visit.say(PICTURE_FAULT)}
    if field == "in_reply_to_id":
        return {"status": visit.say(GONE)}
    try:
        text = characters.clean(visit.params.status)
    except characters.UnacceptableText:
        return {"status": visit.say(UNACCEPTABLE)}
    count = characters.count(text)
    if characters.is_blank(text):
        return {"status": visit.say(BLANK)}
    if count > MAX_CHARACTERS:
        return {"status": visit.say(TOO_LONG) % {"count": count}}
    return {"status": visit.say(MANY_MENTIONS)}
