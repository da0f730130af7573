"""Credentials and team keys on one machine: kept safely, checked before use, handed over by one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hitsave.cloud.credentials import find_key, invitation, is_invitation, is_well_formed, list_logins, log_in, log_out
from hitsave.cloud.signing import (
    Signer,
    create_team_key,
    export_team_key,
    forget_team_key,
    import_team_key,
    list_keys,
)
from hitsave.errors import CloudError, ConfigError, UntrustedEntry
from hitsave.server.tokens import new_key
from tests.services import ThreadServer


def test_logging_in_checks_the_key_and_keeps_it_for_the_owner_only(small_server: ThreadServer, tmp_path: Path) -> None:
    me = log_in(str(tmp_path), small_server.url, small_server.key)
    assert me["scope"] == "admin"
    assert find_key(str(tmp_path), small_server.url) == small_server.key
    assert find_key(str(tmp_path), small_server.url + "/") == small_server.key
    assert find_key(str(tmp_path), "http://elsewhere") == ""
    assert (tmp_path / "credentials.json").stat().st_mode & 0o077 == 0
    [(url, user, start)] = list_logins(str(tmp_path))
    assert url == small_server.url
    assert user == me["user"]
    assert small_server.key not in start
    assert log_out(str(tmp_path), small_server.url)
    assert not log_out(str(tmp_path), small_server.url)
    assert find_key(str(tmp_path), small_server.url) == ""


def test_a_mistyped_or_unknown_key_is_refused(small_server: ThreadServer, tmp_path: Path) -> None:
    typo = small_server.key[:-1] + ("0" if small_server.key[-1] != "0" else "1")
    assert is_well_formed(small_server.key)
    assert not is_well_formed(typo)
    with pytest.raises(ConfigError, match="no API key"):
        log_in(str(tmp_path), small_server.url, typo)
    with pytest.raises(CloudError, match="doesn't know this key"):
        log_in(str(tmp_path), small_server.url, new_key("write"))
    assert list_logins(str(tmp_path)) == []


def test_credentials_that_others_can_read_are_refused(small_server: ThreadServer, tmp_path: Path) -> None:
    log_in(str(tmp_path), small_server.url, small_server.key)
    (tmp_path / "credentials.json").chmod(0o644)
    with pytest.raises(ConfigError, match="read by others"):
        find_key(str(tmp_path), small_server.url)


def test_an_invitation_brings_both_keys(small_server: ThreadServer, tmp_path: Path) -> None:
    ann, bob = str(tmp_path / "ann"), str(tmp_path / "bob")
    key_id = create_team_key(ann)
    line = invitation(small_server.key, export_team_key(ann))
    assert is_invitation(line)
    assert not is_invitation(small_server.key)
    log_in(bob, small_server.url, line)
    assert key_id in dict(list_keys(bob))
    Signer(bob, "p").check(b"purpose", b"data", Signer(ann, "p").sign(b"purpose", b"data"))


def test_a_tag_binds_purpose_project_data_and_key(tmp_path: Path) -> None:
    home = str(tmp_path)
    create_team_key(home)
    tag = Signer(home, "p").sign(b"purpose", b"data")
    Signer(home, "p").check(b"purpose", b"data", tag)
    for signer, purpose, data, given in (
        (Signer(home, "q"), b"purpose", b"data", tag),
        (Signer(home, "p"), b"other", b"data", tag),
        (Signer(home, "p"), b"purpose", b"date", tag),
        (Signer(home, "p"), b"purpose", b"data", tag[:-1]),
        (Signer(home, "p"), b"purpose", b"data", tag + "00"),
        (Signer(home, "p"), b"purpose", b"data", "0" * 16 + tag[16:]),
        (Signer(home, "p"), b"purpose", b"data", ""),
        (Signer(home, "p"), b"purpose", b"data", "é:zz"),
    ):
        with pytest.raises(UntrustedEntry):
            signer.check(purpose, data, given)


def test_keys_rotate_by_handing_round_a_new_one(tmp_path: Path) -> None:
    home = str(tmp_path)
    machine = Signer(home).signing_id()
    assert list_keys(home) == [(machine, "machine")]
    old = create_team_key(home)
    before = Signer(home).sign(b"p", b"data")
    new = create_team_key(home)
    assert Signer(home).signing_id() == new
    Signer(home).check(b"p", b"data", before)
    assert forget_team_key(home, old)
    assert not forget_team_key(home, old)
    assert not forget_team_key(home, machine)
    with pytest.raises(UntrustedEntry):
        Signer(home).check(b"p", b"data", before)


def test_a_key_file_that_others_could_have_written_is_not_used(tmp_path: Path) -> None:
    home = str(tmp_path)
    key_id = create_team_key(home)
    path = tmp_path / "keys" / f"team-{key_id}.key"
    path.chmod(0o644)
    assert key_id not in dict(list_keys(home))
    path.chmod(0o600)
    kept = path.rename(tmp_path / "elsewhere.key")
    path.symlink_to(kept)
    assert key_id not in dict(list_keys(home))


@pytest.mark.parametrize("line", ["", "hsteam1-", "hsteam1-AAAA", "hsteam1-" + "A" * 48, "not a key", "hsteam1-ééé"])
def test_a_mistyped_team_key_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError, match="no team key"):
        import_team_key(str(tmp_path), line)


def test_exporting_without_a_team_key_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no team key"):
        export_team_key(str(tmp_path))
