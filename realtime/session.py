"""One socket's conversation: who is there, what he asked for, what he gets."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from auth.principals import authenticate_token
from baas.kernel.principals import ANONYMOUS, Principal
from baas.kernel.problems import NotFound, Problem, TooMany
from baas.kernel.projects import ProjectConfig, by_slug
from documents.access import Caller
from realtime import frames, metrics
from realtime.frames import Auth, Frame, FrameError, Ping, Subscribe, Unsubscribe
from realtime.hub import Hub
from realtime.outbox import Outbox
from realtime.resolve import resolve
from realtime.tokens import Token
from realtime.view import View

logger = logging.getLogger(__name__)

MAX_SUBSCRIPTIONS: Final = 100


class Subscription:
    """A watcher of a view, a stream of an outbox."""

    def __init__(self, name: str, frame: Subscribe, view: View, outbox: Outbox) -> None:
        self.name = name
        self.frame = frame
        self.view = view
        self.is_behind = False
        self._outbox = outbox
        self._waiting: asyncio.Task[None] | None = None

    def changed(self, frame: str) -> None:
        self._outbox.push_change(self, frame)

    def catch_up(self) -> list[str] | None:
        if self.view.is_ready:
            return [frames.reset(self.name), self.view.snapshot(self.name)]
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._retry_when_ready())
        return None

    def end(self) -> None:
        """No frame of it is sent any more."""
        self.view.watchers.discard(self)
        self._outbox.drop(self)
        if self._waiting is not None:
            self._waiting.cancel()

    async def _retry_when_ready(self) -> None:
        try:
            await self.view.ready()
        except Problem as problem:
            logger.warning("a subscription waits for its snapshot: %s", problem)
            await asyncio.sleep(1)
        self._waiting = None
        self._outbox.retry(self)


class Session:
    """What a socket may do is decided here; how bytes travel is the consumer's."""

    def __init__(
        self,
        *,
        hub: Hub,
        project: ProjectConfig,
        client_ip: str,
        request_id: str,
        outbox: Outbox,
        end: Callable[[int, str], None],
    ) -> None:
        self.project = project
        self.principal: Principal = ANONYMOUS
        self.token: str | None = None
        self.checked_at = 0.0  # monotonic; when the token was last found good
        self.outbox = outbox
        self.subscriptions: dict[str, Subscription] = {}
        self.is_closed = False
        self._hub = hub
        self._client_ip = client_ip
        self._request_id = request_id
        self._end = end  # closes the socket with a code and a reason
        self._made = 0
        # Frames and what the server finds out by itself change subscriptions one after another.
        self._lock = asyncio.Lock()

    async def sign_in(self, token: str | None) -> None:
        """Raises Unauthenticated `invalid_token`; then nothing has changed."""
        principal = await self._hub.pool.run(authenticate_token, token, self.project)
        self.token, self.principal = token, principal

    async def handle(self, text: str) -> None:
        """Answer one frame. Never raises for what a client may have done wrong."""
        await self.outbox.room()
        if self.is_closed:
            return
        async with self._lock:
            try:
                frame = frames.parse(text)
            except FrameError as error:
                self._refuse(error.re, error.problem)
                return
            try:
                await self._answer(frame)
            except Problem as problem:
                self._refuse(frame.id, problem)

    def close(self) -> None:
        """The socket is gone."""
        self.is_closed = True
        self.outbox.close()
        for subscription in list(self.subscriptions.values()):
            self._remove(subscription)

    def end(self, code: int, reason: str) -> None:
        """Close the socket from our side."""
        self.close()
        self._end(code, reason)

    async def revise(self, principal: Principal | None = None) -> None:
        """Let every subscription be what it would be if it were made now.

        For a change of the rules, and (given) of the caller.
        """
        async with self._lock:
            if principal is not None:
                self.principal = principal
            await self._revise()

    def beat(self) -> None:
        """Say that the connection lives, and how far it is."""
        self.outbox.push(
            frames.heartbeat(
                {
                    name: subscription.view.token()
                    for name, subscription in self.subscriptions.items()
                    if subscription.view.is_ready and not subscription.is_behind
                }
            )
        )

    def _caller(self) -> Caller:
        return Caller(self.project, self.principal, self._client_ip)

    def _refuse(self, re: frames.FrameId | None, problem: Problem) -> None:
        self.outbox.push(frames.refusal(re, problem, self._request_id))

    async def _answer(self, frame: Frame) -> None:
        match frame:
            case Ping():
                self.outbox.push(frames.ok(frame.id))
            case Auth():
                await self.sign_in(frame.token)
                await self._revise()
                self.outbox.push(frames.ok(frame.id))
            case Subscribe():
                await self._subscribe(frame)
            case Unsubscribe():
                subscription = self.subscriptions.get(frame.sub)
                if subscription is None:
                    raise NotFound(
                        "There is no such subscription on this socket.",
                        code="subscription_not_found",
                    )
                self._remove(subscription)
                self.outbox.push(frames.ok(frame.id))

    async def _subscribe(self, frame: Subscribe) -> None:
        if len(self.subscriptions) >= MAX_SUBSCRIPTIONS:
            raise TooMany(
                f"A socket may have {MAX_SUBSCRIPTIONS} subscriptions: end some, or open another.",
                code="too_many_subscriptions",
            )
        query = await self._hub.pool.run(resolve, self._caller(), frame)
        token = Token.decode(frame.since) if frame.since is not None else None
        past = await self._hub.past(query, token) if token is not None else None
        view = await self._hub.acquire(query)
        if self.is_closed:
            self._hub.release(view)
            return
        # From here on without a pause: the frame and the view it begins with belong together.
        self._made += 1
        name = f"s{self._made}"
        subscription = Subscription(name, frame, view, self.outbox)
        self.subscriptions[name] = subscription
        view.watchers.add(subscription)
        metrics.SUBSCRIPTIONS.inc()
        self.outbox.push(frames.ok(frame.id, sub=name))
        if past is not None:
            subscription.changed(view.change_since(name, past))
            return
        if frame.since is not None:
            metrics.RESETS.labels("history").inc()
            subscription.changed(frames.reset(name))
        subscription.changed(view.snapshot(name))

    async def _revise(self) -> None:
        for subscription in list(self.subscriptions.values()):
            try:
                await self._revise_one(subscription)
            except Problem as problem:
                if problem.status >= 500:
                    logger.warning("a subscription is revised later: %s", problem)
                    continue
                self._remove(subscription)
                self.outbox.push(frames.closed(subscription.name, problem, self._request_id))

    async def _revise_one(self, subscription: Subscription) -> None:
        query = await self._hub.pool.run(resolve, self._caller(), subscription.frame)
        if query.key == subscription.view.query.key or self.is_closed:
            return
        view = await self._hub.acquire(query)
        if self.is_closed:
            self._hub.release(view)
            return
        subscription.view.watchers.discard(subscription)
        self._hub.release(subscription.view)
        subscription.view = view
        view.watchers.add(subscription)
        metrics.RESETS.labels("revised").inc()
        self.outbox.push_behind(subscription)

    def _remove(self, subscription: Subscription) -> None:
        del self.subscriptions[subscription.name]
        subscription.end()
        self._hub.release(subscription.view)
        metrics.SUBSCRIPTIONS.dec()


def check(session_project: ProjectConfig, token: str | None) -> Principal:
    """Who holds the token now. Blocks. Raises NotFound when the project is gone."""
    project = by_slug(session_project.slug)
    if project.id != session_project.id:
        raise NotFound("The project was replaced by another.", code="project_not_found")
    return authenticate_token(token, project)
