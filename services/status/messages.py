"""The contract's words and the domain's: messages of kodama.status.v1 to and from what they stand for."""

from collections.abc import Mapping, Sequence

from kodama.status.v1 import status_pb2
from kodama.status.v1 import status_service_pb2 as pb

from chassis import ids
from chassis.admission import status_of
from chassis.errors import InvalidField, KodamaError, NotFound
from chassis.ragged import join
from services.status.domain import HomeCard, NewStatus, Posted, Status, StatusCount, check_new_status


def to_proto(status: Status) -> status_pb2.Status:
    """Return a status as others get it."""
    shown = status_pb2.Status()
    put_status(shown, status)
    return shown


def put_status(shown: status_pb2.Status, status: Status) -> None:
    """Say what a status is, field by field: to hand all of them to a constructor takes four times as long."""
    shown.id = status.id
    shown.account_id = status.account_id
    shown.text = status.text
    shown.visibility = status_pb2.Visibility.ValueType(status.visibility)
    shown.created_at_ms = status.created_at_ms
    shown.version = status.version
    if status.edited_at_ms:
        shown.edited_at_ms = status.edited_at_ms
    if status.in_reply_to_id:
        shown.in_reply_to_id = status.in_reply_to_id
        shown.in_reply_to_account_id = status.in_reply_to_account_id
    if status.mentioned_ids:
        shown.mentions.extend(to_mentions(status.mentioned_ids, status.mentioned_handles))
    if status.replies_count:
        shown.replies_count = status.replies_count
    if status.favourites_count:
        shown.favourites_count = status.favourites_count
    if status.is_favourited:
        shown.is_favourited = True
    if status.media_ids:
        shown.media_ids.extend(status.media_ids)


def to_mentions(account_ids: Sequence[int], handles: Sequence[str]) -> list[status_pb2.Mention]:
    """Return whom a text mentions; ids and handles at the same places."""
    return [
        status_pb2.Mention(account_id=account_id, handle=handle)
        for account_id, handle in zip(account_ids, handles, strict=True)
    ]


def to_card(card: HomeCard) -> status_pb2.StatusCard:
    """Return what a home timeline needs of a status."""
    return status_pb2.StatusCard(
        status_id=card.id,
        version=card.version,
        replies_count=card.replies_count,
        favourites_count=card.favourites_count,
        is_favourited=card.is_favourited,
        media_ids=card.media_ids,
    )


def to_new(request: pb.CreateStatusRequest, defaults: Mapping[int, int] | KodamaError) -> NewStatus | KodamaError:
    """Return what a request would post, or why it cannot; `defaults` are the visibilities that its author's settings may ask for."""
    visibility: int = request.visibility
    if visibility == status_pb2.VISIBILITY_AUTHOR_DEFAULT:
        if isinstance(defaults, KodamaError):
            return defaults
        if request.account_id not in defaults:
            return NotFound("There is no such member any more.", resource="account")
        visibility = defaults[request.account_id]
    try:
        return check_new_status(
            request.account_id,
            request.text,
            visibility,
            request.request_id,
            request.in_reply_to_id,
            request.media_ids,
        )
    except InvalidField as error:
        return error


def put_result(result: pb.CreateStatusResult, outcome: Posted | Exception) -> None:
    """Say what has become of a post: the status with what is counted of its author, or the error."""
    if isinstance(outcome, Posted):
        put_status(result.status, outcome.status)
        put_count(result.author, outcome.counted)
    else:
        result.error = status_of("BatchCreateStatuses", outcome).SerializeToString()


def put_count(author: pb.AuthorCount, counted: StatusCount) -> None:
    """Say what is counted of an author."""
    author.statuses = counted.statuses
    author.last_status_at_ms = ids.created_at_ms(counted.last_id) if counted.last_id else 0


def to_cards(cards: Sequence[HomeCard]) -> status_pb2.StatusCards:
    """Return many cards, each field of all of them together."""
    media_counts, media_ids = join([card.media_ids for card in cards])
    return status_pb2.StatusCards(
        status_ids=[card.id for card in cards],
        versions=[card.version for card in cards],
        replies_counts=[card.replies_count for card in cards],
        favourites_counts=[card.favourites_count for card in cards],
        are_favourited=[card.is_favourited for card in cards],
        media_counts=media_counts if media_ids else [],
        media_ids=media_ids,
    )
