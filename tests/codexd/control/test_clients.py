"""What ``claude.*`` and ``codex.*`` share: the folder, the notes, the proof."""

from pathlib import Path

import attrs
import pytest
from support.control_server import make_control

from codexd.accounts.store.store import AccountStore
from codexd.clients.address import ProofAnswer, ProofRequest
from codexd.control.clients import ANY_PORT_NOTE, SIMULATED_NOTE, find_folder, find_notes, to_proof
from codexd.errors import RequestInvalid

SENT = ProofRequest("claude proxy", "/v1/messages", "claude-opus-5-5", {})


@pytest.fixture
def control(tmp_path):
    with AccountStore.open(tmp_path) as store:
        yield make_control(tmp_path, store)


@pytest.mark.parametrize(
    ("config_dir", "environ", "folder"),
    [
        ("/mine", {"CODEX_HOME": "/other", "HOME": "/home/me"}, "/mine"),
        (None, {"CODEX_HOME": "/other", "HOME": "/home/me"}, "/other"),
        (None, {"CODEX_HOME": "", "HOME": "/home/me"}, "/home/me/.codex"),
        (None, {"HOME": "/home/me"}, "/home/me/.codex"),
    ],
)
def test_the_callers_folder_comes_first(control, config_dir, environ, folder):
    control = attrs.evolve(control, environ=environ)
    assert find_folder(control, config_dir, "CODEX_HOME", ".codex") == Path(folder)


def test_without_a_home_the_folder_must_be_named(control):
    with pytest.raises(RequestInvalid, match="config_dir: is required"):
        find_folder(attrs.evolve(control, environ={}), None, "CODEX_HOME", ".codex")


def test_notes(control):
    assert find_notes(control) == []
    assert find_notes(attrs.evolve(control, simulated=True)) == [SIMULATED_NOTE]
    control.live.pin({"server.port": 0}, "--port")
    assert find_notes(control) == [ANY_PORT_NOTE]


def test_a_proof_names_the_model_and_the_account_that_answered(control):
    with control.requests.record("req_1", "POST", "/v1/messages", "codexd/claude proxy"):
        pass
    proof = to_proof(control, SENT, ProofAnswer(1234, 200, "req_1"))
    assert (proof.ok, proof.message) == (True, "claude-opus-5-5 answered in 1.2 s.")
    assert (proof.status, proof.duration_ms, proof.request) == (200, 1234, "req_1")


def test_a_proof_that_failed_says_why(control):
    proof = to_proof(control, SENT, ProofAnswer(5, problem="No connection.", request_id="req_gone"))
    assert (proof.ok, proof.message, proof.account, proof.status) == (False, "No connection.", None, None)
