"""The accounts: what they are allowed, what they do, why they submit nothing; and the buttons pause and resume."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from aiohttp import web

from bide.ledger import AccountName
from bide.ledger.breaker import AccountState
from workers.pages.rows import cut
from workers.pages.site import USER, Site, form_of, redirect

log = structlog.get_logger()

#: The longest reason of a pause [characters].
LONGEST_REASON = 200


@dataclass(frozen=True)
class Account:
    """One account: its breaker and pause, and how many jobs stand where."""

    name: AccountName
    state: AccountState
    counts: dict[str, int]

    @property
    def stands(self) -> str:
        """In one word: `paused`, `open`, `half-open` or `well`."""
        if self.state.paused:
            return "paused"
        if self.state.open_seconds > 0:
            return "open"
        return "half-open" if self.state.failures else "well"


class AccountPages:
    """The pages about accounts."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[web.RouteDef]:
        """The addresses."""
        path = "/accounts/{provider}/{account}/{action:pause|resume}"
        return [web.get("/accounts", self.index), web.get(path, self.ask), web.post(path, self.do)]

    async def index(self, request: web.Request) -> web.Response:
        """All accounts that ever had a job."""
        accounts = await self._site.reads.shared("account states", self._accounts)
        return await self._site.page(request, "accounts.html", live="accounts", accounts=accounts)

    def _accounts(self) -> list[Account]:
        ledger = self._site.ledger.accounts
        return [Account(name, ledger.state(name), ledger.count_clocks(name)) for name in ledger.names()]

    async def ask(self, request: web.Request) -> web.Response:
        """The question before the button."""
        name = await self._name(request)
        [account] = [each for each in await self._site.reads.own(self._accounts) if each.name == name]
        action = request.match_info["action"]
        return await self._site.page(request, "pause.html", action=action, account=account)

    async def do(self, request: web.Request) -> web.Response:
        """Press it: the reason of a pause has the name of the operator."""
        name, action = await self._name(request), request.match_info["action"]
        await self._site.reads.own(self._change, name, action, request[USER], form_of(request).get("reason", ""))
        log.info("pages.account_changed", account=str(name), action=action, by=request[USER])
        return redirect("/accounts")

    def _change(self, name: AccountName, action: str, user: str, reason: str) -> None:
        accounts = self._site.ledger.accounts
        if action == "resume":
            accounts.resume(name)
        else:
            words = cut(reason, LONGEST_REASON) or "no reason given"
            accounts.pause(name, reason=f"{words} ({user})", by="operator")

    async def _name(self, request: web.Request) -> AccountName:
        """An account that has had a job; raises 404."""
        name = AccountName(request.match_info["provider"], request.match_info["account"])
        if name not in await self._site.reads.own(self._site.ledger.accounts.names):
            raise web.HTTPNotFound(text="there is no such account")
        return name
