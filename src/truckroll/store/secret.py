"""Secrets sealed with AES-256-GCM (NIST SP 800-38D); the key stands outside the database."""

import base64
import os
import secrets
from pathlib import Path

import msgspec

from truckroll.store.trouble import DatabaseTrouble

KEY_VARIABLE = "TRUCKROLL_SECRET_KEY"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class Keyring:
    """The keys that seal secrets: the first one seals, all of them open.

    As text a keyring is one `id:key` per line (or separated by blanks), the key in URL-safe
    base64.
    """

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._keys = keys

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """Return the keyring that a text holds; raises DatabaseTrouble on a malformed one."""
        keys: dict[str, bytes] = {}
        for part in text.split():
            name, _, key = part.partition(":")
            try:
                keys[name] = base64.urlsafe_b64decode(key)
            except ValueError:
                keys[name] = b""
            if not name or len(keys[name]) != _KEY_BYTES:
                raise DatabaseTrouble(
                    f"The secret key is not readable: it must be lines of id:key with {_KEY_BYTES}"
                    " bytes in base64. Put the saved secret.key back."
                )
        if not keys:
            raise DatabaseTrouble("The secret key is empty. Put the saved secret.key back.")
        return cls(keys)

    def text(self) -> str:
        """Return the keyring as text, for `parse`."""
        return "".join(
            f"{name}:{base64.urlsafe_b64encode(key).decode()}\n" for name, key in self._keys.items()
        )

    @property
    def current(self) -> str:
        """The id of the key that seals."""
        return next(iter(self._keys))

    def knows(self, key_id: str) -> bool:
        """Tell whether a key is among these."""
        return key_id in self._keys

    def rotated(self) -> "Keyring":
        """Return a keyring with a new first key; the old ones still open what they sealed."""
        return Keyring({secrets.token_hex(4): secrets.token_bytes(_KEY_BYTES), **self._keys})

    def retired(self) -> "Keyring":
        """Return a keyring with the first key alone."""
        return Keyring({self.current: self._keys[self.current]})

    def seal(self, plain: dict[str, str], about: list[str | int]) -> tuple[str, bytes]:
        """Return the key's id and the sealed secrets; `about` is authenticated with them."""
        from cryptography.hazmat.primitives.ciphers.aead import (  # noqa: PLC0415 -- slow to import
            AESGCM,
        )

        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = AESGCM(self._keys[self.current])
        sealed = cipher.encrypt(nonce, msgspec.json.encode(plain), msgspec.json.encode(about))
        return self.current, nonce + sealed

    def open(self, key_id: str, sealed: bytes, about: list[str | int]) -> dict[str, str]:
        """Return the secrets; raises DatabaseTrouble where the key or what it is about differs."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- slow to import
        from cryptography.hazmat.primitives.ciphers.aead import (  # noqa: PLC0415 -- the same
            AESGCM,
        )

        key = self._keys.get(key_id)
        if key is None:
            raise DatabaseTrouble(
                f"The account's password was sealed with another secret key ({key_id}). Put the"
                " secret.key back that belongs to this database, or enter the password again."
            )
        nonce, body = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            plain = AESGCM(key).decrypt(nonce, body, msgspec.json.encode(about))
        except InvalidTag as error:
            raise DatabaseTrouble(
                "The account's password cannot be opened: it was altered in the database, or"
                " sealed for another account. Enter the password again."
            ) from error
        return msgspec.json.decode(plain, type=dict[str, str])


def load_keyring(home: Path) -> Keyring:
    """Return the keys of a home from its `secret.key` (made with mode 0600 if there is none).

    TRUCKROLL_SECRET_KEY takes the file's place where it is set.
    """
    if text := os.environ.get(KEY_VARIABLE):
        return Keyring.parse(text)
    path = home / "secret.key"
    if not path.exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = Keyring({secrets.token_hex(4): secrets.token_bytes(_KEY_BYTES)})
        _write(path, fresh, exclusive=True)
    return Keyring.parse(path.read_text())


def save_keyring(home: Path, keyring: Keyring) -> None:
    """Put a keyring in the place of the home's `secret.key`, whole or not at all."""
    _write(home / "secret.key", keyring, exclusive=False)


def _write(path: Path, keyring: Keyring, *, exclusive: bool) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(keyring.text())
        file.flush()
        os.fsync(file.fileno())
    if not exclusive:
        draft.replace(path)
        return
    try:
        os.link(draft, path)  # fails where another process was faster: its key stands
    except FileExistsError:
        pass
    finally:
        draft.unlink()
