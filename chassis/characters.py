"""How Kodama takes and counts text: the one function that every edge uses.

A character is an extended grapheme cluster (Unicode Standard Annex 29) after normalisation to NFC, so that a family emoji, a flag
or a Hangul syllable counts once; an address counts 23, whatever its length, as clients of the Mastodon API expect.
"""

import unicodedata

import regex

URL_LENGTH = 23
MAX_COMBINING_MARKS = 8
MAX_MARKS_BEFORE_COMPOSITION = 30
"""The bound of the Stream-Safe Text Format (Unicode Standard Annex 15). Normalisation sorts the marks of one character with
quadratic work: fifty thousand of them would hold a process for more than a second."""

URL = regex.compile(r"https?://[^\s<>\"'、。「」『』（）]*[^\s<>\"'、。「」『』（）.,;:!?)\]}…]", regex.IGNORECASE)
"""An address: what counts 23 and is a link. A full stop or bracket behind one belongs to the sentence around it."""
_CLUSTER = regex.compile(r"\X")
_UNUSUAL = regex.compile(r"[\p{C}\p{M}\u2028\u2029]")
"""What needs a closer look: controls, line breaks, direction, halves of surrogate pairs, marks. Most texts have none of it."""
_CONTROLS = regex.compile(r"[\x01-\x09\x0B-\x1F\x7F-\x9F\u2028\u2029]")
_UNSORTABLE_FLOOD = regex.compile(rf"\p{{M}}{{{MAX_MARKS_BEFORE_COMPOSITION + 1}}}")
# Joiners between the marks do not end the character that they stand on.
_COMBINING_FLOOD = regex.compile(rf"(?:\p{{M}}[\u200C\u200D]*+){{{MAX_COMBINING_MARKS + 1}}}")
_DIRECTION = regex.compile(r"[\n\u202A-\u202E\u2066-\u2069]")
_POP_EMBEDDING, _POP_ISOLATE = "\u202c", "\u2069"
_VISIBLE = regex.compile(r"[^\p{Z}\p{C}\p{M}\n\u115F\u1160\u3164\uFFA0\u2800]")
_TOO_MANY_MARKS = f"has more than {MAX_COMBINING_MARKS} combining marks on one character"


class UnacceptableText(ValueError):
    """Text that cannot be stored or shown; the message is a sentence for its writer."""


def clean(text: str) -> str:
    """Return text as it is stored: NFC, line ends as \\n, no control characters, no direction left open, no blanks around it.

    Raises UnacceptableText for NUL, lone surrogates and floods of combining marks.
    """
    if _UNUSUAL.search(text) is None:
        return unicodedata.normalize("NFC", text).strip()
    return _clean_closely(text)


def _clean_closely(text: str) -> str:
    if "\0" in text:
        raise UnacceptableText("contains the character NUL, which cannot be stored")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UnacceptableText("contains half of a surrogate pair, which is not a character") from error
    text = _CONTROLS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _drop_unbalanced(text)
    if _UNSORTABLE_FLOOD.search(text):
        raise UnacceptableText(_TOO_MANY_MARKS)
    text = unicodedata.normalize("NFC", text).strip()
    if _COMBINING_FLOOD.search(text):
        raise UnacceptableText(_TOO_MANY_MARKS)
    return text


def _drop_unbalanced(text: str) -> str:
    """Return text without the direction controls (Unicode Standard Annex 9) that are not closed on their line, or close nothing.

    An override that is left open would turn round what stands behind the text, too.
    """
    dropped: set[int] = set()
    waiting: list[tuple[int, str]] = []
    for match in _DIRECTION.finditer(text):
        character = match[0]
        if character == "\n":
            dropped.update(position for position, _ in waiting)
            waiting.clear()
        elif character not in (_POP_EMBEDDING, _POP_ISOLATE):
            waiting.append((match.start(), _POP_ISOLATE if character >= "\u2066" else _POP_EMBEDDING))
        elif waiting and waiting[-1][1] == character:
            waiting.pop()
        else:
            dropped.add(match.start())
    dropped.update(position for position, _ in waiting)
    return "".join(character for position, character in enumerate(text) if position not in dropped) if dropped else text


def count(text: str) -> int:
    """Return how many characters clean text has: grapheme clusters, with every address as 23."""
    if "://" not in text:
        return len(_CLUSTER.findall(text))
    urls = len(URL.findall(text))
    return len(_CLUSTER.findall(URL.sub("", text))) + urls * URL_LENGTH


def is_blank(text: str) -> bool:
    """Tell whether nothing of the text can be seen."""
    return _VISIBLE.search(text) is None
