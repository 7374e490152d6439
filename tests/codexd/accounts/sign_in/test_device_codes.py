import json

import httpx
import pytest

from codexd.accounts.outages import BackOff
from codexd.accounts.sign_in.device_codes import DeviceCode, DeviceEndpoint, Grant
from codexd.accounts.sign_in.server import SignInServer
from codexd.errors import LoginFailed

CODE = DeviceCode("da_secret", "ABCD-12345", 5.0, None, "https://auth.example.com/codex/device")


def make_endpoint(http, back_off=None):
    return DeviceEndpoint(
        SignInServer(http, "https://auth.example.com/", back_off or BackOff(lambda: 0.0), lambda: 1.0)
    )


async def ask(answer, call):
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        return await call(make_endpoint(http))


async def request_code(status, body):
    content = body if isinstance(body, str) else json.dumps(body)
    return await ask(lambda _: httpx.Response(status, content=content), lambda device: device.request_code())


async def poll(answer):
    return await ask(answer, lambda device: device.poll(CODE))


async def test_a_code_is_asked_for_in_json():
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(200, json={"device_auth_id": "da_secret", "user_code": "ABCD-12345", "interval": "5"})

    assert await ask(answer, lambda device: device.request_code()) == CODE
    [request] = asked
    assert str(request.url) == "https://auth.example.com/api/accounts/deviceauth/usercode"
    assert json.loads(request.content) == {"client_id": "app_EMoamEEZ73f0CkXaXp7hrann"}


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        ("7", 7),
        (3, 3),
        (0.2, 1),
        ("0", 5),
        (999, 60),
        ("2.5", 2.5),
        ("soon", 5),
        ("nan", 5),
        (None, 5),
        (True, 5),
        (-1, 5),
    ],
)
async def test_the_interval_is_a_string_or_a_number(interval, seconds):
    code = await request_code(200, {"device_auth_id": "d", "user_code": "u", "interval": interval})
    assert code.interval_s == seconds


@pytest.mark.parametrize(
    ("expires_at", "seconds"),
    [
        (1_795_000_000, 1_795_000_000.0),
        ("2026-11-18T11:06:40Z", 1_795_000_000.0),
        ("later", None),
        (None, None),
        ([], None),
    ],
)
async def test_the_end_may_be_told_in_several_ways(expires_at, seconds):
    code = await request_code(200, {"device_auth_id": "d", "usercode": "u", "expires_at": expires_at})
    assert (code.user_code, code.expires_at) == ("u", seconds)


async def test_device_codes_may_be_switched_off():
    with pytest.raises(LoginFailed, match=r"Enable device code login.*`codexctl accounts add`"):
        await request_code(404, {"error": "not found"})


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, {}), (200, []), (200, "<html>"), (200, {"device_auth_id": 1, "user_code": "u"}), (403, "secret"), (500, "")],
)
async def test_no_code(status, body):
    with pytest.raises(
        LoginFailed, match=rf"auth\.example\.com returned no device code \(it answered {status}\)"
    ) as caught:
        await request_code(status, body)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
async def test_pending(status):
    assert await poll(lambda _: httpx.Response(status, text="x")) is None


async def test_trouble_with_the_network_is_pending():
    def answer(_):
        raise httpx.ConnectError("")

    assert await poll(answer) is None


async def test_an_approved_device():
    asked = []

    def answer(request):
        asked.append(request)
        body = {"authorization_code": "ac_secret", "code_challenge": "c", "code_verifier": "v_secret"}
        return httpx.Response(200, json=body)

    grant = await poll(answer)
    assert grant == Grant("ac_secret", "v_secret")
    [request] = asked
    assert str(request.url) == "https://auth.example.com/api/accounts/deviceauth/token"
    assert json.loads(request.content) == {"device_auth_id": "da_secret", "user_code": "ABCD-12345"}
    assert "secret" not in f"{grant} {CODE}"


@pytest.mark.parametrize(
    ("status", "body"), [(400, {"error": "expired_token"}), (401, "secret"), (410, ""), (200, {}), (200, "<html>")]
)
async def test_a_code_that_is_over(status, body):
    content = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(LoginFailed, match=rf"ended the sign-in \(it answered {status}\)") as caught:
        await poll(lambda _: httpx.Response(status, content=content))
    assert "secret" not in str(caught.value)


async def test_a_server_that_fails_is_left_alone():
    back_off, asked = BackOff(lambda: 0.0), []

    def answer(request):
        asked.append(request)
        return httpx.Response(503)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        for _ in range(10):
            assert await make_endpoint(http, back_off).poll(CODE) is None
    assert len(asked) == 1
