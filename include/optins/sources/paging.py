"""Ways in which JSON APIs say "there is more". `paging` in a source's options chooses one; the rest are its names.

page_number   page_parameter (page), first_page (1), size_parameter (page_size), page_size; ends at an empty page
offset        offset_parameter (offset), size_parameter (limit), page_size; ends at an empty page
cursor        cursor_parameter (cursor), cursor (dotted path in the answer); ends where it is empty
next_link     next_link (dotted path of the next page's URL in the answer); ends where it is empty
none          one answer holds everything
"""

from __future__ import annotations

from typing import Any, Protocol

import httpx

from include.entities import Source
from include.optins.sources.errors import SourceShapeChanged

Request = tuple[str, dict[str, Any]]


class Pager(Protocol):
    """The requests for one listing, one after the other."""

    def first(self, parameters: dict[str, Any]) -> Request:
        """URL and query of the first page."""
        ...

    def following(self, answer: Any, count: int) -> Request | None:
        """URL and query of the page after one with `count` items, or None when it was the last."""
        ...


def pager(source: Source, base_url: httpx.URL) -> Pager:
    """The pager that a source's options name. Raises SourceShapeChanged for a name that is none."""
    style = source.options.get("paging", "none")
    if style not in _PAGERS:
        raise SourceShapeChanged(
            f"Source {source.name!r}: paging {style!r} is not known; one of {', '.join(_PAGERS)} is."
        )
    return _PAGERS[style](source, base_url)


def path_value(item: Any, path: str, missing: Any = None) -> Any:
    """The value at a dotted path such as `channels.whatsapp.consent`; `missing` where a part of it is absent."""
    for part in path.split("."):
        if not isinstance(item, dict) or part not in item:
            return missing
        item = item[part]
    return item


class _Listing:
    """Common to all: the path, the parameters of every request, and the page size."""

    size_parameter = "page_size"

    def __init__(self, source: Source, base_url: httpx.URL) -> None:
        self.source = source
        self.options = source.options
        self.base_url = base_url
        self.parameters: dict[str, Any] = {}

    def first(self, parameters: dict[str, Any]) -> Request:
        self.parameters = dict(parameters)
        if "page_size" in self.options:
            self.parameters[self.options.get("size_parameter", self.size_parameter)] = self.options[
                "page_size"
            ]
        return self.request()

    def following(self, answer: Any, count: int) -> Request | None:  # noqa: ARG002 - the protocol's arguments
        return None

    def request(self, **more: Any) -> Request:
        return self.options.get("path", ""), self.parameters | more


class _PageNumber(_Listing):
    page = 1

    def first(self, parameters: dict[str, Any]) -> Request:
        super().first(parameters)
        self.page = int(self.options.get("first_page", 1))
        return self._numbered()

    def following(self, answer: Any, count: int) -> Request | None:  # noqa: ARG002
        # A short page is no sign: a server may cap the page size below the one we asked for.
        self.page += 1
        return self._numbered() if count else None

    def _numbered(self) -> Request:
        return self.request(**{self.options.get("page_parameter", "page"): self.page})


class _Offset(_Listing):
    size_parameter = "limit"
    offset = 0

    def following(self, answer: Any, count: int) -> Request | None:  # noqa: ARG002
        self.offset += count
        return (
            self.request(**{self.options.get("offset_parameter", "offset"): self.offset}) if count else None
        )


class _Cursor(_Listing):
    def following(self, answer: Any, count: int) -> Request | None:  # noqa: ARG002
        cursor = path_value(answer, self.options.get("cursor", "cursor"))
        return self.request(**{self.options.get("cursor_parameter", "cursor"): cursor}) if cursor else None


class _NextLink(_Listing):
    def following(self, answer: Any, count: int) -> Request | None:  # noqa: ARG002
        link = path_value(answer, self.options.get("next_link", "next"))
        if not link:
            return None
        url = self.base_url.join(link)
        if (url.scheme, url.host, url.port) != (self.base_url.scheme, self.base_url.host, self.base_url.port):
            # Our credentials go with every request.
            raise SourceShapeChanged(
                f"Source {self.source.name!r}: the next page is on another host; not followed."
            )
        return str(url), {}


_PAGERS: dict[str, type[_Listing]] = {
    "page_number": _PageNumber,
    "offset": _Offset,
    "cursor": _Cursor,
    "next_link": _NextLink,
    "none": _Listing,
}
