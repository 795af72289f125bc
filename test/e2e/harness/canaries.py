"""Secrets that must never be seen: made at random, planted, and looked for in every spelling that they could leak in."""

import base64
import json
import pathlib
import secrets
import string
import urllib.parse
import zlib

PIECE = 12  # so long a piece of one, found anywhere, is a leak: a canary may be cut by whoever prints it


class Canaries:
    """Each canary has 36 letters and digits, begins with its number, and is remembered with what it was planted as."""

    def __init__(self):
        self.planted = {}

    def new(self, what):
        word = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(36))
        self.planted[word] = what
        return word

    def leaks(self, surfaces):
        """(surface, what was planted, spelling) of each canary found; `surfaces` is name → bytes."""
        spelled = [(what, spelling, form) for word, what in self.planted.items() for spelling, form in spellings(word)]
        return sorted({(name, what, spelling) for name, data in surfaces.items() for what, spelling, form in spelled if form in data})


def spellings(word):
    """(name, bytes) of each form: pieces of the word itself, also in lower case, of its base64 at each alignment, of its hexadecimal and URL-encoded forms."""
    pieces = [word[:PIECE], word[PIECE:2 * PIECE], word[2 * PIECE:]]
    out = [("raw", piece.encode()) for piece in pieces]
    out += [("lower case", piece.lower().encode()) for piece in pieces]
    out += [("reversed", word[::-1][:PIECE].encode()), ("hex", word[:PIECE].encode().hex().encode()), ("HEX", word[:PIECE].encode().hex().upper().encode())]
    out.append(("url", "".join(f"%{ord(c):02X}" for c in word[:PIECE]).encode()))
    for shift in range(3):
        # the middle of what base64 makes of it behind 0, 1 or 2 other bytes: the same whatever stands before and after
        text = base64.b64encode(b"\0" * shift + word.encode())[4:-4]
        out += [(f"base64+{shift}", piece) for piece in (text[:16], text[-16:])]
        out.append((f"base64url+{shift}", text[:16].replace(b"+", b"-").replace(b"/", b"_")))
    twice = base64.b64encode(base64.b64encode(word.encode()))
    return [*out, ("base64 twice", twice[:24])]


def folder(name, path, leave_out=()):
    """Surfaces of all files below a folder, also unpacked where they are deflated."""
    out = {}
    for file in sorted(pathlib.Path(path).rglob("*")):
        relative = str(file.relative_to(path))
        if not file.is_file() or any(relative.startswith(part) for part in leave_out):
            continue
        data = file.read_bytes()
        out[f"{name}/{relative}"] = data + unpacked(data)
    return out


def unpacked(data):
    for window in (31, 15, -15):
        try:
            return zlib.decompressobj(window).decompress(data)
        except zlib.error:
            continue
    return b""


def objects(name, found):
    """Surfaces of API objects; packed fields (base64 of deflate) are unpacked too."""
    return {f"{name} {o['metadata']['name']}": json.dumps(o).encode() + b"".join(opened(o)) for o in found}


def opened(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from opened(item)
    elif isinstance(value, list):
        for item in value:
            yield from opened(item)
    elif isinstance(value, str) and len(value) > 40:
        try:
            yield unpacked(base64.b64decode(value, validate=True))
        except ValueError:
            return


def url_encoded(word):
    """The word with every second letter percent-encoded, as a careless URL may hold it."""
    return "".join(urllib.parse.quote(c) if i % 2 else f"%{ord(c):02x}" for i, c in enumerate(word))
