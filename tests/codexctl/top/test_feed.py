import asyncio

from codexctl.top.feed import Feed
from codexctl.top.model import Model


def test_a_feed_that_was_closed_ends_even_if_its_cancellation_is_lost(tmp_path):
    changes = []
    feed = Feed(tmp_path / "none.sock", Model(), lambda: (changes.append(1), feed.close()))
    asyncio.run(asyncio.wait_for(feed.run(), 10))
    assert changes == [1]
