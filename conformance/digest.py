"""Computes table digests as docs/digest.md specifies them, for the test vectors in a file."""
import json
import struct
import sys

from blake3 import blake3

KINDS = "null bool int float decimal text bytes date time timestamp list struct".split()


def part(b): return len(b).to_bytes(4, "little") + b
def whole(n): return int(n).to_bytes(16, "little", signed=True)
def real(x): return struct.pack("<Q", 0x7FF8 << 48) if x != x else struct.pack("<d", x or 0.0)
def plain(d): d = d.rstrip("0").rstrip(".") if "." in d else d; return "0" if d == "-0" else d
def split(c): return next(iter(c.items())) if isinstance(c, dict) else (c, None)
def order(schema): return sorted(schema, key=str.encode)
def columns(schema, row): return b"".join(part(n.encode()) + value(schema[n], row[n]) for n in order(schema) if row.get(n) is not None)
def value(c, v): return b"\0" if v is None else bytes([KINDS.index(split(c)[0])]) + part(payload(*split(c), v))


def payload(kind, inner, v):
    match kind:
        case "bool": return bytes([v])
        case "float": return real(float(v))
        case "decimal": return plain(v).encode()
        case "text": return v.encode()
        case "bytes": return bytes.fromhex(v)
        case "list": return b"".join(value(inner, element) for element in v)
        case "struct": return columns(inner, v)
        case _: return whole(v)


def name(c):
    kind, inner = split(c)
    fields = lambda: ", ".join(f"{n}: {name(inner[n])}" for n in order(inner))
    return {"list": lambda: f"list<{name(inner)}>", "struct": lambda: f"struct<{fields()}>"}.get(kind, lambda: kind)()


def total(schema, rows):
    return sum(int.from_bytes(blake3(columns(schema, row)).digest(length=256), "little") for row in rows) % 2**2048


def digest(schema, rows, added):
    head = b"".join(part(n.encode()) + part(name(schema[n]).encode()) for n in order(schema))
    return blake3(part(b"perennial table 1") + head + part(whole(rows)) + part(added.to_bytes(256, "little"))).hexdigest()


if __name__ == "__main__":
    for vector in json.load(open(sys.argv[1])):
        added = total(vector["schema"], vector["rows"])
        print(json.dumps({"name": vector["name"], "sum": added.to_bytes(256, "little").hex(), "digest": digest(vector["schema"], len(vector["rows"]), added)}))
