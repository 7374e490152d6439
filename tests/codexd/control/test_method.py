"""A method is declared at its function."""

from support.control_server import make_call

from codexd.api.accounts import AccountChoice, AccountRef
from codexd.api.rules import NoParams
from codexd.control.method import Call, method
from codexd.errors import AccountNotFound


@method("test.find", example={"account": "a"}, errors=(AccountNotFound,), event=AccountRef)
async def find(call: Call, params: AccountChoice) -> AccountRef:
    """Find an account.

    Its name is enough.
    """
    return AccountRef(params.account, params.account, call.control, "plus", simulated=False)


@method("test.plain")
async def plain(_call: Call, _params: NoParams) -> NoParams:
    """One line. It has two sentences."""
    return NoParams()


def test_the_annotations_and_the_docstring_are_the_declaration():
    assert (find.name, find.summary) == ("test.find", "Find an account")
    assert (find.params, find.result, find.event) == (AccountChoice, AccountRef, AccountRef)
    assert (find.example, find.errors) == ({"account": "a"}, (AccountNotFound,))


def test_what_is_left_out_is_empty():
    assert (plain.summary, plain.event) == ("One line. It has two sentences", None)
    assert (dict(plain.example), plain.errors) == ({}, ())


async def test_the_function_answers():
    assert await find.answer(make_call("the daemon"), AccountChoice("x")) == AccountRef(
        "x", "x", "the daemon", "plus", False
    )
