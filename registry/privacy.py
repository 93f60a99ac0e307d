"""Text that looks like a person: a CPF, an e-mail address or a phone number.

Such a text must reach neither the inference log nor any other. It is told by its shape alone, so
the shapes are chosen such that codes, dates, times, versions, UUIDs and hex ids do not have them;
what they cannot tell apart (a landline without its area code, `3456-7890`, is also a range of
numbers) is let through.
"""

import re
import unicodedata

_ENOUGH_DIGITS = re.compile(r"(?:\d\D*){8}")  # no shape below has fewer

_EMAIL = re.compile(r"[^\s@<>()\[\],;:\"]@(?:[\w-]+\.)+[^\W\d_]{2,}")

# A number stands alone: no further digit, nor a group of a longer one, is next to it; and what
# stands right before it is not the rest of a hex id.
_START, _END = r"(?<![\d])(?<!\d[.,/-])", r"(?!\d)(?![.,/-]\d)"
_NO_HEX = r"(?:(?<=cpf)|(?<=tel)|(?<=cel)|(?<=fone)|(?<![0-9a-f]))"
_YEARS = r"(?!(?:19|20)\d\d-(?:19|20)\d\d(?!\d))"
_CPF = (
    # 123.456.789-09, 123 456 789 09, 123-456-789-09; dots alone could be an address of a machine
    r"\d{3}(?:\.\s?\d{3}\.\s?\d{3}\s?[-/\s]|\s\d{3}\s\d{3}[-/\s]|-\d{3}-\d{3}[-/])\s?\d{2}"
)
_PHONE = "|".join(
    (
        # (11) 91234-5678, (011) 3456 7890; with three digits (555) 123-4567
        r"\(\s?0?[1-9]\d\s?\)\s?[.-]?\s?(?:9[\s.]?)?\d{4}\s?[-.\s]?\s?\d{4}",
        r"\(\s?[2-9]\d\d\s?\)\s?[.-]?\s?\d{3}\s?[-.\s]?\s?\d{4}",
        # 11 91234-5678, 11-912345678, 11 9 1234.5678
        r"0?[1-9][1-9][\s./-]\s?9[\s.]?\d{4}[-.\s]?\d{4}",
        # 11 3456-7890, but not 11 2025-2026
        rf"0?[1-9][1-9][\s./-]\s?{_YEARS}[2-5]\d{{3}}-\d{{4}}",
        r"9\d{4}-\d{4}",
        # 555-123-4567, 555.123.4567
        r"[2-9]\d\d([-.])\d{3}\1\d{4}",
    )
)
_FORMATTED = re.compile(rf"(?=[\d(]){_START}(?:{_CPF}|{_NO_HEX}(?:{_PHONE})){_END}", re.IGNORECASE)

# E.164: a plus, a country, 8 to 15 digits in all; `1.0.0+20261122` is a version.
_COUNTRY = re.compile(r"(?<!\w)\+\s?\(?[1-9](?:[\s().-]{0,2}\d){7,14}(?!\d)")

_WORD = r"(?:(?<=cpf)|(?<=tel)|(?<=cel)|(?<=fone)|(?<![^\W_]))"
_ELEVEN = re.compile(
    rf"(?=\d{{11}}){_WORD}{_START}(\d{{11}})(?![^\W_])(?![.,](?!0\b)\d)", re.IGNORECASE
)
# 123456789-09, 123.456.789.09
_HALF_FORMATTED = re.compile(
    rf"(?=\d{{3}})"
    rf"{_START}(?:\d{{9}}[-/\s]\d\d|\d{{3}}\.\d{{3}}\.\d{{3}}\.\d\d|\d{{3}}\.\d{{3}}\.\d{{5}}){_END}"
)
_MOBILE = re.compile(r"[1-9][1-9]9\d{8}")


def looks_personal(text: str) -> bool:
    """Whether `text` holds, anywhere in it, one of:

    - an e-mail address, `local@domain.tld`;
    - a CPF written as one: `123.456.789-09`, `123 456 789 09`, `123-456-789-09`;
    - 11 digits, alone or with only the last two apart, that have the check digits of a CPF;
    - 11 digits, alone, as of a Brazilian mobile phone: area code without a zero, 9, eight digits;
    - a phone number with its country, `+55 11 91234-5678`, of 8 to 15 digits;
    - a phone number in groups: `(11) 3456-7890`, `11 91234-5678`, `91234-5678`, `555-123-4567`.

    Digits of any script, full-width letters and invisible characters are read as what they show.
    """
    if not text.isascii():
        text = _shown(text)
    if "@" in text and _EMAIL.search(text):
        return True
    if not _ENOUGH_DIGITS.search(text):
        return False
    if _FORMATTED.search(text) or _COUNTRY.search(text):
        return True
    if any(_MOBILE.fullmatch(eleven) or is_cpf(eleven) for eleven in _ELEVEN.findall(text)):
        return True
    return any(is_cpf(re.sub(r"\D", "", half)) for half in _HALF_FORMATTED.findall(text))


def is_cpf(digits: str) -> bool:
    """Whether eleven ASCII digits carry a CPF's two check digits (modulo 11, weights from the
    right; Receita Federal). Eleven equal digits do, but are never issued."""
    numbers = [int(digit) for digit in digits]
    if len(set(numbers)) == 1:
        return False
    for length in (9, 10):
        total = sum(
            number * weight
            for number, weight in zip(numbers, range(length + 1, 1, -1), strict=False)
        )
        if total * 10 % 11 % 10 != numbers[length]:
            return False
    return True


def _shown(text: str) -> str:
    """NFKC in ASCII digits and dashes, without what is invisible."""
    letters = []
    for letter in unicodedata.normalize("NFKC", text):
        category = unicodedata.category(letter)
        if category == "Nd":
            letters.append(str(unicodedata.decimal(letter)))
        elif category == "Pd" or letter == "\u2212":
            letters.append("-")
        elif category != "Cf":
            letters.append(letter)
    return "".join(letters)
