"""The words of the command line.

argparse and not a larger library: cyclopts costs 180 ms at each start, which is a third of what a
pass without changes takes. No command is imported before it is called, and only its own part of
the words is made: all of them take 12 ms.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Sub: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 -- argparse names the type so


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, and where to read on."""

    def error(self, message: str) -> NoReturn:
        """Print the sentence and leave with 2."""
        print(f"{message[:1].lower()}{message[1:]}\n  see  {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=100)


def make_parser(first: str = "") -> Parser:
    """Return the whole command line, or the part that has the command `first`.

    `args.run` names what to call (`module:function`), `args.needs_database` tells whether it
    works on the hub's database, brought up to date.
    """
    parser = Parser(
        prog="truckroll",
        description=(
            "Keeps field-service records in step between systems.\n\n"
            "Start with  truckroll demo  or  truckroll init."
        ),
        epilog="Exit codes: 0 fine, 1 something is held or failed, 2 wrong call, 3 a brake stopped"
        " the run.",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    _common(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for part in [one for words, one in _PARTS if first in words] or [one for _, one in _PARTS]:
        part(commands)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415 -- one use

        parser.exit(message=f"truckroll {version('truckroll')}\n")


def _common(parser: argparse.ArgumentParser) -> None:
    """Let the common options stand before and after the command alike."""
    parser.add_argument(
        "--home",
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="the hub's home (TRUCKROLL_HOME, else ~/.truckroll)",
    )
    parser.add_argument(
        "--tenant",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="whose records, where several companies share the hub (TRUCKROLL_TENANT, else the"
        " first)",
    )
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for programs"
    )


def _command(
    commands: Sub, name: str, run: str, says: str, *, needs_database: bool = True
) -> Parser:
    parser: Parser = commands.add_parser(
        name, help=says, description=_sentence(says), formatter_class=_Help
    )
    _common(parser)
    parser.set_defaults(run=run, needs_database=needs_database)
    return parser


def _group(commands: Sub, name: str, says: str) -> Sub:
    parser: Parser = commands.add_parser(
        name, help=says, description=_sentence(says), formatter_class=_Help
    )
    return parser.add_subparsers(metavar="COMMAND", required=True, title="commands")


def _sentence(says: str) -> str:
    return f"{says[:1].upper()}{says[1:]}."


def _recipe_option(parser: Parser) -> None:
    parser.add_argument(
        "--recipe", default="", metavar="NAME", help="the recipe, where several are installed"
    )


def _home(commands: Sub) -> None:
    _command(commands, "init", "checks:init", "make a directory the hub's home")
    demo = _command(
        commands,
        "demo",
        "demo.command:demo",
        "show everything with two sample companies, on this machine alone",
        needs_database=False,
    )
    demo.add_argument(
        "--keep", action="store_true", help="leave calendars and vendors up at the end"
    )
    says = "serve simulated systems, to try without an account"
    sim = _command(commands, "sim", "sim:sim", says, needs_database=False)
    sim.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (else a free one)")


def _accounts(commands: Sub) -> None:
    group = _group(commands, "account", "the systems that the hub is signed in to")
    add = _command(group, "add", "accounts:add", "sign in to a system and keep the sign-in")
    add.add_argument("name", help="what you call it")
    add.add_argument(
        "--system", required=True, help="as caldav or servicetitan; a wrong one names all"
    )
    add.add_argument("--url", help="address of the server or feed")
    add.add_argument("--user", help="user name")
    _password(add)
    add.add_argument("--path", help="path of a table")
    add.add_argument("--sheet", help="sheet of a workbook")
    add.add_argument("--zone", default="", help="IANA zone of its times, as America/New_York")
    add.add_argument(
        "--private", choices=("yes", "no"), help="whether it may stand in your own house or network"
    )
    _set_option(add, "another setting of the system")
    _command(group, "list", "accounts:listed", "show the accounts")
    test = _command(group, "test", "accounts:test", "sign in again and look for new parts")
    test.add_argument("name")
    says = "give a new password, or a consent in the browser"
    again = _command(group, "sign-in", "sign_in:sign_in", says)
    again.add_argument("name")
    _password(again)
    _set_option(again, "another secret of the system")
    remove = _command(group, "remove", "accounts:remove", "forget an account")
    remove.add_argument("name")


def _password(parser: Parser) -> None:
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument("--password", help="password (others may see it in the shell's history)")
    secret.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )


def _set_option(parser: Parser, says: str) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help=says
    )


def _recipes(commands: Sub) -> None:
    group = _group(commands, "recipe", "what is kept in step, and how")
    _command(group, "list", "recipes:listed", "show shipped and installed recipes")
    show = _command(group, "show", "recipes:show", "show a recipe with its choices")
    show.add_argument("name")
    check = _command(
        group, "check", "recipes:check", "look for slips in a recipe", needs_database=False
    )
    check.add_argument("name", help="a file, or a shipped recipe")
    install = _command(group, "install", "recipes:install", "install a recipe, or a new version")
    install.add_argument("name", help="a shipped recipe, or a file")
    install.add_argument("--from", required=True, dest="source", metavar="ACCOUNT[/PART]")
    install.add_argument("--to", required=True, dest="target", metavar="ACCOUNT[/PART]")
    install.add_argument(
        "--zone", default="", help="the company's IANA zone (else that of the source account)"
    )
    _set_option(install, "a choice")
    choose = _command(group, "set", "recipes:choose", "change choices of an installed recipe")
    choose.add_argument("name")
    choose.add_argument("choices", nargs="+", metavar="KEY=VALUE")
    history = _command(group, "history", "recipes:history", "show the versions of a recipe")
    history.add_argument("name")
    rollback = _command(group, "rollback", "recipes:rollback", "install an earlier version again")
    rollback.add_argument("name")
    rollback.add_argument("version", type=int)
    for word, says in (
        ("pause", "write nothing of a recipe for now; it is read as before"),
        ("resume", "let a paused recipe go on where it stood"),
    ):
        _command(group, word, f"recipes:{word}", says).add_argument("name")
    remove = _command(group, "remove", "recipes:remove", "stop a recipe; what it made stays")
    remove.add_argument("name")


def _people(commands: Sub) -> None:
    group = _group(commands, "people", "whose calendar is whose")
    _recipe_option(_command(group, "list", "people:listed", "show who is known and who is not"))
    suggest = _command(group, "suggest", "people:suggest", "suggest calendars for people")
    suggest.add_argument("--take-sure", action="store_true", help="confirm those that are sure")
    _recipe_option(suggest)
    map_ = _command(group, "map", "people:map_", "say whose calendar it is")
    map_.add_argument("person")
    map_.add_argument("calendar", metavar="ACCOUNT/CALENDAR", help="or the owner's mail address")
    _recipe_option(map_)
    unmap = _command(group, "unmap", "people:unmap", "take a person out of the map")
    unmap.add_argument("person")
    _recipe_option(unmap)


def _passes(commands: Sub) -> None:
    plan = _command(commands, "plan", "passes:plan", "say what would be written; writes nothing")
    plan.add_argument("recipe", nargs="?", default="")
    plan.add_argument("--all", action="store_true", help="show every line")
    apply = _command(commands, "apply", "passes:apply", "do what plan says")
    apply.add_argument("recipe", nargs="?", default="")
    apply.add_argument("--all", action="store_true", help="show every line")
    apply.add_argument(
        "--these-deletes-are-right",
        type=int,
        default=0,
        metavar="N",
        dest="confirmed",
        help="answer a brake: so many removals or changes are right",
    )
    apply.add_argument("--every", default="", metavar="5m", help="again and again, until a signal")
    undo = _command(commands, "undo", "passes:undo", "take back what a run did")
    undo.add_argument("number", type=int, metavar="RUN")
    runs = _command(commands, "runs", "passes:runs", "show the latest runs")
    runs.add_argument("--limit", type=int, default=20)


def _records(commands: Sub) -> None:
    why = _command(commands, "why", "records:why", "tell the story of a record")
    why.add_argument("ref", help="its number, or a part of its title")
    why.add_argument("--all", action="store_true", help="the whole story")
    holds = _command(commands, "holds", "records:holds", "show what waits, or answer it")
    answers = holds.add_mutually_exclusive_group()
    for word, says in (
        ("accept", "what stands there now is right"),
        ("restore", "put it back as it was"),
        ("keep", "let it stay, there alone"),
        ("retry", "try it again"),
    ):
        answers.add_argument(f"--{word}", metavar="REF", help=says)
    says = "try again all that was refused, or that Truckroll stumbled over"
    answers.add_argument("--retry-all", action="store_true", help=says)
    holds.add_argument("--field", default="", help="answer for this field alone")
    _recipe_option(holds)
    conflicts = _command(commands, "conflicts", "records:conflicts", "show who is booked twice")
    conflicts.add_argument("--days", type=int, default=30, help="how far to look ahead (30)")
    _recipe_option(conflicts)


def _follow(commands: Sub) -> None:
    says = "what a cancelled, shorter or delayed visit asks for, and doing it"
    follow = _command(commands, "follow", "follow:follow", says)
    _recipe_option(follow)
    acts = follow.add_subparsers(metavar="COMMAND", title="commands")
    take = _command(acts, "take", "follow:take", "do what an offer says, in one run")
    take.add_argument("offer", metavar="CODE", help="as  truckroll follow  names it")
    take.add_argument(
        "--plan", action="store_true", help="say what would be written; write nothing"
    )
    _recipe_option(take)


def _checks(commands: Sub) -> None:
    inspect = _command(
        commands,
        "inspect",
        "checks:inspect",
        "show what is understood of an iCalendar file",
        needs_database=False,
    )
    inspect.add_argument("file")
    inspect.add_argument("--from", dest="start", metavar="DATE", help="first day (today)")
    inspect.add_argument("--to", dest="end", metavar="DATE", help="the day after the last (+90)")
    inspect.add_argument("--zone", default="", help="IANA zone of times that name none")
    _command(commands, "doctor", "checks:doctor", "check that everything works")


def _up(commands: Sub) -> None:
    up = _command(commands, "up", "up:up", "keep everything in step by itself, until a signal")
    up.add_argument(
        "--role",
        choices=("all", "web", "worker"),
        default="all",
        help="what this process does, where several share the database TRUCKROLL_DATABASE (all)",
    )
    says = "where the API and the door for pushes listen (TRUCKROLL_LISTEN, else 127.0.0.1:8460)"
    up.add_argument("--listen", default="", metavar="HOST:PORT", help=says)
    says = "the hub's public address, to which systems send pushes (TRUCKROLL_URL)"
    up.add_argument("--url", default="", metavar="https://…", help=says)


def _timetable(commands: Sub) -> None:
    now = _command(commands, "now", "timetable:now", "let what is up read everything now")
    now.add_argument("recipe", nargs="?", default="")
    now.add_argument("--complete", action="store_true", help="read completely, not from a cursor")
    group = _group(commands, "timetable", "what the clock lets happen")
    _command(group, "list", "timetable:listed", "show the timetable")
    put = _command(group, "set", "timetable:put", "add a row")
    when = put.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", metavar="SPEC", help="five fields, as '0 6 * * mon-fri'")
    when.add_argument("--minutes", metavar="LIST", help="minutes of every hour, as 3,18,33,48")
    when.add_argument("--shift", metavar="SPEC", help="a shift's start, as 'mon-fri 07:30'")
    put.add_argument("--person", default="", help="the technician whose shift it is")
    put.add_argument("--zone", default="", help="IANA zone (else the company's)")
    put.add_argument("--complete", action="store_true", help="read completely: a reconcile")
    _recipe_option(put)
    remove = _command(group, "remove", "timetable:remove", "take a row out")
    remove.add_argument("row", type=int)
    every = _command(group, "every", "timetable:every", "say how often an account is read at least")
    every.add_argument("account")
    every.add_argument("often", metavar="5m", help="as 30s, 5m or 1h; or: usual")


def _subscriptions(commands: Sub) -> None:
    group = _group(commands, "subscriptions", "which systems tell of changes by themselves")
    show = _command(group, "list", "subscriptions:listed", "show them, and what came")
    show.add_argument("account", nargs="?", default="")
    renew = _command(group, "renew", "subscriptions:renew", "make them anew")
    renew.add_argument("account", nargs="?", default="", help="of one account (else all)")
    stop = _command(group, "stop", "subscriptions:stop", "stop those of an account")
    stop.add_argument("account")
    add = _command(group, "add", "subscriptions:add", "give out what is set up by hand")
    add.add_argument("account")
    add.add_argument(
        "--secret-stdin", action="store_true", help="read the system's secret from standard input"
    )
    for one in (show, renew, add):
        one.add_argument("--url", default="", help="the hub's public address (TRUCKROLL_URL)")


def _rights(commands: Sub) -> None:
    group = _group(commands, "tenant", "companies that share the hub and see nothing of each other")
    _command(group, "list", "tenants:listed", "show the tenants")
    for name, says in (("add", "add a tenant"), ("rename", "give the tenant another name")):
        _command(group, name, f"tenants:{name}", says).add_argument("name")
    remove = _command(group, "remove", "tenants:remove", "remove a tenant and all that it has here")
    remove.add_argument("name")
    remove.add_argument("--yes", default="", metavar="NAME", help="the name again, to be sure")
    group = _group(commands, "member", "who may work with the hub, and what they may do")
    _command(group, "list", "members:listed", "show the members")
    for name, says in (("add", "add a member"), ("set", "say anew what a member may do")):
        one = _command(group, name, f"members:{name}", says)
        one.add_argument("name")
        one.add_argument("--may", action="append", required=True, metavar="PRESET", dest="presets")
        if name == "add":
            one.add_argument("--mail", default="")
            one.add_argument("--person", default="", help="whom they are in the people map")
    _command(group, "remove", "members:remove", "remove a member").add_argument("name")
    group = _group(commands, "token", "what programs sign in to the hub's API with")
    _command(group, "list", "tokens:listed", "show the tokens; never a secret")
    create = _command(group, "create", "tokens:create", "make a token; it is shown once")
    create.add_argument("name", help="what you call it")
    create.add_argument("--member", required=True, help="whose rights it has, at most")
    create.add_argument("--scope", action="append", default=[], metavar="RIGHT", dest="scopes")
    create.add_argument("--days", type=int, default=0, help="how long it lives (for ever)")
    create.add_argument("--also", action="append", default=[], metavar="TENANT")
    _command(group, "revoke", "tokens:revoke", "end a token").add_argument("token", type=int)
    audit = _command(commands, "audit", "members:audit", "show who did what")
    audit.add_argument("word", nargs="?", default="", help="a person, a subject or an act")
    audit.add_argument("--limit", type=int, default=50)


def _keeping(commands: Sub) -> None:
    says = "say or change for how long runs and stories are kept"
    journal = _command(commands, "journal", "backup:journal", says)
    journal.add_argument("--days", type=int, help="keep them for so many days")
    says = "save the hub's database in a file"  # and so before anything of it is brought up to date
    backup = _command(commands, "backup", "backup:backup", says, needs_database=False)
    backup.add_argument("file")
    says = "put a backup back"
    restore = _command(commands, "restore", "backup:restore", says, needs_database=False)
    restore.add_argument("file")
    restore.add_argument(
        "--replace", action="store_true", help="in the place of what this hub has now"
    )
    says = "make the hub's data fit the installed version"
    upgrade = _command(commands, "upgrade", "backup:upgrade", says, needs_database=False)
    upgrade.add_argument(
        "--programs", default="", metavar="DIR", help="where the older PostgreSQL's programs are"
    )
    upgrade.add_argument(
        "--finish", action="store_true", help="the version before will not be used here again"
    )


def _watch(commands: Sub) -> None:
    top = _command(commands, "top", "top:show", "show how fresh everything is, and what waits")
    top.add_argument("--once", action="store_true", help="one glance, then end")
    promise = _command(
        commands, "promise", "top:promise", "say how old an account's reads may grow"
    )
    promise.add_argument("name", help="the account")
    promise.add_argument("length", metavar="15m", help="or: default")
    group = _group(commands, "alerts", "what asks for somebody, and who is told")
    listed = _command(group, "list", "alerts:listed", "show what asks for somebody")
    listed.add_argument("--all", action="store_true", help="what is over as well")
    _command(group, "channels", "alerts:channels", "show over which channels alerts are told")
    add = _command(group, "add", "alerts:add", "tell alerts over mail, Slack or a webhook")
    add.add_argument("name", help="what you call it")
    add.add_argument("kind", help="mail, slack or webhook")
    says = "a setting: host, port, user, from, to, tls, url, private"
    _set_option(add, says)
    says = "read the password, or Slack's address, from standard input"
    add.add_argument("--secret-stdin", action="store_true", help=says)
    _command(group, "test", "alerts:test", "send a test over a channel").add_argument("name")
    _command(group, "remove", "alerts:remove", "remove a channel").add_argument("name")
    silence = _command(group, "silence", "alerts:silence", "tell nobody of an alert for a while")
    silence.add_argument("number", type=int, metavar="ALERT")
    silence.add_argument("--for", dest="length", default="24h", metavar="24h", help="for how long")
    _webhooks(_group(commands, "webhooks", "other programs that hear of events"))


def _webhooks(group: Sub) -> None:
    add = _command(group, "add", "webhooks:add", "let an address hear of events")
    add.add_argument("url")
    says = "a type of event, as record.written; may be given again (else all)"
    add.add_argument("--event", action="append", default=[], metavar="TYPE", help=says)
    says = "whether it may stand in your own network"
    add.add_argument("--private", choices=("yes", "no"), default="no", help=says)
    _command(group, "list", "webhooks:listed", "show the addresses")
    for name, says in (
        ("remove", "forget an address and what waits for it"),
        ("resume", "go on with a paused address"),
        ("test", "deliver a test event now"),
    ):
        one = _command(group, name, f"webhooks:{name}", says)
        one.add_argument("number", type=int, metavar="WEBHOOK")
    log = _command(group, "log", "webhooks:log", "show deliveries and their answers")
    log.add_argument("webhook", type=int, nargs="?", metavar="WEBHOOK")
    log.add_argument("--limit", type=int, default=20)
    again = _command(group, "redeliver", "webhooks:redeliver", "deliver an event once more")
    again.add_argument("number", type=int, metavar="DELIVERY")


def pairs(words: Sequence[str]) -> dict[str, str]:
    """Return KEY=VALUE words as a dict; raises ValueError naming the one that is none.

    The key of a map's row may hold a `=` in its quotation marks: `maps.status."a=b"=done`.
    """
    found = {}
    for word in words:
        row = word.startswith("maps.") and '"=' in word
        at = word.find('"=') + 1 if row else word.find("=")
        if at < 1:
            raise ValueError(word)
        found[word[:at]] = word[at + 1 :]
    return found


_PARTS: tuple[tuple[tuple[str, ...], Callable[[Sub], None]], ...] = (
    (("init", "demo", "sim"), _home),
    (("account",), _accounts),
    (("recipe",), _recipes),
    (("people",), _people),
    (("plan", "apply", "undo", "runs"), _passes),
    (("why", "holds", "conflicts"), _records),
    (("follow",), _follow),
    (("inspect", "doctor"), _checks),
    (("up",), _up),
    (("now", "timetable"), _timetable),
    (("subscriptions",), _subscriptions),
    (("tenant", "member", "token", "audit"), _rights),
    (("journal", "backup", "restore", "upgrade"), _keeping),
    (("top", "promise", "alerts", "webhooks"), _watch),
)
