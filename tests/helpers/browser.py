"""Pages opened in a browser, watched for requests and messages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Pages:
    """Opens pages, each in its own window, and keeps what they request and say on the console."""

    browser: Any
    contexts: list[Any] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def open(self, address: str, *, width: int = 1280, **settings: Any) -> Any:
        """Open an address in a window of this width; `settings` are those of playwright's `new_context`."""
        self.contexts.append(self.browser.new_context(viewport={"width": width, "height": 900}, **settings))
        self.contexts[-1].set_default_timeout(180_000)  # a machine that trains meanwhile is slow, not wrong
        page = self.contexts[-1].new_page()
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.goto(address)
        return page


@contextmanager
def quiet_pages(browser: Any, is_own: Callable[[str], bool]) -> Iterator[Pages]:
    """Open pages; at the end they have requested only addresses of their own and said nothing on the console."""
    pages = Pages(browser)
    yield pages
    for context in pages.contexts:
        context.close()
    assert [url for url in pages.requests if not is_own(url)] == []
    assert pages.messages == []
