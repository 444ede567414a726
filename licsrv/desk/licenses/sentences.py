"""What support says in one sentence, in Chinese and in English. Pure."""

from __future__ import annotations

from datetime import datetime

from licsrv.licensing import lifecycle
from licsrv.licensing.lifecycle import LicenseFacts, Status
from licsrv.words.sentences import Sentence, moment


def license_is(license: LicenseFacts, *, places_taken: int, places: int, now: datetime) -> Sentence:
    """Say what a license is and may do now."""
    if lifecycle.status(license, now) is not Status.ACTIVE:
        why = reason(license, now)
        return Sentence(zh=f"不可使用：{why.zh}", en=f"It may not be used: {why.en}")
    taken_en = f"{places_taken} of {places} place{'s' if places > 1 else ''} taken"
    taken_zh = f"已用 {places_taken} 台，共 {places} 台"
    ends_at = lifecycle.end_of_use(license)
    if ends_at is None:
        return Sentence(zh=f"可使用，永久有效，{taken_zh}。", en=f"It may be used without an end, {taken_en}.")
    until = moment(ends_at, now)
    if lifecycle.is_provisional(license, now):
        return Sentence(
            zh=f"可临时使用至 {until.zh}，{taken_zh}：云商店尚未确认。",
            en=f"It may be used provisionally until {until.en}, {taken_en}: the marketplace has not confirmed it yet.",
        )
    if lifecycle.is_in_grace(license, now):
        return Sentence(
            zh=f"已到期，宽限期内可使用至 {until.zh}，{taken_zh}。",
            en=f"It has expired and may be used in its grace until {until.en}, {taken_en}.",
        )
    return Sentence(zh=f"可使用至 {until.zh}，{taken_zh}。", en=f"It may be used until {until.en}, {taken_en}.")


def reason(license: LicenseFacts, now: datetime) -> Sentence:
    """Say why a license may not be used; empty when it may. What people gave as a reason stays in their words."""
    en = lifecycle.reason(license, now)
    match lifecycle.status(license, now):
        case Status.RELEASED:
            zh = "许可证已退还云商店，已终止。"
        case Status.REVOKED:
            zh = license.revoked_reason or "软件商已撤销该许可证。"
        case Status.FROZEN:
            zh = "许可证已被云商店冻结，续费后解除。"
        case Status.EXPIRED:
            zh = "许可证已到期，请在云商店续费。"
        case Status.NOT_ACTIVATED:
            zh = license.refused_reason or "云商店尚未确认该许可证。"
        case Status.ACTIVE:
            zh = ""
    return Sentence(zh=zh, en=en)
