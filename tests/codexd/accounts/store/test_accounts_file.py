"""The content of ``accounts.json``, and the file with its previous copy."""

import json

import attrs
import pytest

from codexd.accounts.model import Account
from codexd.accounts.store.accounts_file import AccountsFile, Book, dump_book, parse_book
from codexd.errors import FileUnreadable

ANN = Account("aa0000000001", "w-1", "u-ann", "ann@example.com", "plus", 1.0)
BOB = Account("aa0000000002", "w-1", "u-bob", "bob@example.com", "pro", 2.0)


def test_the_first_account_becomes_active_and_a_known_one_keeps_its_place():
    book = Book().put(ANN).put(BOB)
    assert (book.active, book.accounts) == (ANN.id, (ANN, BOB))
    renewed = attrs.evolve(ANN, plan="pro")
    assert book.put(renewed).accounts == (renewed, BOB)
    assert book.find(BOB.id) == BOB
    assert book.find("ffffffffffff") is None


def test_a_change_concerns_one_account():
    book = Book().put(ANN).put(BOB)
    assert book.change(BOB.id, disabled=True).accounts == (ANN, attrs.evolve(BOB, disabled=True))
    assert book.change("ffffffffffff", disabled=True) == book


def test_without_the_active_account_none_is_active():
    book = Book().put(ANN).put(BOB)
    assert book.drop(BOB.id) == Book(active=ANN.id, accounts=(ANN,))
    assert book.drop(ANN.id) == Book(active=None, accounts=(BOB,))


def test_what_is_written_is_read_back():
    book = Book().put(ANN).put(attrs.evolve(BOB, last_used_at=3.0, followed="/elsewhere/auth.json"))
    assert parse_book(dump_book(book)) == book


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "../ann"}, "'../ann' is not an account id"),
        ({"id": BOB.id}, f"lists account id {BOB.id} twice"),
        ({"chatgpt_account_id": "a b"}, f"account {ANN.id} has an invalid chatgpt_account_id"),
        ({"added_at": "now"}, "added_at"),
        ({"color": "red"}, "color"),
    ],
)
def test_a_doubtful_entry_makes_the_file_unreadable(changes, words):
    content = json.loads(dump_book(Book().put(ANN).put(BOB)))
    content["accounts"][0] |= changes
    with pytest.raises(FileUnreadable, match=words):
        parse_book(json.dumps(content).encode())


def test_the_previous_copy_is_one_write_behind(tmp_path):
    path = tmp_path / "accounts.json"
    file, first, second = AccountsFile(path), Book().put(ANN), Book().put(ANN).put(BOB)
    assert file.problem is None
    file.write(first)
    assert [each.name for each in tmp_path.iterdir()] == ["accounts.json"]
    file.write(second)
    file.write(second)
    assert parse_book(path.read_bytes()) == second
    assert parse_book((tmp_path / "accounts.json.previous").read_bytes()) == first


def test_an_unreadable_file_is_left_alone_until_the_first_write(tmp_path):
    path = tmp_path / "accounts.json"
    path.write_bytes(b"torn")
    file = AccountsFile(path)
    assert file.is_unreadable
    assert "left in place" in file.problem
    assert path.read_bytes() == b"torn"
    file.write(Book().put(ANN))
    assert (tmp_path / "accounts.json.unreadable").read_bytes() == b"torn"
    assert "kept as accounts.json.unreadable" in file.problem
    assert not (tmp_path / "accounts.json.previous").exists()


def test_what_another_program_wrote_meanwhile_is_kept(tmp_path):
    path = tmp_path / "accounts.json"
    file = AccountsFile(path)
    file.write(Book().put(ANN))
    path.write_bytes(b"by hand")
    file.write(Book().put(BOB))
    assert (tmp_path / "accounts.json.edited").read_bytes() == b"by hand"
    assert parse_book(path.read_bytes()) == Book().put(BOB)
