"""The rules of accounts, apps and scopes."""

import itertools

import pytest

from chassis.errors import InvalidField
from chassis.ids import MAX_ID
from services.account import domain
from services.account.domain import (
    App,
    check_app,
    check_email,
    check_login,
    check_page,
    check_password,
    check_profile,
    covers,
    grant,
)

OOB = "urn:ietf:wg:oauth:2.0:oob"
APP = App(7, "client", "App", "", [OOB], ["read", "write:statuses"])


def refused(error: pytest.ExceptionInfo[InvalidField]) -> str:
    assert error.value.message.endswith((".", "!"))
    return error.value.metadata["field"]


@pytest.mark.parametrize("handle", ["a", "0", "_", "a" * 30, "taro_yamada_01"])
def test_handles(handle: str) -> None:
    assert check_profile(handle, "", "", "").handle == handle


@pytest.mark.parametrize(
    "handle", ["", "A", "Taro", "a" * 31, "a-b", "a b", "a.b", "太郎", "a\n", "a\0", "@a", "ａ", "٣"]
)
def test_what_is_no_handle_is_refused_and_not_mended(handle: str) -> None:
    with pytest.raises(InvalidField) as error:
        check_profile(handle, "", "", "")
    assert refused(error) == "handle"


def test_a_profile_is_cleaned_and_completed() -> None:
    profile = check_profile("taro", " か\u3099く ", "一\r\n二\x07", "")
    assert (profile.display_name, profile.note, profile.locale) == ("がく", "一\n二", "ja")
    assert check_profile("taro", "", "", "en").display_name == "taro"


@pytest.mark.parametrize(
    ("name", "note", "locale", "field"),
    [
        ("x" * 61, "", "", "display_name"),
        ("x" * 1_000_000, "", "", "display_name"),
        ("a\nb", "", "", "display_name"),
        ("\u200b", "", "", "display_name"),
        ("   ", "", "", "display_name"),
        ("a\0", "", "", "display_name"),
        ("x" + "\u0301" * 9, "", "", "display_name"),
        ("", "x" * 501, "", "note"),
        ("", "\0", "", "note"),
        ("", "", "de", "locale"),
        ("", "", "JA", "locale"),
    ],
)
def test_a_wrong_profile_names_its_field(name: str, note: str, locale: str, field: str) -> None:
    with pytest.raises(InvalidField) as error:
        check_profile("taro", name, note, locale)
    assert refused(error) == field


def test_the_longest_profile() -> None:
    profile = check_profile("taro", "か\u3099" * 60, "x" * 500, "ja")
    assert (len(profile.display_name), len(profile.note)) == (60, 500)


@pytest.mark.parametrize(
    ("email", "key"),
    [
        ("Taro@Example.COM", "taro@example.com"),
        ("STRASSE@example.com", "strasse@example.com"),
        ("straße@example.com", "strasse@example.com"),
        ("a+b@localhost", "a+b@localhost"),
        ("x" * 252 + "@a", "x" * 252 + "@a"),
    ],
)
def test_email_is_kept_as_written_with_one_key(email: str, key: str) -> None:
    assert check_email(email) == (email, key)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "a",
        "@",
        "a@",
        "@a",
        "a@b@c",
        "a b@c",
        "a@b\nBcc: c@d",
        "a@b\0",
        "a\u200b@b",
        "a\u3000@b",
        "<a@b>",
        "a,b@c",
        "a@.b",
        "a@b.",
        "x" * 253 + "@a",
    ],
)
def test_what_is_no_email_is_refused(email: str) -> None:
    with pytest.raises(InvalidField) as error:
        check_email(email)
    assert refused(error) == "email"


def test_passwords_are_8_to_128_bytes() -> None:
    assert check_password("a" * 8) == b"a" * 8
    assert check_password("é" * 64) == "é".encode() * 64
    assert check_password("pass\0word") == b"pass\0word"
    for wrong in ("", "a" * 7, "a" * 129, "é" * 65, "a" * 1_000_000):
        with pytest.raises(InvalidField) as error:
            check_password(wrong)
        assert refused(error) == "password"


def test_a_password_is_the_same_from_every_keyboard() -> None:
    assert check_password("がががが") == check_password("か\u3099" * 4)


def test_a_sign_up_does_not_show_its_secrets() -> None:
    shown = repr(domain.check_sign_up("taro", "taro@example.com", "correct horse", "", ""))
    assert "taro@example" not in shown
    assert "horse" not in shown


@pytest.mark.parametrize(
    "uri",
    [
        OOB,
        "https://app.example/callback?x=1",
        "http://127.0.0.1:8080/",
        "http://[::1]/",
        "com.example.app://oauth",
        "myapp:/callback",
        "https://a/" + "x" * 1990,
    ],
)
def test_redirect_uris(uri: str) -> None:
    assert domain.is_redirect_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/callback",
        "callback",
        "https:",
        "https://",
        "https:///x",
        "https://a/#x",
        "https://a/#",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\nscript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "blob:https://a/1",
        "vbscript:x",
        "https://a/\x07",
        "https://a/\0",
        "https://a/ b",
        "https://例え.jp/",
        "http://[::1/",
        "https://a/" + "x" * 1991,
    ],
)
def test_what_is_no_redirect_uri(uri: str) -> None:
    assert not domain.is_redirect_uri(uri)


def test_an_app_is_cleaned_and_completed() -> None:
    new = check_app(" App ", "", [OOB, OOB], [])
    assert (new.name, new.redirect_uris, new.scopes) == ("App", [OOB], ["read"])
    assert check_app("App", "https://app.example", [OOB], ["write", "read", "write"]).scopes == ["write", "read"]


@pytest.mark.parametrize(
    ("name", "website", "uris", "scopes", "field"),
    [
        ("", "", [OOB], [], "name"),
        ("\u200b", "", [OOB], [], "name"),
        ("x" * 61, "", [OOB], [], "name"),
        ("App", "javascript:alert(1)", [OOB], [], "website"),
        ("App", "http://", [OOB], [], "website"),
        ("App", "http://[", [OOB], [], "website"),
        ("App", "http://a/\0", [OOB], [], "website"),
        ("App", "http://a/" + "x" * 2000, [OOB], [], "website"),
        ("App", "", [], [], "redirect_uris"),
        ("App", "", [f"https://a/{i}" for i in range(11)], [], "redirect_uris"),
        ("App", "", [OOB, "x"], [], "redirect_uris"),
        ("App", "", [OOB], ["admin"], "scopes"),
        ("App", "", [OOB], ["read:everything"], "scopes"),
        ("App", "", [OOB], ["read write"], "scopes"),
        ("App", "", [OOB], [""], "scopes"),
    ],
)
def test_a_wrong_app_names_its_field(name: str, website: str, uris: list[str], scopes: list[str], field: str) -> None:
    with pytest.raises(InvalidField) as error:
        check_app(name, website, uris, scopes)
    assert refused(error) == field


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ("read", "read"),
        ("read", "read:statuses read:accounts"),
        ("write", "write:statuses write:media"),
        ("follow", "read:follows write:follows read:blocks write:blocks read:mutes write:mutes"),
        ("read write", "follow"),
        ("read:statuses", "read:statuses"),
        ("push profile", "profile"),
        ("read", ""),
        ("", ""),
    ],
)
def test_scopes_that_cover(granted: str, asked: str) -> None:
    assert covers(granted.split(), asked.split())


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ("", "read"),
        ("read", "write"),
        ("read", "write:statuses"),
        ("read", "read write"),
        ("read:statuses", "read"),
        ("read:statuses", "read:accounts"),
        ("follow", "read:statuses"),
        ("follow", "read"),
        ("read", "follow"),
        ("read write", "push"),
        ("admin", "admin"),
        ("read", "read:everything"),
        ("everything", "read"),
    ],
)
def test_scopes_that_do_not_cover(granted: str, asked: str) -> None:
    assert not covers(granted.split(), asked.split())


def test_all_granular_scopes_do_not_make_the_broad_one() -> None:
    granular = [f"read:{noun}" for noun in domain._READ]
    assert covers(["read"], granular)
    assert not covers(granular, ["read"])


def test_more_scopes_never_cover_less() -> None:
    scopes = ["read", "write", "follow", "push", "profile", "read:statuses", "write:follows"]
    for few, extra, asked in itertools.product(scopes, repeat=3):
        assert not covers([few], [asked]) or covers([few, extra], [asked])


def test_a_token_gets_what_was_asked_or_the_default_but_never_more_than_its_app() -> None:
    assert grant(APP, [], ["read"]) == ["read"]
    assert grant(APP, ["read:statuses", "write:statuses"], ["read"]) == ["read:statuses", "write:statuses"]
    for asked in (["write"], ["push"], ["nonsense"]):
        with pytest.raises(InvalidField) as error:
            grant(APP, asked, ["read"])
        assert refused(error) == "scopes"


def test_page_tokens() -> None:
    assert check_page(0, "") == (1000, 0)
    assert check_page(5000, "17") == (1000, 17)
    assert check_page(3, "9" * 19) == (3, MAX_ID)
    for token in ("x", "-1", "1" * 20, "٣", "1 ", "1\n"):
        with pytest.raises(InvalidField) as error:
            check_page(1, token)
        assert refused(error) == "page_token"
    with pytest.raises(InvalidField):
        check_page(-1, "")


@pytest.mark.parametrize(
    ("login", "handle", "email_key"),
    [
        ("hana", "hana", ""),
        (" @Hana ", "hana", ""),
        ("Hana@Example.com", "", "hana@example.com"),
        ("@hana@example.com", "", "@hana@example.com"),
        ("", "", ""),
        ("Hana Yamada", "", ""),
        ("a\0@example.com", "", ""),
        ("x" * 255, "", ""),
        ("x" * 250 + "@example.com", "", ""),
    ],
)
def test_who_signs_in(login: str, handle: str, email_key: str) -> None:
    assert check_login(login) == (handle, email_key)
