"""A few hundred requests that no client would send, the same ones in every run: each is answered, none with a 5xx."""

import json
import random
from collections import Counter
from typing import Any

from services.gateway.routes import TABLE
from services.gateway.streaming.server_sent import MEDIA_TYPE
from tests.integration.gateway.conftest import Network

REQUESTS = 300
VALUES: tuple[Any, ...] = (
    *("", "0", "-1", "1e9", "abc", "\x00", "\ud800", "💣", "a" * 5000, "http://x", "read push", "client_credentials"),
    *(5, -5, 2**70, 1.5, 1e300, None, True, [], [[]], {}, {"a": {}}, ["\x00"]),
)
NAMES = (
    *("status", "visibility", "title", "text", "id", "limit", "max_id", "min_id", "since_id", "only_media", "pinned"),
    *("username", "email", "password", "agreement", "locale", "grant_type", "client_id", "client_secret", "scope"),
    *("redirect_uris", "client_name", "scopes", "website", "acct"),
)
PATH_IDS = ("0", "5", "%ff", "a", "9" * 19, "..", "%2e%2e", "%00", "%0a")
MEDIA_TYPES = (
    b"multipart/form-data; boundary=a; charset=idna",
    b"multipart/form-data; boundary=",
    b"multipart/form-data; boundary=\xc3\xa9",
    b"multipart/form-data; charset=unicode_escape; boundary=a",
    b"application/json; charset=utf-16",
    b"application/x-www-form-urlencoded; charset=punycode",
)


def a_body(chance: random.Random) -> dict[str, Any]:
    values = {name: chance.choice(VALUES) for name in chance.sample(NAMES, 8)}
    raw = {name: str(value).encode(errors="surrogatepass") for name, value in values.items()}
    suffix = chance.choice(("", "[]", "[a]", "[][b]", "["))
    match chance.randrange(5):
        case 0:
            return {"content": json.dumps(values), "headers": {"content-type": "application/json"}}
        case 1:
            return {"data": {name: text.decode("latin-1") for name, text in raw.items()}}
        case 2:
            file_name = chance.choice((None, "file.txt"))
            return {"files": [(name + suffix, (file_name, text)) for name, text in raw.items()]}
        case 3:
            return {"params": {name + suffix: text.decode("latin-1") for name, text in raw.items()}}
        case _:
            boundary = b'--a\r\nContent-Disposition: form-data; name="status"\r\n\r\n\\ud800\r\n--a--\r\n'
            return {"content": boundary, "headers": {"content-type": chance.choice(MEDIA_TYPES)}}


FINITE = [route for route in TABLE if route.media_type != MEDIA_TYPE]
"""All routes but the streams, whose answers have no end."""


async def test_no_request_is_a_5xx(shared_network: Network) -> None:
    hana = await shared_network.newcomer()
    chance = random.Random(20)
    codes: Counter[int] = Counter()
    for _ in range(REQUESTS):
        route = chance.choice(FINITE)
        path = route.path.replace("{id}", chance.choice((*PATH_IDS, hana.id)))
        path = path.replace("{handle}", chance.choice((hana.handle, "x", "%00", "%ff")))
        request = a_body(chance)
        key = chance.choice((b"", b"\xe9", b"k" * 300, b"k"))
        headers = {**request.pop("headers", {}), "idempotency-key": key}
        answer = await hana.http.request(route.method, path, headers=headers, **request)
        assert answer.status_code < 500, (route.method, path, request, headers, answer.text)
        codes[answer.status_code] += 1
    assert {200, 400, 404, 422} <= set(codes)  # the requests get further than the first check
