"""What repairing a difference changes, said before it is done, in Chinese and in English. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from licsrv.marketplace.open_api.code_answers import ReportedStatus
from licsrv.marketplace.reconciliation.rules import NOT_ACTIVATED, NOT_RECEIVED, Kind
from licsrv.words.sentences import Sentence


@dataclass(frozen=True)
class Effect:
    """What taking the marketplace's word over does, whether that is possible, and whether it is for good."""

    says: Sentence
    is_possible: bool = True
    is_final: bool = False


def effect_of(kind: str, theirs: str) -> Effect:
    """Return what repairing a difference of a kind does, where the marketplace says ``theirs``."""
    return _OF_STATUS.get(theirs, _OF_KIND[Kind.STATUS]) if kind == Kind.STATUS else _OF_KIND[Kind(kind)]


_OF_KIND: Mapping[Kind, Effect] = {
    Kind.STATUS: Effect(
        Sentence(zh="许可证将采用云商店的状态。", en="The license takes over the marketplace's status.")
    ),
    Kind.EXPIRY: Effect(
        Sentence(zh="许可证将采用云商店的到期时间。", en="The license will end when the marketplace says.")
    ),
    Kind.PRODUCT: Effect(
        Sentence(zh="许可证将改为云商店的商品。", en="The license will be for the marketplace's product.")
    ),
    Kind.AMOUNT: Effect(
        Sentence(zh="许可证将改为云商店的数量。", en="The license will be for as many as the marketplace says.")
    ),
    Kind.UNKNOWN: Effect(
        Sentence(zh="许可证将被撤销；之后可以恢复。", en="The license will be revoked; reinstating it undoes that.")
    ),
    Kind.UNANSWERED: Effect(
        Sentence(
            zh="云商店没有作答，没有可以采用的内容。",
            en="The marketplace has not answered: there is nothing to take over.",
        ),
        is_possible=False,
    ),
}
_OF_STATUS: Mapping[str, Effect] = {
    ReportedStatus.RELEASED: Effect(
        Sentence(zh="许可证将永久终止，无法撤回。", en="The license will end for good; that cannot be undone."),
        is_final=True,
    ),
    NOT_ACTIVATED: Effect(
        Sentence(zh="将在云商店激活该授权码。", en="The code will be activated at the marketplace.")
    ),
    NOT_RECEIVED: Effect(
        Sentence(
            zh="需由买家在云商店领取授权码，本系统无法处理。",
            en="The buyer has to receive the code at the marketplace; nothing can be done here.",
        ),
        is_possible=False,
    ),
}  # fmt: skip
