"""Errors on the wire: one google.rpc.ErrorInfo each, with a reason of its own."""

import pytest
from google.rpc import error_details_pb2
from kodama.errors.v1.error_reason_pb2 import ErrorReason

from chassis import errors

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.KodamaError)]


def make(kind: type[errors.KodamaError]) -> errors.KodamaError:
    if kind is errors.InvalidField:
        return errors.InvalidField("text", "That is too long.", maximum="150")
    return kind("That cannot be.", what="friends")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_carries_exactly_one_error_info(kind: type[errors.KodamaError]) -> None:
    error = make(kind)
    rpc_status = errors.to_rpc_status(error)
    (detail,) = rpc_status.details
    info = error_details_pb2.ErrorInfo()
    assert detail.Unpack(info)
    assert (info.domain, info.reason) == ("kodama", ErrorReason.Name(error.reason).removeprefix("ERROR_REASON_"))
    assert dict(info.metadata) == error.metadata
    assert (rpc_status.code, rpc_status.message) == (error.code.value[0], error.message)


def test_every_reason_of_the_contract_has_one_kind() -> None:
    reasons = [kind.reason for kind in KINDS]
    assert sorted(reasons) == sorted(set(ErrorReason.values()) - {ErrorReason.ERROR_REASON_UNSPECIFIED})


def test_an_invalid_field_names_it() -> None:
    assert make(errors.InvalidField).metadata == {"field": "text", "maximum": "150"}
