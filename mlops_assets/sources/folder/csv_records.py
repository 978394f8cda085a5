"""The records of a CSV text, counted and bounded while it is read."""

from mlops_assets.errors import SourceError

LONGEST = 1 << 20
"""Most characters of one record, and of a value in it: a row of 2,000 columns of 500 characters."""


class RecordCounter:
    """Counts the records of a text that comes in parts; SourceError once one of them is longer than 1 MB.

    A few MB of gzip may hold one line of gigabytes. A quote opens a field only where the field begins. `most_fields`
    is the number of fields of the longest record, `lone_returns` that of carriage returns without a newline.
    """

    def __init__(self, delimiter: str) -> None:
        self.ended, self.most_fields, self.lone_returns = 0, 0, 0
        self._delimiter, self._delimiters = delimiter, 0
        self._begins = (delimiter, "\n", "\r", "")
        self._quoted, self._closed, self._last, self._length = False, False, "", 0

    def take(self, text: str) -> None:
        """Take the next part of the text."""
        for place, part in enumerate(text.split('"')):
            if place:
                self._quote()
            if self._quoted:
                self._grow(len(part))
            elif part:
                self._lines(part)
            if part:
                self._closed, self._last = False, part[-1]

    def _quote(self) -> None:
        if self._quoted:
            self._quoted, self._closed, self._last = False, True, '"'
        elif self._closed or self._last in self._begins:  # after a closing quote, one more stands for itself
            self._quoted, self._closed = True, False
        self._grow(1)

    def _lines(self, part: str) -> None:
        self.ended += part.count("\n")
        self._count_fields(part)
        if "\r" in part:
            self.lone_returns += part.count("\r") - part.count("\r\n")
        if self._last == "\r" and part[0] == "\n":
            self.lone_returns -= 1
        first, newline, rest = part.replace("\r", "\n").partition("\n")
        self._grow(len(first))
        if newline:
            self._length = 0
            self._grow(len(rest) - rest.rfind("\n") - 1)

    def _count_fields(self, part: str) -> None:
        first, *others = part.split("\n")
        self._delimiters += first.count(self._delimiter)
        self.most_fields = max(self.most_fields, self._delimiters + 1)
        if others:
            counts = [line.count(self._delimiter) for line in others]
            self.most_fields = max(self.most_fields, max(counts) + 1)
            self._delimiters = counts[-1]

    def _grow(self, by: int) -> None:
        self._length += by
        if self._length > LONGEST:
            what = "a quoted value" if self._quoted else "a row"
            raise SourceError(
                "has a first line of more than 1 MB; expected a header. Replace the file"
                if not self.ended
                else f"has {what} of more than 1 MB after line {self.ended:,}; expected less. A quote that is not "
                "closed joins what follows: close it, or shorten the values"
            )
