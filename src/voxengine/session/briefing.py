"""What a provider is told of the conversation so far: as much as its capabilities and the settings allow.

What does not fit is left out by the rule of `voxengine.conversation.history`. Where the settings name somebody who
writes summaries, one stands for what is left out; it is a note at the head of what is told, and never a part of the
log. It is kept, and used again as long as what came after it fits: so it is made of everything but the latest half of
what may be told, may itself take a quarter, and leaves a quarter for what is yet to come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from voxengine.config import VoiceEngineConfig
from voxengine.conversation import Conversation, Fitted, HistoryBudget, Item, fit, summary_item
from voxengine.conversation.summary import Summariser
from voxengine.events import ProviderEvent, SystemWarning, UsageUpdated
from voxengine.providers.base import BaseProvider
from voxengine.session.ledger import Ledger
from voxengine.session.prices import load, price
from voxengine.session.rates import own_price
from voxengine.session.summary import BrainSummariser, summariser_of

__all__ = ["HURRY", "Briefing"]

#: Seconds that a summary may take at most while the user waits for a connection.
HURRY = 1.0
#: Shares of what may be told: told word for word when a summary is made, and taken by that summary.
_VERBATIM, _SUMMARY = 0.5, 0.25
#: Tokens that a price is asked for.
_SAMPLE = 1000


class _Summary(msgspec.Struct, frozen=True):
    """A summary, and the ids of the items that it stands for."""

    text: str
    ids: frozenset[str]

    @property
    def item(self) -> Item:
        return summary_item(self.text, len(self.ids))


class Briefing:
    """One for each session. `show` gets the events for the application."""

    def __init__(
        self, conversation: Conversation, ledger: Ledger, show: Callable[[ProviderEvent], None]
    ) -> None:
        self._conversation = conversation
        self._ledger = ledger
        self._show = show
        #: Those who write summaries, by the settings that they were made from.
        self._summarisers: list[tuple[Any, Summariser]] = []
        self._summary: _Summary | None = None
        #: US dollars for a token of input, by provider and model; None where it is not known.
        self._prices: dict[tuple[str, str], float | None] = {}

    def prepare(self, config: VoiceEngineConfig) -> None:
        """Find out whether the settings can be followed, before anything depends on it.

        Raises:
            ConfigurationError, MissingDependencyError: who is to write the summaries cannot be made.
        """
        self._summariser(config)

    async def of(
        self,
        provider: BaseProvider,
        config: VoiceEngineConfig,
        items: Sequence[Item],
        hurry: bool = False,
    ) -> Fitted:
        """What it is told of these items. In a `hurry` nobody waits long for a summary."""
        budget = await self._budget(provider, config)
        fitted = fit(items, budget)
        summariser = self._summariser(config)
        if fitted.left_out and summariser is not None:
            seconds = config.history_summary_timeout
            seconds = min(seconds, HURRY) if hurry else seconds
            fitted = await self._summed_up(provider, summariser, items, budget, seconds)
        if fitted.left_out:
            words = f"{len(fitted.left_out)} items of the log are too much for it, and are not told"
            self._warn(provider, "history_trimmed", words)
        return fitted

    def rest(
        self, provider: BaseProvider, config: VoiceEngineConfig, items: Sequence[Item]
    ) -> Fitted:
        """What it is told of items that were added since it was told the others."""
        return fit(items, _limits(provider, config, self._prices.get(_model_of(provider))))

    async def close(self) -> None:
        """Let go of what was made here."""
        for _, summariser in self._summarisers:
            if isinstance(summariser, BrainSummariser):
                await summariser.close()

    # -- summaries

    def _summariser(self, config: VoiceEngineConfig) -> Summariser | None:
        setting = config.history_summary
        if setting is None:
            return None
        for known, summariser in self._summarisers:
            if known == setting:
                return summariser
        made = summariser_of(setting, self._conversation.id, self._used)
        self._summarisers.append((setting, made))
        return made

    def _used(self, event: UsageUpdated) -> None:
        self._ledger.add(event)
        self._show(event)

    async def _summed_up(
        self,
        provider: BaseProvider,
        summariser: Summariser,
        items: Sequence[Item],
        budget: HistoryBudget,
        seconds: float,
    ) -> Fitted:
        """What is told, with a summary of what is not: the one that there is, if that will do."""
        known = self._known(items)
        if known is not None:
            fitted = _with(known, items, budget)
            if not fitted.left_out:
                return fitted
        old = {item.id for item in fit(items, budget.part(_VERBATIM)).left_out}
        earlier = known.ids if known is not None else frozenset()
        told = [known.item] if known is not None else []
        told += [item for item in items if item.id in old - earlier]
        try:
            async with asyncio.timeout(seconds):
                text = (await summariser.summarise(told)).strip()
            if not text:
                raise ValueError("it is empty")
        except Exception as failure:
            why = str(failure) or f"nothing came within {seconds:g} s"
            words = f"the earlier conversation could not be summed up for it: {why}"
            self._warn(provider, "history_summary_failed", words)
        else:
            known = self._summary = _Summary(text, earlier | old)
        return fit(items, budget) if known is None else _with(known, items, budget)

    def _known(self, items: Sequence[Item]) -> _Summary | None:
        """The summary that there is, if it is one of this conversation as it stands."""
        known = self._summary
        return known if known is not None and known.ids <= {item.id for item in items} else None

    # -- limits

    async def _budget(self, provider: BaseProvider, config: VoiceEngineConfig) -> HistoryBudget:
        model = _model_of(provider)
        if (
            config.history_max_cost is not None
            and not provider.capabilities.on_device
            and model not in self._prices
        ):
            used = UsageUpdated(provider=model[0], model=model[1], input_text_tokens=_SAMPLE)
            cost = own_price(used, config.prices)
            if cost is None:
                await asyncio.to_thread(load)
                cost = price(used)
            self._prices[model] = None if cost is None else cost.input / _SAMPLE
            if cost is None:
                words = f"the price of {model[1] or 'its model'!r} is not known: history_max_cost cannot be kept"
                self._warn(provider, "history_price_unknown", words)
        return _limits(provider, config, self._prices.get(model))

    def _warn(self, provider: BaseProvider, code: str, words: str) -> None:
        message = f"provider {provider.name!r}: {words}"
        self._show(SystemWarning(code=code, message=message, **provider.meta()))


def _with(summary: _Summary, items: Sequence[Item], budget: HistoryBudget) -> Fitted:
    """The summary, and what of the items it does not stand for. Without, if there is no room for it."""
    room = msgspec.structs.replace(budget.part(_SUMMARY), max_items=None)
    note = fit((), room, summary.item).summary
    if note is None:
        return fit(items, budget)
    fitted = fit([item for item in items if item.id not in summary.ids], budget, note)
    summed_up = tuple(item for item in items if item.id in summary.ids)
    return msgspec.structs.replace(fitted, summed_up=summed_up)


def _limits(
    provider: BaseProvider, config: VoiceEngineConfig, token_price: float | None
) -> HistoryBudget:
    can = provider.capabilities
    most = [n for n in (config.history_max_items, can.history_max_items) if n is not None]
    return HistoryBudget(
        max_items=min(most, default=None),
        max_bytes=can.history_max_bytes,
        max_tokens=config.history_max_tokens,
        max_cost=config.history_max_cost,
        token_price=token_price,
    )


def _model_of(provider: BaseProvider) -> tuple[str, str]:
    # A provider that has a model of its own, where none is asked for, may say which.
    return provider.name, str(getattr(provider, "model", None) or provider.config.model or "")
