"""Nothing is decoded that wasn't signed: keys, tags, and a gadget under every tampering we can think of."""

from __future__ import annotations

import os
import pickle
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitsave.errors import StoreError, StoreWarning, UntrustedEntry
from hitsave.store import packing
from hitsave.store.authenticity import (
    KEY_BYTES,
    KeyRing,
    Seal,
    create_key,
    key_id,
    open_machine_keys,
    read_key,
    rotate_machine_key,
)
from hitsave.store.disk import DiskStore
from tests.store.conftest import Cache
from tests.store.contract import evaluation, key

BIG = bytes(range(256)) * 2000
posix = pytest.mark.skipif(os.name == "nt", reason="only on POSIX: modes and owners")


class TestKeys:
    @posix
    def test_the_key_is_made_once_closed_to_others_and_outside_the_cache(self, cache: Cache) -> None:
        store = cache.open()
        store.save(*evaluation())
        path = cache.config / "keys" / "machine.key"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path.stat().st_size == KEY_BYTES
        assert open_machine_keys(str(cache.config)).signing == path.read_bytes()
        assert not [p for p in cache.root.rglob("*") if p.is_file() and path.read_bytes() in p.read_bytes()]

    @posix
    @pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644])
    def test_a_key_that_others_may_read_or_write_is_refused(self, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "a.key"
        create_key(str(path))
        path.chmod(mode)
        with pytest.raises(StoreError, match="group or others"):
            read_key(str(path))

    @posix
    def test_a_key_behind_a_link_is_refused(self, tmp_path: Path) -> None:
        create_key(str(tmp_path / "real.key"))
        (tmp_path / "link.key").symlink_to(tmp_path / "real.key")
        with pytest.raises(StoreError, match="symbolic link"):
            read_key(str(tmp_path / "link.key"))

    @pytest.mark.parametrize("size", [0, 31, 33, 1000])
    def test_a_key_of_another_size_is_refused(self, tmp_path: Path, size: int) -> None:
        path = tmp_path / "a.key"
        path.write_bytes(b"k" * size)
        path.chmod(0o600)
        with pytest.raises(StoreError, match="32 bytes"):
            read_key(str(path))

    def test_the_first_of_two_makers_wins(self, tmp_path: Path) -> None:
        path = str(tmp_path / "keys" / "a.key")
        assert create_key(path) == create_key(path) == read_key(path)
        assert [path.name for path in (tmp_path / "keys").iterdir()] == ["a.key"]

    def test_a_rotated_key_still_reads_what_it_signed(self, cache: Cache) -> None:
        store = cache.open()
        for number, data in enumerate((b"small", b"m" * 5000, BIG)):
            store.save(*evaluation(str(number), data=data))
        store.put_record("source", "a", b"text")
        old = store.keys().signing
        assert rotate_machine_key(str(cache.config)).signing != old
        after = cache.open(verify="strict")
        for number, data in enumerate((b"small", b"m" * 5000, BIG)):
            (found,) = after.find(key(str(number)))
            blob = after.load(found)
            assert blob is not None
            assert bytes(memoryview(blob.data)) == data
        assert after.get_record("source", "a") == b"text"
        after.save(*evaluation("9"))
        assert len(cache.open(verify="strict").find(key("9"))) == 1
        assert key_id(old) != key_id(after.keys().signing)

    def test_an_accepted_key_reads_what_another_machine_signed(self, cache: Cache, tmp_path: Path) -> None:
        theirs = DiskStore(str(cache.root), str(tmp_path / "theirs"))
        theirs.save(*evaluation())
        theirs.close()
        ours = DiskStore(str(cache.root), str(tmp_path / "ours"), accepted=(theirs.keys().signing,), verify="strict")
        assert len(ours.find(key())) == 1
        ours.close()

    @posix
    def test_without_a_key_the_store_says_so_once_and_does_nothing(self, cache: Cache) -> None:
        cache.open().save(*evaluation())
        (cache.config / "keys" / "machine.key").chmod(0o644)
        store = cache.open()
        with pytest.warns(StoreWarning, match="group or others") as caught:
            assert store.find(key()) == []
            store.save(*evaluation("2"))
            assert store.get_record("a", "b") is None
        assert len(caught) == 1


class TestSeal:
    def test_a_tag_is_good_for_its_key_purpose_namespace_and_data_alone(self) -> None:
        ring, other = KeyRing(b"a" * 32), KeyRing(b"b" * 32)
        tag = Seal(ring, b"entry", "team").tag(b"data")
        assert Seal(ring, b"entry", "team").verify(tag, b"data")
        assert not Seal(ring, b"entry", "team").verify(tag, b"datb")
        assert not Seal(ring, b"record", "team").verify(tag, b"data")
        assert not Seal(ring, b"entry", "other").verify(tag, b"data")
        assert not Seal(other, b"entry", "team").verify(tag, b"data")
        assert Seal(KeyRing(b"b" * 32, [b"a" * 32]), b"entry", "team").verify(tag, b"data")

    @given(st.binary(), st.binary())
    def test_different_data_has_different_tags(self, one: bytes, other: bytes) -> None:
        seal = Seal(KeyRing(b"a" * 32), b"entry")
        assert (seal.tag(one) == seal.tag(other)) == (one == other)


class Gadget:
    """Unpickled, it leaves a file behind."""

    def __init__(self, sentinel: str) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.sentinel,)


@pytest.fixture
def gadget(tmp_path: Path) -> bytes:
    return pickle.dumps(Gadget(str(tmp_path / "sentinel")))


def connect(cache: Cache) -> sqlite3.Connection:
    return sqlite3.connect(cache.home / "cache.db", isolation_level=None)


def rows(connection: sqlite3.Connection) -> list[tuple[int, bytes, bytes]]:
    return connection.execute("SELECT rowid, key, value FROM Cache WHERE key >= X'80'").fetchall()


def replace_payload(connection: sqlite3.Connection, gadget: bytes) -> None:
    rowid, _, value = rows(connection)[0]
    connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (value[:-6] + gadget, rowid))


def move_to_another_key(connection: sqlite3.Connection, gadget: bytes) -> None:
    (first, _, value), (second, _, _) = rows(connection)[:2]
    connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (value, second))
    connection.execute("DELETE FROM Cache WHERE rowid = ?", (first,))


def move_to_another_function(connection: sqlite3.Connection, gadget: bytes) -> None:
    for rowid, row_key, _ in rows(connection):
        moved = bytes((row_key[0] ^ 1,)) + row_key[1:]
        connection.execute("UPDATE Cache SET key = ? WHERE rowid = ?", (moved, rowid))


def relabel_the_codec(connection: sqlite3.Connection, gadget: bytes) -> None:
    groups = connection.execute("SELECT rowid, value FROM Cache WHERE key >= X'67' AND key < X'68'").fetchall()
    for rowid, value in groups:
        connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (value.replace(b"data", b"pick"), rowid))


def change_the_time(connection: sqlite3.Connection, gadget: bytes) -> None:
    connection.execute("UPDATE Cache SET store_time = store_time + 1")


def change_the_tag(connection: sqlite3.Connection, gadget: bytes) -> None:
    for rowid, _, value in rows(connection):
        connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (b"\0" * 16 + value[16:], rowid))


def truncate(connection: sqlite3.Connection, gadget: bytes) -> None:
    for rowid, _, value in rows(connection):
        connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (value[: len(value) // 2], rowid))


def append(connection: sqlite3.Connection, gadget: bytes) -> None:
    for rowid, _, value in rows(connection):
        connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (value + gadget, rowid))


def pickled_row(connection: sqlite3.Connection, gadget: bytes) -> None:
    connection.execute("UPDATE Cache SET mode = 4, value = ?", (gadget,))


def pickled_key(connection: sqlite3.Connection, gadget: bytes) -> None:
    connection.execute("UPDATE Cache SET raw = 0, key = ? || key", (gadget,))


def odd_types(connection: sqlite3.Connection, gadget: bytes) -> None:
    connection.execute("UPDATE Cache SET value = CAST(X'FF' || value AS TEXT) WHERE key >= X'80'")


def no_values(connection: sqlite3.Connection, gadget: bytes) -> None:
    connection.execute("UPDATE Cache SET value = NULL, store_time = NULL")


def marshalled_garbage(connection: sqlite3.Connection, gadget: bytes) -> None:
    connection.execute("UPDATE Cache SET value = X'FBFF00FFAA' WHERE key < X'80'")


TAMPERINGS: list[Callable[[sqlite3.Connection, bytes], None]] = [
    replace_payload, move_to_another_key, move_to_another_function, relabel_the_codec, change_the_time, change_the_tag,
    truncate, append, pickled_row, pickled_key, odd_types, no_values, marshalled_garbage,
]  # fmt: skip


class TestTampering:
    @pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda f: f.__name__)
    def test_a_tampered_row_is_a_miss(
        self, cache: Cache, gadget: bytes, tamper: Callable[[sqlite3.Connection, bytes], None], tmp_path: Path
    ) -> None:
        store = cache.open()
        for number in range(3):
            store.save(*evaluation(str(number), data=b"result"))
        store.put_record("source", "a", b"text")
        store.close()
        connection = connect(cache)
        tamper(connection, gadget)
        connection.close()
        for verify in ("on", "strict"):
            self.check_nothing_wrong_comes_out(cache.open(verify=verify))
        assert not (tmp_path / "sentinel").exists()

    @pytest.mark.filterwarnings("ignore::hitsave.errors.StoreWarning")
    def check_nothing_wrong_comes_out(self, store: DiskStore) -> None:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)
            for number in range(3):
                try:
                    for found in store.find(key(str(number))):
                        blob = store.load(found)
                        assert blob is None or bytes(memoryview(blob.data)) == b"result"
                        assert found == evaluation(str(number), data=b"result")[0]
                    assert store.get_record("source", "a") in (b"text", None)
                    list(store.entries())
                except UntrustedEntry:
                    assert store.trouble.strict

    @pytest.mark.parametrize("codec", ["data", "pickle5"])
    def test_a_file_that_was_exchanged_is_a_miss_and_is_written_again(
        self, cache: Cache, gadget: bytes, codec: str
    ) -> None:
        store = cache.open()
        store.save(*evaluation(data=BIG, codec=codec))
        (path,) = cache.blob_files()
        path.write_bytes(gadget.ljust(len(BIG), b"\0"))
        with pytest.warns(StoreWarning, match="not the one its entry was signed for"):
            assert store.load(store.find(key())[0]) is None
        assert cache.blob_files() == []
        store.save(*evaluation(data=BIG, codec=codec))
        blob = store.load(store.find(key())[0])
        assert blob is not None
        assert bytes(memoryview(blob.data)) == BIG

    @posix
    def test_a_file_behind_a_link_is_not_followed(self, cache: Cache, tmp_path: Path) -> None:
        store = cache.open()
        store.save(*evaluation(data=BIG))
        (path,) = cache.blob_files()
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.warns(StoreWarning):
            assert store.load(store.find(key())[0]) is None

    def test_a_result_in_a_row_of_its_own_that_was_exchanged_is_a_miss(self, cache: Cache, gadget: bytes) -> None:
        store = cache.open()
        store.save(*evaluation(data=b"m" * 5000))
        store.close()
        connection = connect(cache)
        connection.execute("UPDATE Cache SET value = ? WHERE key >= X'62' AND key < X'63'", (gadget,))
        connection.close()
        with pytest.warns(StoreWarning, match="not the one"):
            assert store.load(store.find(key())[0]) is None
        store.save(*evaluation(data=b"m" * 5000))
        assert store.load(store.find(key())[0]) is not None

    def test_a_foreign_entry_is_a_miss_and_one_warning(self, cache: Cache, tmp_path: Path) -> None:
        theirs = cache.open(config=tmp_path / "theirs")
        for number in range(3):
            theirs.save(*evaluation(str(number)))
        ours = cache.open()
        with pytest.warns(StoreWarning, match="not signed by this machine") as caught:
            for number in range(3):
                assert ours.find(key(str(number))) == []
        assert len(caught) == 1
        assert ours.stats().refused >= 3

    def test_strict_makes_it_an_error_that_names_the_cure(self, cache: Cache, tmp_path: Path) -> None:
        cache.open(config=tmp_path / "theirs").save(*evaluation())
        with pytest.raises(UntrustedEntry, match="doctor --repair"):
            cache.open(verify="strict").find(key())

    def test_off_accepts_what_others_signed(self, cache: Cache, tmp_path: Path) -> None:
        theirs = cache.open(config=tmp_path / "theirs")
        for number, data in enumerate((b"small", b"m" * 5000, BIG)):
            theirs.save(*evaluation(str(number), data=data))
        ours = cache.open(verify="off")
        for number, data in enumerate((b"small", b"m" * 5000, BIG)):
            blob = ours.load(ours.find(key(str(number)))[0])
            assert blob is not None
            assert bytes(memoryview(blob.data)) == data

    def test_another_namespace_does_not_see_an_entry(self, cache: Cache) -> None:
        one = DiskStore(str(cache.root), str(cache.config), namespace="one")
        two = DiskStore(str(cache.root), str(cache.config), namespace="two")
        one.save(*evaluation())
        with pytest.warns(StoreWarning):
            assert two.find(key()) == []
        one.close()
        two.close()

    def test_each_flipped_bit_of_a_row_is_a_miss(self, cache: Cache) -> None:
        saved, blob = evaluation(data=b"result")
        store = cache.open()
        store.save(saved, blob)
        store.trouble.silent = True
        connection = connect(cache)
        ((rowid, row_key, value),) = rows(connection)
        whole = row_key + value
        for position in range(8 * len(whole)):
            flipped = bytearray(whole)
            flipped[position // 8] ^= 1 << position % 8
            changed = bytes(flipped[:20]), bytes(flipped[20:])
            connection.execute("UPDATE Cache SET key = ?, value = ? WHERE rowid = ?", (*changed, rowid))
            store.preload.clear()  # it would not see the change for a second
            assert store.find(key()) == list(store.entries()) == []
        connection.execute("UPDATE Cache SET key = ?, value = ? WHERE rowid = ?", (row_key, value, rowid))
        connection.close()
        store.preload.clear()
        assert store.find(key()) == [saved]


class TestDiskcache:
    """CVE-2025-69872: the stock library would run the gadget, or read and remove files of others."""

    def open_rows(self, cache: Cache):  # type: ignore[no-untyped-def]
        from hitsave.store.hardened import RowCache

        return RowCache(str(cache.home), timeout_s=1.0, journal_mode="wal")

    def test_the_stock_library_is_vulnerable_and_ours_refuses(
        self, cache: Cache, gadget: bytes, tmp_path: Path
    ) -> None:
        import diskcache

        store = cache.open()
        store.put_record("source", "a", b"text")
        store.close()
        connection = connect(cache)
        connection.execute("UPDATE Cache SET mode = 4, value = ?", (gadget,))
        row_key = connection.execute("SELECT key FROM Cache").fetchone()[0]
        connection.close()
        ours = self.open_rows(cache)
        assert ours.get(row_key) is None
        ours.close()
        with pytest.warns(StoreWarning):
            assert cache.open().get_record("source", "a") is None
        assert not (tmp_path / "sentinel").exists()
        with diskcache.Cache(str(cache.home)) as stock:
            stock.get(row_key)
        assert (tmp_path / "sentinel").exists()

    def test_a_row_that_names_a_file_reads_and_removes_nothing(self, cache: Cache, tmp_path: Path) -> None:
        secret = tmp_path / "secret.txt"
        secret.write_text("secret")
        store = cache.open()
        store.put_record("source", "a", b"text")
        store.close()
        connection = connect(cache)
        connection.execute("UPDATE Cache SET mode = 2, filename = ?, value = NULL", (f"../../{secret.name}",))
        row_key = connection.execute("SELECT key FROM Cache").fetchone()[0]
        connection.close()
        ours = self.open_rows(cache)
        assert ours.get(row_key) is None
        del ours[row_key]
        ours.close()
        assert secret.read_text() == "secret"

    def test_only_bytes_go_in(self, cache: Cache) -> None:
        cache.open().save(*evaluation())
        ours = self.open_rows(cache)
        for bad_key, bad_value in (("text", b""), (1, b""), ((1,), b""), (b"k", "text"), (b"k", [1])):
            with pytest.raises(TypeError):
                ours[bad_key] = bad_value
        with Path(os.devnull).open("rb") as file, pytest.raises(TypeError):
            ours.set(b"k", file, read=True)
        ours.close()

    def test_values_are_what_diskcache_reads_back(self, cache: Cache) -> None:
        """The rows are diskcache's own: its interface shows them."""
        store = cache.open()
        store.save(*evaluation())
        ours = self.open_rows(cache)
        assert len(list(ours.iterkeys())) == 2
        for row_key in ours.iterkeys():
            assert isinstance(ours[row_key], bytes)
        ours.close()

    def test_no_code_of_ours_unpickles(self) -> None:
        import hitsave.store

        folder = Path(next(iter(hitsave.store.__path__)))
        for path in folder.glob("*.py"):
            text = path.read_text()
            assert "import pickle" not in text, path
            assert "pickle.load" not in text, path


def test_row_keys_keep_their_kinds_apart() -> None:
    """Rows of entries begin above 0x7f, all others are letters below."""
    assert all(packing.symbol_bytes(f"m:f{n}")[0] >= 0x80 for n in range(300))  # type: ignore[arg-type]
    for row_key in (packing.group_key(b"\x80abc", b"x" * 8), packing.trace_key(b"x"), packing.blob_key(b"x")):
        assert row_key[0] < 0x80
