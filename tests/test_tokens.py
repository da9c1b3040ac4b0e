"""Secrets and public ids, without a database."""

import pytest

from multisession.ground import tokens


def test_a_token_is_long_enough_and_never_the_same():
    made = {tokens.new_token() for _ in range(200)}
    assert len(made) == 200
    assert all(tokens.is_token(token) for token in made)
    assert set("".join(made)) == set(tokens.TOKEN_ALPHABET)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "a" * 31,
        "a" * 33,
        "A" * 32,
        "a" * 31 + "-",
        "a" * 31 + "\n",
        "a" * 32 + "\n",
        "a" * 31 + "é",
        "٣" * 32,
        b"a" * 32,
        12,
    ],
    ids=repr,
)
def test_a_value_without_the_shape_of_a_token_is_no_token(value):
    assert not tokens.is_token(value)


TOKEN = "0123456789abcdefghijklmnopqrstuv"


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        (TOKEN, (TOKEN, None)),
        (f"{TOKEN}.0", (TOKEN, 0)),
        (f"{TOKEN}.1", (TOKEN, 1)),
        (f"{TOKEN}.12", (TOKEN, 12)),
        (f"{TOKEN}.1000000", (TOKEN, 1_000_000)),
    ],
)
def test_a_key_is_a_token_or_a_token_and_a_number(key, parts):
    assert tokens.split(key) == parts
    assert len(key) <= 40


@pytest.mark.parametrize(
    "key",
    [
        None,
        "",
        ".",
        ".1",
        12,
        TOKEN.encode(),
        f"{TOKEN}.",
        f"{TOKEN}.01",
        f"{TOKEN}.00",
        f"{TOKEN}.-1",
        f"{TOKEN}.+1",
        f"{TOKEN}. 1",
        f"{TOKEN}.1 ",
        f"{TOKEN}.1\n",
        f"{TOKEN}.1.1",
        f"{TOKEN}..1",
        f"{TOKEN}.1e3",
        f"{TOKEN}.1_0",
        f"{TOKEN}.\u0661",
        f"{TOKEN}.x",
        f"{TOKEN}.10000000",
        f"{TOKEN[:-1]}.1",
        f"{TOKEN.upper()}.1",
        f"{TOKEN}\n.1",
    ],
    ids=repr,
)
def test_a_value_that_is_no_key_has_no_parts(key):
    assert tokens.split(key) is None


def test_the_digest_is_sha_256():
    assert tokens.digest("abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_public_ids_name_their_kind_and_cannot_be_guessed_or_used_as_a_token():
    for make, prefix in ((tokens.new_client_id, "client_"), (tokens.new_session_id, "sess_")):
        made = {make() for _ in range(200)}
        assert len(made) == 200
        for public_id in made:
            name = public_id.removeprefix(prefix)
            assert len(name) == tokens.PUBLIC_ID_LENGTH
            assert set(name) <= set(tokens.PUBLIC_ID_ALPHABET)
            assert not tokens.is_token(public_id)
