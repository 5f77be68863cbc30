"""Bad input gives the form back with what was typed and a sentence at the field; errors are pages in the reader's language."""

import io
import random
import re
from html import escape

import pytest
from PIL import Image

from chassis.settings import SERVICES
from deploy.local.ports import choose_ports
from services.gateway.browser.endpoint import Audience
from services.gateway.browser.table import PAGES
from tests.conftest import run_services
from tests.integration.gateway.conftest import open_network
from tests.integration.gateway.test_any_input import PATH_IDS, a_body
from tests.integration.gateway.test_pages import Elements
from tests.pages.conftest import Client, Site

VECTORS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}{% raw %}",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "%(name)s %s %",
    "\u202e\u2066gnp.exe",
)


def faults_of(html: str) -> dict[str, str]:
    """The fields that a form says are wrong; each is described by a sentence that is there."""
    elements = Elements(html)
    ids = {attributes.get("id") for _, attributes in elements.seen}
    wrong = {
        str(attributes.get("name")): str(attributes.get("aria-describedby"))
        for _, attributes in elements.seen
        if attributes.get("aria-invalid") == "true"
    }
    assert set(wrong.values()) <= ids
    return wrong


async def test_sign_up(site: Site) -> None:
    taken = site.new_name()
    await site.sign_up(taken)
    site.network.http.cookies.clear()
    good = {"username": site.new_name(), "email": "x@example.com", "password": "long enough", "agreement": "true"}
    for changes, fields in (
        ({"username": "Not Good!"}, {"username"}),
        ({"username": ""}, {"username"}),
        ({"username": "x" * 3000}, {"username"}),
        ({"username": taken}, {"username"}),
        ({"username": taken, "email": f"{taken}@example.com"}, {"username", "email"}),
        ({"email": "no address"}, {"email"}),
        ({"email": "a@b,c"}, {"email"}),
        ({"password": "short"}, {"password"}),
        ({"agreement": ""}, {"agreement"}),
        ({"display_name": "\u200b "}, {"display_name"}),
        (
            {"username": "", "email": "", "password": "", "agreement": ""},
            {"username", "email", "password", "agreement"},
        ),
    ):
        for language in ("en", "ja"):
            typed = {**good, **changes}
            answer = await site.network.http.post("/sign-up", data=typed, headers={"accept-language": language})
            assert answer.status_code == 422, changes
            assert set(faults_of(answer.text)) == fields, (changes, faults_of(answer.text))
            for name in ("username", "email"):
                assert f'name="{name}" type="' in answer.text
                assert f'value="{escape(typed[name])}"' in answer.text
            assert not typed["password"] or f'value="{typed["password"]}"' not in answer.text
            assert f'lang="{language}"' in answer.text


async def test_forms_of_members(site: Site) -> None:
    client = Client(site, await site.sign_up(site.new_name()))
    token = await client.token()
    long_text = "あ" * 151
    for path, form, field in (
        ("/statuses", {"status": long_text, "visibility": "public"}, "status"),
        ("/statuses", {"status": " ", "visibility": "public"}, "status"),
        ("/statuses", {"status": "x", "visibility": "world"}, "status"),
        ("/statuses", {"status": "x", "visibility": "public", "in_reply_to_id": "99"}, "status"),
        ("/statuses", {"status": "x", "visibility": "public", "in_reply_to_id": "x"}, "status"),
        ("/settings/profile", {"display_name": "x" * 61, "note": "kept"}, "display_name"),
        ("/settings/profile", {"display_name": "kept", "note": "x" * 501}, "note"),
        ("/blog/write", {"title": "", "text": "kept", "visibility": "public", "action": "publish"}, "title"),
        ("/blog/write", {"title": "kept", "text": "", "visibility": "public", "action": "publish"}, "text"),
        ("/blog/write", {"title": "kept", "text": "kept", "visibility": "world", "action": "publish"}, "visibility"),
    ):
        answer = await client.post(path, form, token=token)
        assert answer.status_code == 422, (path, form, answer.text)
        assert set(faults_of(answer.text)) == {field}, (path, form)
        kept = {value for value in form.values() if value == "kept" or len(value) > 60}
        assert all(value in answer.text for value in kept)
    part = await client.post("/statuses", {"status": long_text, "visibility": "public"}, token=token, hx_request="true")
    assert part.status_code == 422
    assert part.text.lstrip().startswith("<form")
    assert "151" in part.text
    for path, form in (
        ("/settings/privacy", {"visibility": "direct"}),
        ("/settings/appearance", {"language": "fr", "theme": ""}),
        ("/settings/appearance", {"language": "ja", "theme": "purple"}),
    ):
        answer = await client.post(path, form, token=token)
        assert answer.status_code == 422
        assert 'class="fault"' in answer.text


async def test_what_is_typed_is_never_markup(site: Site) -> None:
    client = Client(site, await site.sign_up(site.new_name()))
    token = await client.token()
    for vector in VECTORS:
        await client.post("/settings/profile", {"display_name": vector[:60], "note": vector}, token=token)
        await client.post("/statuses", {"status": vector, "visibility": "public"}, token=token)
        entry = {"title": vector, "text": vector, "visibility": "public", "action": "publish"}
        await client.post("/blog/write", entry, token=token)
        name = f"/@m{site.numbers}"
        refused = await client.post("/statuses", {"status": vector + "x" * 150, "visibility": "public"}, token=token)
        draft = await client.post("/blog/write", {**entry, "action": "preview"}, token=token)
        pages = [refused, draft]
        for path in ("/home", name, f"{name}/blog", f"{name}/statuses", "/settings/profile", "/notifications"):
            pages.append(await client.get(path))
        search = await client.get("/search?q=" + "".join(f"%{byte:02x}" for byte in vector.encode()))
        for page in (*pages, search):
            elements = Elements(page.text)
            for tag, attributes in elements.seen:
                assert tag != "script" or str(attributes.get("src")).startswith("/assets/")
                assert tag not in ("iframe", "object", "embed", "style", "base")
                assert not [each for each in attributes if each.startswith("on") or each == "style"]
                for place in ("href", "src", "action"):
                    assert not str(attributes.get(place, "")).lower().startswith(("javascript:", "data:", "//"))


async def test_pictures_come_with_a_form(site: Site) -> None:
    client = Client(site, await site.sign_up(site.new_name()))
    token = await client.token()
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "green").save(file, "PNG")
    good, bad = {"file": ("a.png", file.getvalue())}, {"file": ("a.png", b"no picture")}
    form = {"status": "", "visibility": "public", "description": 'a "green" field'}

    refused = await client.post("/statuses", {**form, "status": "kept"}, token=token, files=bad)
    assert (refused.status_code, "kept" in refused.text) == (422, True)
    assert "This is not a picture that can be shown" in refused.text
    # What was uploaded is kept while something else is wrong, so that it is not chosen again.
    again = await client.post("/statuses", {**form, "status": "x" * 151}, token=token, files=good)
    kept = re.search(r'name="media_id" value="([0-9]+)"', again.text)
    assert (again.status_code, kept is not None) == (422, True)
    assert kept is not None
    posted = await client.post("/statuses", {**form, "media_id": kept[1]}, token=token)
    assert posted.status_code == 303
    home = Elements((await client.get("/home")).text)
    [picture] = [each for tag, each in home.seen if tag == "img" and str(each["src"]).startswith("/media/")]
    assert picture["alt"] == 'a "green" field'
    assert (await client.get(str(picture["src"]))).headers["content-type"].startswith("image/")
    empty = await client.post("/statuses", {**form, "status": "no file"}, token=token, files={"file": ("", b"")})
    assert empty.status_code == 303  # browsers send an empty one where none was chosen
    assert (await client.post("/statuses", {**form, "media_id": "x"}, token=token)).status_code == 422

    profile = {"display_name": "kept", "note": ""}
    refused = await client.post("/settings/profile", profile, token=token, files={"avatar": ("a.png", b"no picture")})
    assert (refused.status_code, set(faults_of(refused.text))) == (422, {"avatar"})
    saved = await client.post("/settings/profile", profile, token=token, files={"avatar": good["file"]})
    assert saved.status_code == 303
    for away in (False, True):
        settings = await client.get("/settings/profile")
        assert ('src="/avatars/' in settings.text) == away
        assert ('name="without_avatar"' in settings.text) == (not away)
        await client.post("/settings/profile", {**profile, "without_avatar": "true"}, token=token)

    words = {"title": "t", "text": "before", "visibility": "public", "action": "picture", "description": "a](b) [c"}
    edited = await client.post("/blog/write", words, token=token, files=good)
    found = re.search(r"!\[a \(b\)  c\]\((/media/[^)]+)\)", edited.text)
    assert found is not None, edited.text
    entry = {**words, "text": f"![x]({found[1]})", "action": "publish"}
    published = await client.post("/blog/write", entry, token=token)
    assert f'src="{site.url}{found[1]}"' in (await client.get(published.headers["location"])).text
    none = await client.post("/blog/write", words, token=token)
    assert (none.status_code, "before" in none.text) == (422, True)


async def test_errors_are_pages_in_the_readers_language(site: Site) -> None:
    client = Client(site, await site.sign_up(site.new_name(), "ja"))
    site.network.http.cookies.clear()
    html = {"accept": "text/html"}
    for language, missing, elsewhere in (
        ("ja", "ここには何もないか、あなたには表示できません。", "このフォームは別のサイトから送信されました。"),
        ("en", "There is nothing here, or nothing that you may see.", "This form was sent from another site."),
    ):
        for path in ("/@a/99/99", "/nothing/at/all", "/members/99"):
            page = await client.get(path, accept_language=language, **html)
            assert page.status_code == 404
            assert missing in page.text, path
            assert page.headers["content-type"].startswith("text/html")
        forged = await client.post("/statuses", {}, accept_language=language, origin="https://evil.example")
        assert (forged.status_code, elsewhere in forged.text) == (403, True)
    wrong_method = await client.get("/sign-out", **html)
    assert wrong_method.status_code == 405
    assert (await client.get("/api/v1/nothing", **html)).json()["error"]  # apps are answered as ever


async def test_limits_and_services_that_are_away(site: Site) -> None:
    """In a gateway of its own, before services of which only some are there."""
    base = site.network.settings
    limited = base.model_copy(update={"rate_limits": True, "limit_sign_ins": "2/hour"})

    [port] = choose_ports(["gateway"]).values()
    limited = limited.model_copy(update={"gateway_address": f"127.0.0.1:{port}"})
    async with open_network(limited) as network:
        for code in (422, 422, 429):
            answer = await network.http.post("/sign-in", data={}, headers={"accept-language": "ja"})
            assert answer.status_code == code
        assert "試行回数が多すぎます" in answer.text
        assert int(answer.headers["retry-after"]) > 0
    ports = {f"{name}_address": f"127.0.0.1:{number}" for name, number in choose_ports([*SERVICES, "gateway"]).items()}
    alone = base.model_copy(update={**ports, "account_address": base.account_address})
    async with run_services(alone, "media"), open_network(alone) as network:
        client = Client(site, await site.sign_up(site.new_name()))
        client.http = network.http
        page = await client.get("/home", accept_language="ja")
        assert page.status_code == 503
        assert "一部のサービスが応答していません" in page.text
        assert 1 <= int(page.headers["retry-after"]) <= 4


@pytest.mark.parametrize("seed", [1])
async def test_no_request_is_a_5xx(site: Site, seed: int) -> None:
    handle = site.new_name()
    client = Client(site, await site.sign_up(handle))
    token, chance = await client.token(), random.Random(seed)
    finite = [page for page in PAGES if page.path not in ("/live", "/sign-out") and page.audience is not Audience.FILE]
    for _ in range(250):
        page = chance.choice(finite)
        path = page.path.replace("{id}", chance.choice(PATH_IDS)).replace(
            "{handle}", chance.choice((handle, "x", "%00"))
        )
        request = a_body(chance)
        headers = {**request.pop("headers", {}), "cookie": client.cookies, "x-csrf-token": token}
        answer = await client.http.request(page.method, path, headers=headers, **request)
        assert answer.status_code < 500, (page.method, path, request, answer.text)
