from codexd.translation.reading.conversation import fingerprint, to_cache_key, to_session_key

NOTE = "<system-reminder>now</system-reminder>\n"


def test_a_key_is_a_uuid_of_model_and_conversation():
    keys = {to_cache_key("a", "x"), to_cache_key("b", "x"), to_cache_key("a", "y"), to_session_key("x")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {36}
    assert to_cache_key("a", "x") == to_cache_key("a", "x")


def test_a_fingerprint_is_of_the_first_words_that_the_user_said():
    assert fingerprint("s", ["hi", "more"]) == fingerprint("s", [NOTE, NOTE + NOTE + "hi"])
    assert fingerprint("s", ["hi"]) != fingerprint("s", ["ho"])
    assert fingerprint("s", []) != fingerprint("t", [])
    assert fingerprint("s" * 2000 + "a", ["hi"]) == fingerprint("s" * 2000 + "b", ["hi"])
