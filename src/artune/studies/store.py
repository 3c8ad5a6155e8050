"""The store: a folder of results (``artune.studies.entries``), open for more.

A folder of results only ever grows. A picture is written whole, then one transaction of the database holds its row and
its values. So a kill at any moment loses at most the picture that was being kept: a file without its row counts for
nothing, and is replaced when the picture is made again. One process at a time writes; others may read meanwhile.
"""

import json
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from io import FileIO
from itertools import islice
from pathlib import Path
from sys import intern
from typing import Any, Self, TypeVar

from immutabledict import immutabledict
from pydantic import BaseModel, ValidationError

from artune.errors import InputError, OutputError
from artune.files import expanded, temporary_files, write
from artune.record import Record
from artune.spec.study import RunSpec
from artune.studies.entries import DATABASE, LOCK, PICTURES, Entry, Failure, Measured, Values, picture_file
from artune.studies.keys import differences

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

LAYOUT = 1
"""Number of the database's layout (``PRAGMA user_version``)."""
JOURNAL = "records.jsonl"
"""A file that folders of earlier versions hold."""
BATCH = 500
"""Number of keys that are looked up at once."""
PATIENCE = 30.0
"""Seconds that the database waits for another process to release it."""
NOTHING: Mapping[str, Any] = immutabledict()
"""The detail of values that have none: one for all of them."""
PAGE = 8192
"""Bytes of a page of the database. A row of a run takes 2 to 3 KB: of smaller pages a third would be empty."""
TABLES = (
    "CREATE TABLE runs (key TEXT PRIMARY KEY, failed TEXT NOT NULL, bytes INTEGER, run TEXT NOT NULL, record TEXT)",
    'CREATE TABLE measured (key TEXT, measure TEXT, "by" TEXT, value REAL, detail TEXT NOT NULL, '
    'PRIMARY KEY (key, measure, "by")) WITHOUT ROWID',
    "CREATE TABLE study (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID",
    f"PRAGMA user_version = {LAYOUT}",
)
"""Small columns come first: to read them, SQLite does not follow the long texts behind them."""


@dataclass(frozen=True)
class Store:
    """A folder of results, open for more, or for reading (``open_for_reading``).

    Attributes:
        folder: the folder.
        database: the connection to its database.
    """

    folder: Path
    database: sqlite3.Connection

    @classmethod
    @contextmanager
    def open(cls, folder: Path, title: str = "") -> Iterator[Self]:
        """Open a folder; make it if it is missing, and remove what a killed process left in it.

        Args:
            folder: new, empty, or with results of the same study.
            title: of the study.

        Raises:
            OutputError: it cannot be written, holds something else or the results of another study, or another process
                is writing to it.
            InputError: its database is damaged, or of another version.
        """
        folder = expanded(folder)
        check_folder(folder)
        with ExitStack() as stack:
            try:
                (folder / PICTURES).mkdir(parents=True, exist_ok=True)
                _lock(stack.enter_context(FileIO(folder / LOCK, "a")), folder)
                _tidy(folder)
            except OSError as error:
                raise _refused(folder, error) from error
            with _in_words(folder):
                database = stack.enter_context(closing(_connected(folder / DATABASE)))
                database.execute(f"PRAGMA page_size = {PAGE}")  # of a new database
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = FULL")
                store = cls(folder, database)
                store._prepare()
                store._take_title(title)
            yield store

    # ------------------------------------------------------------------------------------------- what is there

    def finished(self, key: str) -> bool:
        """Whether a picture is there as a whole; one that failed, is gone or was cut short is made again.

        A run that left no picture is finished when its record is there.
        """
        return not self.missing({key: None})

    def missing(self, runs: Mapping[str, T]) -> dict[str, T]:
        """The runs that are not finished, in their order."""
        found: dict[str, int | None] = {}
        for row in self._rows("SELECT key, bytes FROM runs WHERE record IS NOT NULL AND key IN", runs):
            found[row[0]] = row[1]
        return {key: run for key, run in runs.items() if key not in found or not self._is_whole(key, found[key])}

    def entries(self, keys: Iterable[str] | None = None) -> Iterator[Entry]:
        """The entries of runs, finished or failed; those that are there, in the order of the keys.

        Args:
            keys: of the runs; default: all, in the order in which they were first kept.
        """
        columns = "SELECT key, failed, run, record FROM runs"
        if keys is None:
            yield from map(_entry, self._select(f"{columns} ORDER BY rowid"))
            return
        for some in _batches(keys):
            rows = {row[0]: row for row in self._rows(f"{columns} WHERE key IN", some)}
            yield from (_entry(rows[key]) for key in some if key in rows)

    def values(self, keys: Iterable[str] | None = None) -> dict[str, list[tuple[str, Measured]]]:
        """What was measured: of each picture that has values, the names of measures with their values.

        Args:
            keys: of the pictures; default: all.
        """
        columns = 'SELECT key, measure, "by", value, detail FROM measured'
        rows = self._select(columns) if keys is None else self._rows(f"{columns} WHERE key IN", keys)
        found: dict[str, list[tuple[str, Measured]]] = {}
        for key, measure, by, value, detail in rows:
            more = json.loads(detail) if detail else NOTHING
            measured = Measured(math.nan if value is None else value, intern(by), more)
            found.setdefault(key, []).append((intern(measure), measured))
        return found

    def measured(self, wanted: Mapping[str, str]) -> set[str]:
        """The keys of all pictures on which several measures were taken.

        Args:
            wanted: what measured them, by the name of the measure.
        """
        either = " OR ".join(['(measure = ? AND "by" = ?)'] * len(wanted))
        query = f"SELECT key FROM measured WHERE {either} GROUP BY key HAVING count(*) = {len(wanted)}"
        return {row[0] for row in self._select(query, [text for pair in wanted.items() for text in pair])}

    def seconds(self, keys: Iterable[str]) -> float:
        """Time of some runs together, s."""
        query = "SELECT json_extract(record, '$.timings.total') FROM runs WHERE record IS NOT NULL AND key IN"
        return float(sum(row[0] or 0.0 for row in self._rows(query, keys)))

    def failures(self, keys: Iterable[str]) -> list[Failure]:
        """Why pictures failed, by reason."""
        runs: dict[str, list[RunSpec]] = {}
        for reason, run in self._rows("SELECT failed, run FROM runs WHERE record IS NULL AND key IN", keys):
            runs.setdefault(reason, []).append(_parsed(RunSpec, run))
        return [Failure(reason, tuple(those)) for reason, those in runs.items()]

    def picture(self, key: str) -> Path:
        """The file of a picture."""
        return picture_file(self.folder, key)

    @property
    def title(self) -> str:
        """The title of the study."""
        return self._text("title")

    @property
    def study(self) -> str:
        """The study as it was last run, as text; empty if none was kept."""
        return self._text("study")

    def check_settings(self, asked: Mapping[str, str]) -> None:
        """Raise unless the finished pictures were made with the settings that are asked for.

        Args:
            asked: what ``artune.studies.keys.settings`` returns.

        Raises:
            InputError: naming what differs.
        """
        query = "SELECT key, failed, run, record, bytes FROM runs WHERE record IS NOT NULL ORDER BY rowid"
        rows = (row for row in self._select(query) if self._is_whole(row[0], row[4]))
        if (first := next(rows, None)) is None:
            return  # one stands for all: each was checked when it was to be made
        if names := differences([_entry(first[:4]).settings, asked]):
            raise InputError(
                f"{self.folder} holds pictures of another study, which differ in {', '.join(names)}; choose a new "
                "folder"
            )

    # ------------------------------------------------------------------------------------------- what is kept

    def add(self, entry: Entry, picture: bytes | None = None, values: Values = {}) -> None:  # noqa: B006  (not changed)
        """Keep a run: the file of its picture, then in one transaction its entry and its values.

        Values of a picture that was there before are removed.

        Args:
            entry: of the run.
            picture: a PNG file; ``None`` for a run that failed or leaves no picture.
            values: what was measured on it.

        Raises:
            OutputError: no permission, no space; what was kept before stays.
        """
        record = None if entry.record is None else entry.record.model_dump_json()
        size = None if picture is None else len(picture)
        row = entry.key, entry.failed, size, entry.run.model_dump_json(), record
        if picture is not None:
            write(self.picture(entry.key), picture)
        with self._transaction():
            if picture is not None:
                self.database.execute("DELETE FROM measured WHERE key = ?", (entry.key,))
            self.database.execute(
                "INSERT INTO runs (key, failed, bytes, run, record) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE "
                "SET failed = excluded.failed, bytes = excluded.bytes, run = excluded.run, record = excluded.record",
                row,
            )
            self._insert({entry.key: values})

    def add_values(self, key: str, values: Values) -> None:
        """Keep what was measured on a picture; a value by the same measure and the same ``by`` is replaced.

        Raises:
            OutputError: no space.
        """
        self.add_all_values({key: values})

    def add_all_values(self, values: Mapping[str, Values]) -> None:
        """Keep what was measured on several pictures, by their keys, in one transaction.

        Raises:
            OutputError: no space.
        """
        with self._transaction():
            self._insert(values)

    def keep_study(self, text: str) -> None:
        """Keep the text of the study.

        Raises:
            OutputError: no space.
        """
        with self._transaction():
            self._keep_text("study", text)

    # ------------------------------------------------------------------------------------------- the database

    def _prepare(self) -> None:
        """Make the tables of a new database; raise for one of another layout."""
        (version,) = self.database.execute("PRAGMA user_version").fetchone()
        if version == LAYOUT:
            return
        if version or self.database.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise _other_layout(self.folder, version)
        with self._transaction():
            for statement in TABLES:
                self.database.execute(statement)

    def check_title(self, title: str) -> None:
        """Raise if there are results of a study with another title.

        Raises:
            OutputError: there are.
        """
        if title == self.title:
            return
        if any(self.database.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in ("runs", "measured")):
            there = f"the study {self.title!r}" if self.title else "a study without a title"
            asked = f"{title!r}" if title else "one without a title"
            raise OutputError(f"{self.folder} holds results of {there}, not of {asked}; choose a new folder")

    def _take_title(self, title: str) -> None:
        """Keep the title of a study."""
        self.check_title(title)
        if title != self.title:
            with self._transaction():
                self._keep_text("title", title)

    def _text(self, name: str) -> str:
        rows = [*self._select("SELECT text FROM study WHERE name = ?", (name,))]
        return str(rows[0][0]) if rows else ""

    def _keep_text(self, name: str, text: str) -> None:
        self.database.execute("INSERT OR REPLACE INTO study VALUES (?, ?)", (name, text))

    def _insert(self, values: Mapping[str, Values]) -> None:
        self.database.executemany(
            "INSERT OR REPLACE INTO measured VALUES (?, ?, ?, ?, ?)",
            [
                (key, measure, each.by, each.value, json.dumps(dict(each.detail)) if each.detail else "")
                for key, own in values.items()
                for measure, each in own.items()
            ],
        )

    def _is_whole(self, key: str, size: int | None) -> bool:
        """Whether the file of a picture has the size that it was written with; ``None``: there is no picture."""
        try:
            return size is None or os.stat(f"{self.folder}/{PICTURES}/{key[:2]}/{key}.png").st_size == size
        except OSError:
            return False

    def _rows(self, query: str, keys: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        """The rows of a query that ends in ``key IN``, for some keys at a time."""
        for some in _batches(keys):
            yield from self._select(f"{query} ({', '.join('?' * len(some))})", some)

    def _select(self, query: str, parameters: Iterable[str] = ()) -> Iterator[tuple[Any, ...]]:
        with _in_words(self.folder):
            for row in self.database.execute(query, tuple(parameters)):  # noqa: UP028  (it would close a closed cursor)
                yield row

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that the block changes, or nothing of it."""
        with _in_words(self.folder):
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.database.execute("COMMIT")
            except BaseException:
                if self.database.in_transaction:  # SQLite ends some that fail by itself
                    self.database.execute("ROLLBACK")
                raise


@contextmanager
def open_for_reading(folder: Path) -> Iterator[Store]:
    """Open a folder of results to read it, also while another process writes to it.

    Raises:
        InputError: there are no results in it, its database is damaged, or it is of another version.
    """
    folder = expanded(folder)
    file = folder / DATABASE
    if not file.is_file():
        why = f": {JOURNAL} is of an earlier version of artune" if (folder / JOURNAL).exists() else ""
        raise InputError(f"there are no results in {folder}{why}; give a folder that a study was written to")
    with ExitStack() as stack:
        try:
            database, version = _opened(file, "mode=rw", stack)  # SQLite makes files beside it to read it
        except OutputError as error:
            waiting = Path(f"{file}-wal")  # changes that are not in the database yet
            if waiting.exists() and waiting.stat().st_size:
                raise InputError(
                    f"the results in {folder} cannot be read, as nothing can be written there ({error.__cause__}); "
                    "copy the folder to another place"
                ) from error
            database, version = _opened(file, "immutable=1", stack)
        if version != LAYOUT:
            raise _other_layout(folder, version)
        yield Store(folder, database)


def _opened(file: Path, options: str, stack: ExitStack) -> tuple[sqlite3.Connection, int]:
    """A database to be read, until the stack is closed; and the number of its layout."""
    with _in_words(file.parent):
        database = stack.enter_context(closing(_connected(file, options)))
        database.execute("PRAGMA query_only = 1")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        return database, version


def _connected(file: Path, options: str = "mode=rwc") -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?{options}", PATIENCE, isolation_level=None, uri=True)


def _entry(row: tuple[Any, ...]) -> Entry:
    key, failed, run, record = row
    parsed = None if record is None else _parsed(Record, record)
    return Entry(key=key, run=_parsed(RunSpec, run), record=parsed, failed=failed)


def _parsed(kind: type[M], text: str) -> M:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise InputError(
            f"the database of the study holds a {kind.__name__} that this version of artune cannot read ({error}); "
            "choose a new folder"
        ) from error


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while some := list(islice(rest, BATCH)):
        yield some


def check_folder(folder: Path) -> None:
    """Raise unless a folder is new, is empty, or holds results.

    Raises:
        OutputError: naming what is there instead.
    """
    folder = expanded(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is not a folder; choose another place")
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if DATABASE in there:
        return
    if JOURNAL in there:
        raise OutputError(
            f"{folder} holds results of an earlier version of artune ({JOURNAL}), which this one does not continue; "
            "choose a new folder"
        )
    if others := [name for name in there if name not in (LOCK, PICTURES)]:
        raise OutputError(f"{folder} holds other files ({others[0]}) and no results of a study; choose a new folder")


def _tidy(folder: Path) -> None:
    """Remove the temporary files that a killed process left."""
    for place in (folder, *(path for path in (folder / PICTURES).iterdir() if path.is_dir())):
        for path in temporary_files(place):
            path.unlink()


def _lock(file: FileIO, folder: Path) -> None:
    """Lock a file for this process until it is closed, where the system can."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(f"another process is writing to {folder}; wait for its end, or choose another one") from error


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    """Errors of the database, as errors that say what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if type(error) not in (sqlite3.DatabaseError, sqlite3.OperationalError):
            raise
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_BUSY"):
            raise OutputError(f"another process is writing to {folder}; wait for its end") from error
        if isinstance(error, sqlite3.OperationalError) and not name.startswith("SQLITE_CORRUPT"):
            raise OutputError(f"cannot write {folder}: {error}; free some space or choose another place") from error
        raise InputError(
            f"{folder / DATABASE} is damaged ({error}); put a copy of it there, or choose a new folder"
        ) from error


def _other_layout(folder: Path, version: int) -> InputError:
    return InputError(
        f"{folder / DATABASE} is of another version of artune (layout {version}, needed: {LAYOUT}); choose a new folder"
    )


def _refused(folder: Path, error: OSError) -> OutputError:
    if isinstance(error, OutputError):
        return error
    return OutputError(f"cannot write {folder}: {error.strerror or error}; free some space or choose another place")
