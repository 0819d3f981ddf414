"""One Lua script as a class: its keys and arguments by name, and the text that Redis runs.

A subclass of `Script` declares a script. It stands in the package of its Lua file, whose name is its own: `PollNow` is
`poll_now.lua`. Each field is a local of the Lua file. Its type says how it is sent, and how Lua reads it:

- `Key`: a key besides the prefix, which is always the first one and in Lua `PREFIX`
- `str`: text; `int`, `float`: a number, or nil for None; `bool`: true or false
- `Sequence[str]`: a list; `Mapping`: a list of names and values by turns; `Sequence` of a named tuple: a list of tables
  with its fields. One of these three may stand as the last field.

A field that is `BOUND` has the name of a field of `Limits` or `Timing`, which `bind` fills it from.

The first line of a Lua file names what it uses of `scripts/include`: `--- include: record clocks`. Only that is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, NewType, dataclass_transform, get_args, get_origin, get_type_hints

from bide.contract import POLL_QUEUE, STORE_QUEUE, SUBMIT_QUEUE
from bide.ledger.kept import in_lua
from bide.ledger.keys import ACCOUNTS_KEY
from bide.ledger.records import RECORD_VERSION, Limits, Timing

#: A key of Redis that a script is given.
Key = NewType("Key", str)

#: The value of a field that `Script.bind` fills.
BOUND: Any = None

#: The include that is no file: names of the contract and of keys, the version of a record, and what is kept of one.
CONSTANTS = f"""\
local VERSION = '{RECORD_VERSION}'
local SUBMIT_QUEUE, STORE_QUEUE, POLL_QUEUE = '{SUBMIT_QUEUE}', '{STORE_QUEUE}', '{POLL_QUEUE}'
local ACCOUNTS = '{ACCOUNTS_KEY}'
{in_lua()}"""

#: What every script is given: the prefix of all keys that it touches, and the time, which is '' outside of tests.
_FIRST = "local PREFIX, TEST_TIME = KEYS[1], tonumber(ARGV[1])\n"

#: A script that may change what a job's purchases cost, however it returns: the book is balanced last.
_BALANCED = """\
local function changes()
{body}end
local reply = changes()
money.balance_changed()
return reply
"""

#: The types of what is sent as one argument; Redis takes neither a flag nor None.
_VALUES = (str, float, int, bool, float | None)
_ENCODED = {None: "", False: 0, True: 1}

_INCLUDE = re.compile(r"--- include: (.+)\n")


@dataclass_transform(kw_only_default=True)
class Script:
    """A call of a Lua script, with its arguments; they may be secret, so that no `repr` shows them."""

    #: Folder and name of the Lua file, such as `job/step` or `bulk/open`.
    path: ClassVar[str]

    #: The type of each field by its name.
    kinds: ClassVar[Mapping[str, Any]]

    #: The names of the fields that are keys, of those that are one argument each, and of the last one if it is a list.
    _keys: ClassVar[tuple[str, ...]]
    _values: ClassVar[tuple[str, ...]]
    _list: ClassVar[str]

    #: The names of the fields that an account's limits fill, and of those that the timing fills.
    _limits: ClassVar[tuple[str, ...]]
    _timing: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls) -> None:
        folder = cls.__module__.removesuffix(".scripts").rpartition(".")[2]
        cls.path = f"{folder}/{re.sub('(?<!^)(?=[A-Z])', '_', cls.__name__).lower()}"
        dataclass(kw_only=True, repr=False, eq=False)(cls)  # frozen, each field would cost as much as sending it
        types = get_type_hints(cls)
        cls.kinds = {name: types[name] for name in cls.__annotations__}
        cls._keys = tuple(name for name, kind in cls.kinds.items() if kind is Key)
        cls._values = tuple(name for name, kind in cls.kinds.items() if kind in _VALUES)
        bound = [name for name in cls.kinds if name in cls.__dict__]
        cls._limits = tuple(field.name for field in fields(Limits) if field.name in bound)
        cls._timing = tuple(field.name for field in fields(Timing) if field.name in bound)
        cls._list = next((name for name in cls.kinds if name not in (*cls._keys, *cls._values)), "")

    @classmethod
    def file(cls) -> str:
        """The text of the Lua file."""
        return (files(cls.__module__) / f"{cls.path.rpartition('/')[2]}.lua").read_text()

    @classmethod
    @cache
    def text(cls) -> str:
        """The whole text that Redis runs: the includes, the locals of keys and arguments, and the file."""
        own = cls.file()
        texts = _with_includes(includes_of(own), {})
        body = "".join([*_locals(cls), own])
        return "".join([_FIRST, *texts.values(), _BALANCED.format(body=body) if "money" in texts else body])

    def bind(self, limits: Callable[[], Limits], timing: Timing) -> None:
        """Fill the fields that are `BOUND`; `limits` is called where the script has one of them."""
        if self._limits:
            allowed = limits()
            self.__dict__.update((name, getattr(allowed, name)) for name in self._limits)
        self.__dict__.update((name, getattr(timing, name)) for name in self._timing)

    @property
    def keys(self) -> list[str]:
        """The keys besides the prefix, in the order of the fields."""
        return [self.__dict__[name] for name in self._keys]

    @property
    def arguments(self) -> list[str | float]:
        """The arguments, in the order of the fields."""
        fields = self.__dict__
        sent: list[Any] = [_sent(fields[name]) for name in self._values]
        if not self._list:
            return sent
        kind, entries = self.kinds[self._list], fields[self._list]
        if row_of(kind):
            return sent + [_sent(each) for row in entries for each in row]
        return sent + (
            [each for pair in entries.items() for each in pair] if get_origin(kind) is Mapping else [*entries]
        )


@cache
def row_of(kind: Any) -> dict[str, Any]:
    """Name and type of each field of the named tuples that a field holds; empty where it holds none."""
    [first, *_] = [*get_args(kind), None]
    return get_type_hints(first) if hasattr(first, "_fields") else {}


def includes_of(text: str) -> list[str]:
    """The includes that the first line of a Lua file names."""
    found = _INCLUDE.match(text)
    return found[1].split() if found else []


@cache
def include(name: str) -> str:
    """The text of one include."""
    if name == "constants":
        return CONSTANTS
    return (files(__package__) / "scripts" / "include" / f"{name}.lua").read_text()


def _with_includes(names: Sequence[str], texts: dict[str, str]) -> dict[str, str]:
    """The text of each include by its name, each one after those that it names itself."""
    for name in names:
        if name not in texts:
            _with_includes(includes_of(include(name)), texts)
            texts[name] = include(name)
    return texts


def _sent(value: Any) -> Any:
    return _ENCODED[value] if value is None or value is True or value is False else value


def _locals(script: type[Script]) -> Iterator[str]:
    keys, place = 1, 1
    for name, kind in script.kinds.items():
        if kind is Key:
            yield f"local {name} = KEYS[{(keys := keys + 1)}]\n"
        elif kind in _VALUES:
            yield f"local {name} = {_read(kind, f'ARGV[{(place := place + 1)}]')}\n"
        else:
            yield _list(name, kind, place + 1)


def _list(name: str, kind: Any, first: int) -> str:
    """A loop that fills the local `name` with all arguments from the place `first` on."""
    row = row_of(kind)
    entries = (f"{field} = {_read(each, f'ARGV[i + {place}]')}" for place, (field, each) in enumerate(row.items()))
    entry = f"{{ {', '.join(entries)} }}" if row else "ARGV[i]"
    return f"local {name} = {{}}\nfor i = {first}, #ARGV, {len(row) or 1} do {name}[#{name} + 1] = {entry} end\n"


def _read(kind: Any, argument: str) -> str:
    if kind is bool:
        return f"{argument} == '1'"
    return argument if kind is str else f"tonumber({argument})"
