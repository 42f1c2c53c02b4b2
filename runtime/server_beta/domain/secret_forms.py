"""The forms that secrets have: what their issuers give them, what stands before them, what they are assigned to."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

REDACTED = "[redacted]"
_LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class Token:
    """A form that is known by how it begins, where a word begins.

    A word is made of letters, digits and `_/+-`. That of a token has at least 20 characters, or comes after its
    beginning if that ends in a dot or `=`; `is_short` marks the tokens that are made of shorter words.
    """

    beginnings: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str] = REDACTED
    is_short: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A form that is known by what stands before it in its line: one of the needles does, in lower case."""

    needles: tuple[bytes, ...]
    pattern: re.Pattern[str]
    replacement: Callable[[re.Match[str]], str]


def cut_key_blocks(text: str) -> str:
    """Replace private keys; each begins with `PRIVATE KEY` between dashes."""
    return _KEY_BLOCK.sub(REDACTED, text)


def cut_curl_passwords(text: str) -> str:
    """Replace the password that a command hands to curl."""
    return _CURL.sub(_header, text)


def cut_assignments(line: str) -> str:
    """Replace what is assigned to the name of a secret."""
    return _ASSIGNMENT.sub(_assigned, line)


def is_secret_member(name: str, value: object) -> bool:
    """Whether a member of a JSON object is a secret by its name: a password of any form, a token that looks random."""
    if isinstance(value, int) and not isinstance(value, bool):
        # A password of digits alone.
        value = str(value)
    if not isinstance(value, str) or len(value) < 4 or not _names_secret(name[:_LONGEST_NAME]):
        return False
    if _is_reference(value) or value.lower() in _NO_SECRETS or any(character.isspace() for character in value):
        return False
    return _PASSWORD_NAME.search(name) is not None or _looks_random(value)


@lru_cache(maxsize=4096)
def _names_secret(name: str) -> bool:
    return _NAME_OF_SECRET.fullmatch(name) is not None


def _token(*beginnings: str, form: str, is_short: bool = False) -> Token:
    return Token(beginnings, re.compile(rf"(?<![A-Za-z0-9_/+-]){form}(?![A-Za-z0-9])"), is_short=is_short)


def _looks_random(value: str) -> bool:
    """Whether the value is long, mixes letters and digits, and repeats itself as little as a generated secret does."""
    if len(value) < 16 or value.isalpha() or not any(character.isalpha() for character in value):
        return False
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares) >= 3.0


def _openai(match: re.Match[str]) -> str:
    # CSS classes and branch names begin with `sk-` too; no word in them is this long and carries digits.
    words = re.split(r"[-_]", match[0])
    return REDACTED if any(len(word) >= 16 and not word.isalpha() for word in words) else match[0]


def _header(match: re.Match[str]) -> str:
    return match[0] if _is_reference(match[2]) else f"{match[1]}{REDACTED}"


def _bare_header(match: re.Match[str]) -> str:
    is_secret = any(character.isdigit() for character in match[2]) and not _is_code(match[2])
    return f"{match[1]}{REDACTED}" if is_secret and not _is_reference(match[2]) else match[0]


def _cookie(match: re.Match[str]) -> str:
    return _COOKIE_VALUE.sub(lambda value: f"={REDACTED}" if _looks_random(value[1]) else value[0], match[0])


def _bearer(match: re.Match[str]) -> str:
    return f"{match[1]}{REDACTED}" if any(character.isdigit() for character in match[2]) else match[0]


def _url(match: re.Match[str]) -> str:
    return match[0] if _is_reference(match[2]) else f"{match[1]}{REDACTED}@"


def _is_reference(value: str) -> bool:
    """Whether the value only names where the secret comes from: a variable, a placeholder, a mask."""
    return value[:1] in "$%{<*[" or set(value) <= set("*x.…") or value == REDACTED


def _is_code(value: str) -> bool:
    """Whether the value is written in source code as a name, a call or an element: it says where to look, not what."""
    return _NAME.fullmatch(value) is not None or _CALL.match(value) is not None


def _assigned(match: re.Match[str]) -> str:
    name, before, quote, value = match["name"], match["before"], match["quote"], match["value"]
    if _is_reference(value) or value.lower() in _NO_SECRETS or (name.lower() == "pwd" and value[0] in "/~."):
        return match[0]
    names_password = _PASSWORD_NAME.search(name) is not None
    is_environment = name.isupper() and before.rstrip("\\\"'")[-1:] == "=" and not quote
    if names_password and quote:
        is_secret = len(value) >= 4
    elif names_password and is_environment:
        is_secret = len(value) >= 4 and not value.endswith("(")
    elif names_password:
        is_secret = len(value) >= 6 and not _is_code(value)
    else:
        is_secret = _looks_random(value) and not _is_code(value)
    return f"{name}{before}{quote}{REDACTED}" if is_secret else match[0]


_COOKIE_VALUE = re.compile(r"=([^\s;\\]{16,4096})")
_NO_SECRETS = frozenset(
    {"true", "false", "none", "null", "undefined", "string", "password", "secret", "required", "optional"}
)
# A name or attribute in source code: `settings.token`, `os.environ`; digits only at a word's end.
_NAME = re.compile(r"[A-Za-z_]+\d?(?:(?:\.|::|->)[A-Za-z_]+\d?)*")
_CALL = re.compile(r"[A-Za-z_]\w{0,64}(?:(?:\.|::|->)\w{1,64}){0,8}[(\[]")
_PASSWORD_NAME = re.compile(r"(?:password|passwd|passphrase|pwd|secret)$", re.IGNORECASE)
_SECRET_NAME = (
    r"(?:password|passwd|passphrase|(?<![A-Za-z])pwd|pgpassword|secret|credentials?|token|api[_-]?key|"
    r"access[_-]?key(?:[_-]?id)?"
    r"|(?:secret|private|auth|encryption|signing|master|service|account|license|deploy|ssh|shared|webhook)[_-]?key"
    r"|(?-i:(?<!PUBLIC)(?<!CACHE)_KEY)|signature|(?<![A-Za-z])sig(?![A-Za-z]))"
)
_ASSIGNMENT = re.compile(
    # The first letters of all names: asked first, they make the search three times as fast.
    r"(?-i:(?=[PpSsCcTtAaKkEeMmDdWwLl_]))"
    rf"(?P<name>{_SECRET_NAME})"
    r"(?P<before>\\?[\"'`]?\]?[ \t]{0,8}(?:=>|:=|[:=])[ \t]{0,8})(?P<quote>\\?[\"'`]|)"
    r"(?P<value>[^\s\"'`\\,;(){}<>&|]{4,4096}\(?)",
    re.IGNORECASE,
)
_FLAG = re.compile(r"(?i)(--?(?:password|passwd|pass|token|secret|api-key|access-token)[ =][\"']?)([^\s\"']{4,512})")

_NAME_OF_SECRET = re.compile(rf"[A-Za-z0-9_.-]{{0,64}}?{_SECRET_NAME}", re.IGNORECASE)

_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----.*?"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----|\Z)",
    re.DOTALL,
)
_CURL = re.compile(
    # Up to the next command of its name: each of many would search the same text again.
    r"(\bcurl\b(?:(?!\bcurl\b)[^\n|;]){0,200}?\s(?:-u|--user)[ =]?[\"']?[^\s:\"']{1,100}:)([^\s\"']{1,256})"
)

TOKENS = (
    _token("sk-ant-", form=r"sk-ant-[A-Za-z0-9_-]{20,}"),
    Token(("sk-",), re.compile(r"(?<![A-Za-z0-9_/+-])sk-[A-Za-z0-9_-]{20,}"), _openai),
    _token("ghp_", "gho_", "ghu_", "ghs_", "ghr_", form=r"gh[pousr]_[A-Za-z0-9]{20,}"),
    _token("github_pat_", form=r"github_pat_[A-Za-z0-9_]{22,}"),
    _token(
        *("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "glagent-", "glimt-", "gloas-"),
        form=r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt|oas)-[A-Za-z0-9_-]{15}[A-Za-z0-9_.-]{3,}",
    ),
    _token("xox", is_short=True, form=r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}"),
    _token("xapp-", form=r"xapp-[A-Za-z0-9-]{20,}"),
    Token(
        ("com/services/", "com/workflows/"),
        re.compile(r"(hooks\.slack\.com/(?:services|workflows)/)[A-Za-z0-9+/]{20,}"),
        rf"\1{REDACTED}",
    ),
    _token("AKIA", "ASIA", "ABIA", "ACCA", form=r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    _token("AIza", form=r"AIza[A-Za-z0-9_-]{35}"),
    _token("ya29.", form=r"ya29\.[A-Za-z0-9_-]{20,}"),
    _token("GOCSPX-", form=r"GOCSPX-[A-Za-z0-9_-]{20,}"),
    _token("sk_live_", "sk_test_", "rk_live_", "rk_test_", form=r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    _token("whsec_", form=r"whsec_[A-Za-z0-9+/]{20}[A-Za-z0-9+/=]{4,}"),
    _token("npm_", form=r"npm_[A-Za-z0-9]{36,}"),
    _token("pypi-", form=r"pypi-[A-Za-z0-9_-]{50,}"),
    _token("hf_", form=r"hf_[A-Za-z0-9]{30,}"),
    _token("SG.", form=r"SG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{16,}"),
    _token("dop_v1_", "doo_v1_", "dor_v1_", form=r"do[opr]_v1_[a-f0-9]{64}"),
    _token("shpat_", "shpca_", "shppa_", "shpss_", form=r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}"),
    _token("dapi", form=r"dapi[a-f0-9]{32}(?:-\d)?"),
    _token("hvs.", "hvb.", form=r"hv[sb]\.[A-Za-z0-9_-]{24,}"),
    _token("lin_api_", form=r"lin_api_[A-Za-z0-9]{32,}"),
    _token("ntn_", "secret_", form=r"(?:ntn_|secret_)[A-Za-z0-9]{40,}"),
    _token("dckr_pat_", form=r"dckr_pat_[A-Za-z0-9_-]{20,}"),
    _token("gsk_", "xai-", "pplx-", form=r"(?:gsk_|xai-|pplx-)[A-Za-z0-9]{40,}"),
    _token("r8_", form=r"r8_[A-Za-z0-9]{37}"),
    _token("sbp_", form=r"sbp_[a-f0-9]{40}"),
    _token("figd_", form=r"figd_[A-Za-z0-9_-]{30,}"),
    _token("ATATT3", form=r"ATATT3[A-Za-z0-9_-]{20}[A-Za-z0-9_=-]{20,}"),
    _token("AGE-SECRET-KEY-1", form=r"AGE-SECRET-KEY-1[A-Z0-9]{40,}"),
    _token("AccountKey=", form=r"AccountKey=[A-Za-z0-9+/]{20}[A-Za-z0-9+/=]{20,}"),
    _token(".eyJ", is_short=True, form=r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    Token(("AA",), re.compile(r"(?<![A-Za-z0-9])\d{8,10}:AA[A-Za-z0-9_-]{32,33}(?![A-Za-z0-9])")),
)
RULES = (
    Rule(
        (b"authorization",),
        re.compile(
            r"(?i)(authorization\\?[\"']?[ \t]{0,2}[:=][ \t]{0,4}\\?[\"']?(?:bearer|basic|token|digest|"
            r"apikey)[ \t]{1,4})"
            r"([^\s\"'\\,;]{6,4096})"
        ),
        _header,
    ),
    Rule(
        (b"authorization", b"x-api-key", b"x-auth-token"),
        re.compile(
            r"(?i)((?:authorization|x-api-key|x-auth-token)\\?[\"']?[ \t]{0,2}:[ \t]{0,4}\\?[\"']?)"
            r"([^\s\"'\\,;(){}]{6,4096}[(\[]?)"
        ),
        _bare_header,
    ),
    Rule((b"cookie:",), re.compile(r"(?i)cookie:[^\r\n\"']{1,8192}"), _cookie),
    Rule((b"bearer",), re.compile(r"(?i)(\bbearer[ \t]{1,4})([A-Za-z0-9._~+/=-]{16,4096})"), _bearer),
    Rule(
        (b"://",),
        re.compile(r"(?i)((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>]{0,128}:)([^\s/\"'<>]{1,256})@"),
        _url,
    ),
    Rule((b"://",), re.compile(r"(?i)((?<![a-z0-9+.-])[a-z][a-z0-9+.-]{1,20}://)([A-Za-z0-9_-]{20,256})@"), _url),
    Rule((b"-pass", b"-token", b"-secret", b"-api-key", b"-access-token"), _FLAG, _header),
)
