"""What each action says before it is done, and reasons to choose from, in Chinese and in English. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from licsrv.desk.licenses.sentences import Sentence, moment
from licsrv.licensing.tables import Device, License


@dataclass(frozen=True)
class Words:
    """What an action is about."""

    license: License
    device: Device | None
    until: datetime | None
    now: datetime

    @property
    def code(self) -> str:
        """The license's code."""
        return self.license.code

    @property
    def device_name(self) -> str:
        """How people call the device."""
        if self.device is None:
            return ""
        return self.device.name or self.device.id


def _revoke(words: Words) -> Sentence:
    count = words.license.places_taken
    return Sentence(
        zh=f"撤销 {words.code}：其 {count} 台设备在下次联网时停止使用，离线设备最迟在租约到期时停止；用户会看到原因。",
        en=f"Revoke {words.code}: its {count} device(s) stop at their next check-in, one that stays offline when its "
        "lease ends; its user reads the reason.",
    )


def _reinstate(words: Words) -> Sentence:
    by, why = words.license.revoked_by or "", words.license.revoked_reason or ""
    return Sentence(
        zh=f"恢复 {words.code}（由 {by} 撤销：“{why}”）：设备在下次联网时即可继续使用。",
        en=f"Reinstate {words.code} (revoked by {by}: “{why}”): its devices go on from their next check-in.",
    )


def _release_place(words: Words) -> Sentence:
    return Sentence(
        zh=f"释放设备 {words.device_name} 在 {words.code} 上的名额：另一台设备可以使用；该设备下次联网时停止。",
        en=f"Release the place of {words.device_name} on {words.code}: another device can take it, and this one stops "
        "at its next check-in.",
    )


def _extend_grace(words: Words) -> Sentence:
    if words.until is None:
        return Sentence(zh=f"取消 {words.code} 的宽限期。", en=f"Take the grace of {words.code} away.")
    until = moment(words.until, words.now)
    return Sentence(
        zh=f"{words.code} 到期后仍可使用至 {until.zh}；冻结、撤销和退还不受影响。",
        en=f"Let {words.code} be used after its end until {until.en}; a freeze, a revocation or a release counts all "
        "the same.",
    )


def _set_maintenance(words: Words) -> Sentence:
    if words.until is None:
        return Sentence(
            zh=f"{words.code} 的维护截止日期改由产品决定。", en=f"Leave the maintenance of {words.code} to its product."
        )
    until = moment(words.until, words.now)
    return Sentence(
        zh=f"{words.code} 可使用 {until.zh} 之前发布的版本。",
        en=f"Let {words.code} use versions that are published until {until.en}.",
    )


def _reissue(words: Words) -> Sentence:
    who_zh = f"设备 {words.device_name}" if words.device else f"{words.license.places_taken} 台设备"
    who_en = f"device {words.device_name}" if words.device else f"all {words.license.places_taken} device(s)"
    return Sentence(
        zh=f"为 {words.code} 的{who_zh}重新签发：现有许可证列入撤销清单，设备下次请求时得到新的，名额不变。",
        en=f"Issue {words.code} anew for {who_en}: what they hold goes onto the revocation list, they get a new one "
        "the next time they ask, and keep their places.",
    )


def _add_note(words: Words) -> Sentence:
    return Sentence(
        zh=f"在 {words.code} 的时间线上添加备注，不改变许可证。",
        en=f"Add a note to the timeline of {words.code}; the license stays as it is.",
    )


WORDS: Mapping[str, Callable[[Words], Sentence]] = {
    "revoke": _revoke,
    "reinstate": _reinstate,
    "release_place": _release_place,
    "extend_grace": _extend_grace,
    "set_maintenance": _set_maintenance,
    "reissue": _reissue,
    "add_note": _add_note,
}


def _choices(*pairs: tuple[str, str]) -> Sequence[Sentence]:
    return [Sentence(zh=zh, en=en) for zh, en in pairs]


TEMPLATES: Mapping[str, Sequence[Sentence]] = {
    "revoke": _choices(
        ("款项已退。", "The payment was refunded."),
        ("授权码被公开分享。", "The code was shared in public."),
        ("违反许可协议。", "The license agreement was breached."),
    ),
    "reinstate": _choices(
        ("误撤销。", "It was revoked by mistake."), ("问题已与客户解决。", "The matter was settled with the customer.")
    ),
    "release_place": _choices(
        ("设备已更换。", "The machine was replaced."),
        ("设备损坏或丢失。", "The machine is broken or lost."),
        ("员工已离职。", "Its user has left the company."),
    ),
    "extend_grace": _choices(
        ("续费订单处理中。", "The renewal is on its way."), ("云商店故障。", "The marketplace is out of order.")
    ),
    "set_maintenance": _choices(
        ("已购买维护服务。", "Maintenance was bought."), ("合同约定。", "As the contract says.")
    ),
    "reissue": _choices(
        ("许可证文件外泄。", "The license file leaked."), ("许可证损坏。", "The license on the device is damaged.")
    ),
    "add_note": _choices(("客户来电。", "The customer called.")),
}
