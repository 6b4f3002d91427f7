"""What the terminal shows while a notebook trains, made of the lines that the notebook prints."""

import re
import time
from collections.abc import Callable
from itertools import pairwise
from typing import TextIO

EPOCH_LINE = re.compile(r"epoch +(\d+) of (\d+)")
"""What a training notebook prints after each epoch; the listener makes a progress line of it."""


def progress_printer(terminal: TextIO, label: str) -> Callable[[str], None]:
    """A listener that shows the epoch, the loss and the time left: on one line of a terminal, else a line each."""
    times: list[float] = [time.monotonic()]
    start, end = ("\r\x1b[2K", "") if terminal.isatty() else ("", "\n")

    def listen(line: str) -> None:
        found = EPOCH_LINE.search(line)
        if not found:
            return
        epoch, epochs = int(found[1]), int(found[2])
        times.append(time.monotonic())
        # Epochs that a resumed run repeats from its history arrive at once: they say nothing about the speed.
        spans = [b - a for a, b in pairwise(times) if b - a > 0.05][-5:]
        left = f", {_clock((epochs - epoch) * sum(spans) / len(spans))} left" if spans else ""
        done = "\n" if epoch == epochs else ""
        terminal.write(f"{start}{label}: {' '.join(line.split())}{left}{end or done}")
        terminal.flush()

    return listen


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
