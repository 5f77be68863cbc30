"""`python -m deploy.messages --check | --write`: the sentences of the pages, collected for their translation.

What templates say through `_()` and code marks with `mark()` is the English source. `--write` brings the Japanese catalogue up to date
and leaves new sentences empty for a translator; `--check` tells which are missing, not used any more, or without their placeholders.
"""

import argparse
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
GATEWAY = ROOT / "services" / "gateway"
CATALOGUE = GATEWAY / "locale" / "ja" / "LC_MESSAGES" / "kodama.po"
METHODS = [("browser/**.py", "python"), ("templates/**.html", "jinja2")]
OPTIONS = {"templates/**.html": {"trimmed": "true", "silent": "false"}}
KEYWORDS = {"_": None, "mark": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}

_PLACE = re.compile(r"%\((\w+)\)s|%%?s")
Key = tuple[str | tuple[str, ...], str | None]


def collect() -> Catalog:
    """Return the sentences that the pages say."""
    found = Catalog(locale="ja", domain="kodama", charset="utf-8", fuzzy=False)
    extracted = extract_from_dir(str(GATEWAY), METHODS, OPTIONS, keywords=KEYWORDS)
    for _file, _line, sentence, _comments, context in sorted(extracted, key=lambda each: (each[0], each[1])):
        found.add(sentence, context=context)
    return found


def stored() -> Catalog:
    """Return the catalogue as it is."""
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale="ja", domain="kodama")


def write() -> None:
    """Bring the catalogue up to date; new sentences are empty in it."""
    known, wanted = stored(), collect()
    for message in wanted:
        old = known.get(message.id, message.context) if message.id else None
        if old is not None:
            message.string = old.string
    text = io.BytesIO()
    write_po(text, wanted, width=0, omit_header=True, sort_output=True, no_location=True)
    CATALOGUE.write_text(f"{HEADER}\n{text.getvalue().decode()}", "utf-8")


HEADER = """\
# The Japanese of the pages. English is the source: `make messages` collects it.
msgid ""
msgstr ""
"Language: ja\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"
"""


def faults() -> Iterator[str]:
    """Yield what is wrong with the catalogue, a sentence each."""
    known = {_key(message): message for message in stored() if message.id}
    wanted = {_key(message): message for message in collect() if message.id}
    for key in wanted.keys() - known.keys():
        yield f"is not in the catalogue: {key[0]}"
    for key in known.keys() - wanted.keys():
        yield f"is not said any more: {key[0]}"
    for key in wanted.keys() & known.keys():
        message = known[key]
        translated = message.string if isinstance(message.string, str) else "".join(message.string or ())
        source = key[0] if isinstance(key[0], str) else key[0][-1]
        if not translated.strip():
            yield f"is not translated: {source}"
        elif sorted(_PLACE.findall(translated)) != sorted(_PLACE.findall(source)):
            yield f"has other placeholders in Japanese: {source}"


def _key(message: Message) -> Key:
    return (tuple(message.id) if isinstance(message.id, (list, tuple)) else message.id, message.context)


def main() -> int:
    """Check or write; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.messages", description=__doc__)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--check", action="store_true")
    choice.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        write()
    found = sorted(faults())
    for fault in found:
        print(fault, file=sys.stderr)  # noqa: T201 - what the command answers
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
