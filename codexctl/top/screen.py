"""The screen of ``codexctl top``: a prompt_toolkit application around a model, its keys and its view."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size as TerminalSize
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth, Output

from codexctl.client import OlderDaemon
from codexctl.command import Invocation
from codexctl.top.feed import Feed
from codexctl.top.keys import Quit, press
from codexctl.top.layout import Size
from codexctl.top.model import Model
from codexctl.top.view import screen, settle

REDRAW_S = 0.5
"""Times and rates change even if nothing arrives."""

MIN_REDRAW_S = 0.1
"""The shortest time between redraws, however fast news arrives."""

ESCAPE_S = 0.05
"""How long to wait for the rest of a key that begins with an escape character."""

NAMED_KEYS = {
    Keys.Up: "up",
    Keys.Down: "down",
    Keys.PageUp: "pageup",
    Keys.PageDown: "pagedown",
    Keys.Home: "home",
    Keys.End: "end",
    Keys.Enter: "enter",
    Keys.Delete: "delete",
    Keys.Backspace: "backspace",
    Keys.Escape: "escape",
    Keys.F1: "f1",
    Keys.ControlU: "c-u",
    Keys.ControlW: "c-w",
}

COLOURS = {"red": "ansired", "green": "ansigreen", "yellow": "ansiyellow"}
"""The terminal's own sixteen colours, which are readable on its background."""


def show_top(invocation: Invocation) -> None:
    """Show the screen until the user leaves it. Ctrl-C raises KeyboardInterrupt."""
    asyncio.run(_show(Top(invocation)))


async def _show(top: Top) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, top.leave)  # so that the terminal is restored
    await top.run()


class Top:
    """The screen. ``source`` and ``output`` are those of the process by default; ``clock`` is the wall clock."""

    def __init__(
        self,
        invocation: Invocation,
        source: Input | None = None,
        output: Output | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.model = Model()
        self._clock = clock
        self._feed = Feed(invocation.socket, self.model, self._redraw)
        self._older: OlderDaemon | None = None
        self._app: Application[None] = Application(
            layout=Layout(Window(FormattedTextControl(self._draw, focusable=True), always_hide_cursor=True)),
            key_bindings=self._bind(),
            full_screen=True,
            color_depth=ColorDepth.DEPTH_1_BIT if invocation.environ.get("NO_COLOR") else ColorDepth.DEPTH_4_BIT,
            refresh_interval=REDRAW_S,
            min_redraw_interval=MIN_REDRAW_S,
            input=source,
            output=output,
        )
        self._app.ttimeoutlen = ESCAPE_S
        self._app.timeoutlen = ESCAPE_S

    async def run(self) -> None:
        """Raises OlderDaemon."""
        async with asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(self._feed.run())
            await self._app.run_async()
            self._feed.close()
            feeding.cancel()
        if self._older is not None:
            raise self._older

    def leave(self) -> None:
        self._app.exit()

    def _redraw(self) -> None:
        self._app.invalidate()

    def _draw(self) -> StyleAndTextTuples:
        try:
            lines = screen(self.model, *self._settle())
        except OlderDaemon as error:
            self._older = error
            if not self._app.is_done:
                self.leave()
            return []
        fragments: StyleAndTextTuples = []
        for line in lines:
            fragments += [(_style(names), text) for names, text in line]
            fragments.append(("", "\n"))
        return fragments[:-1]

    def _bind(self) -> KeyBindings:
        bindings = KeyBindings()
        for key, name in NAMED_KEYS.items():
            bindings.add(key, eager=True)(self._handler(name))
        bindings.add(Keys.Any)(self._press_character)
        bindings.add(Keys.ControlC)(lambda event: event.app.exit(exception=KeyboardInterrupt()))
        bindings.add(Keys.ControlZ)(lambda event: event.app.suspend_to_background())
        bindings.add(Keys.ControlL)(lambda event: event.app.renderer.clear())
        return bindings

    def _handler(self, name: str) -> Any:
        return lambda _event: self._press(name)

    def _press_character(self, event: KeyPressEvent) -> None:
        for character in event.data:
            self._press(character)

    def _press(self, key: str) -> None:
        match press(self.model, key):
            case Quit():
                self.leave()
            case None:
                pass
            case ask:
                self._app.create_background_task(self._feed.ask(ask))
        self._settle()

    def _settle(self) -> tuple[Size, float]:
        """Take back what is old before it is shown; the size of the screen, and the time."""
        size, now = _size(self._app.output.get_size()), self._clock()
        settle(self.model, size, now)
        return size, now


def _size(size: TerminalSize) -> Size:
    return Size(size.columns, size.rows)


def _style(names: str) -> str:
    return " ".join(COLOURS.get(name, name) for name in names.split())
