"""Makes the vectors beside it, without anything of Snowguard. See README.md."""

import base64
import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = Path(__file__).parent


def canonical(value):
    """RFC 8785 for values without fractions."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def pae(kind, payload):
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


class Key:
    def __init__(self, name, seed):
        self.secret = Ed25519PrivateKey.from_private_bytes(seed)
        public = self.secret.public_key()
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.id = hashlib.sha256(spki).hexdigest()
        self.public = name + ":" + base64.b64encode(raw).decode()
        self.secret_text = name + ":" + base64.b64encode(seed + raw).decode()

    def sign(self, kind, payload):
        return base64.b64encode(self.secret.sign(pae(kind, payload))).decode()


def write(name, text):
    (HERE / name).write_text(text, encoding="utf-8")


# The first is that of RFC 8032, section 7.1, test 1.
one = Key("ci-1", bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
two = Key("ci-2", hashlib.sha256(b"the second key of the vectors").digest())

content = b"hello, w\xc3\xb6rld\n"
digest = hashlib.sha256(content).digest()
sri = "sha256-" + base64.b64encode(digest).decode()
came = "sha256-" + base64.b64encode(hashlib.sha256(b"another").digest()).decode()
statement = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [
        {
            "name": "/nix/store/00000000000000000000000000000000-hello.tar.gz",
            "digest": {"sha256": digest.hex()},
        }
    ],
    "predicateType": "https://github.com/snowguard/snowguard/fod-verification/v1",
    "predicate": {
        "made_at": "2026-01-31T12:00:00Z",
        "tool": {"name": "a tool with \"quotes\", a tab\t, \u0001, \u20ac and \U0001f600", "version": "1"},
        "derivation": "11111111111111111111111111111111-hello.tar.gz.drv",
        "output": "out",
        "declared": {"method": "flat", "hash": sri},
        "means": "refetch",
        "outcome": {
            "verdict": "mismatch",
            "observed": {"method": "flat", "hash": came},
            "bytes": 7,
        },
        "sources": [{"url": "https://example.org/hello.tar.gz", "outcome": {"verdict": "gone"}}],
    },
}
INTOTO = "application/vnd.in-toto+json"
payload = canonical(statement).encode()
write("statement.json", payload.decode())
envelope = {
    "payload": base64.b64encode(payload).decode(),
    "payloadType": INTOTO,
    "signatures": [
        {"keyid": one.id, "sig": one.sign(INTOTO, payload)},
        {"keyid": two.id, "sig": two.sign(INTOTO, payload)},
    ],
}
write("envelope.json", json.dumps(envelope))

SUCCESSION = "application/vnd.snowguard.key-succession.v1+json"
succession = {"predecessor": one.id, "successor": two.public, "valid_from": "2026-01-15T00:00:00Z"}
keyring = {
    "schema": "snowguard-keyring/1",
    "keys": [
        {
            "key": one.public,
            "valid_from": "2026-01-01T00:00:00Z",
            "valid_until": "2026-02-15T00:00:00Z",
            "revocations": [
                {
                    "at": "2026-02-01T00:00:00Z",
                    "reason": "compromised",
                    "recorded_at": "2026-02-03T09:30:00Z",
                    "note": "a backup was lost",
                }
            ],
        },
        {
            "key": two.public,
            "valid_from": succession["valid_from"],
            "predecessor": {
                "id": one.id,
                "signature": one.sign(SUCCESSION, canonical(succession).encode()),
            },
        },
    ],
}
write("keyring.json", json.dumps(keyring, indent=2) + "\n")

# It was lost before it handed on, which came out later; then who keeps the keyring added the second key anew.
keyring["keys"][0]["revocations"][0]["at"] = "2026-01-10T00:00:00Z"
write("keyring-doubted.json", json.dumps(keyring, indent=2) + "\n")
keyring["keys"][1]["added_anew"] = "2026-03-01T00:00:00Z"
write("keyring-added-anew.json", json.dumps(keyring, indent=2) + "\n")
write("keys.json", json.dumps({key.id: [key.public, key.secret_text] for key in (one, two)}, indent=2) + "\n")
