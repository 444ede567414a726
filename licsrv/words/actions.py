"""What each staff action is called, what it says before it is done, and reasons to choose from. Pure.

The order is the one in which pages offer the actions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from licsrv.words.sentences import Noun, Sentence, both


@dataclass(frozen=True)
class ActionWords:
    """The words of one action.

    Args:
        name: What its button says.
        does: What it will change.
        reasons: Templates for the reason.
        also: Its other sentences, by a name that its module knows.
    """

    name: Sentence
    does: Sentence
    reasons: Sequence[Sentence]
    also: Mapping[str, Sentence] = field(default_factory=dict)


ACTIONS: Mapping[str, ActionWords] = {
    "revoke": ActionWords(
        both("Revoke", "撤销"),
        both(
            "Revoke {code}: {devices} will stop at the next check-in, or at the latest when the lease ends. "
            "The user reads the reason.",
            "撤销 {code}：其 {devices}在下次联网时停止使用，离线设备最迟在租约到期时停止；用户会看到原因。",
        ),
        (
            both("The payment was refunded.", "款项已退。"),
            both("The code was shared in public.", "授权码被公开分享。"),
            both("The license agreement was breached.", "违反许可协议。"),
        ),
        also={"already": both("It was revoked on {at}.", "已于 {at} 撤销。")},
    ),
    "reinstate": ActionWords(
        both("Reinstate", "恢复"),
        both(
            "Reinstate {code} (revoked by {by}: “{why}”): its devices work again from their next check-in.",
            "恢复 {code}（由 {by} 撤销：“{why}”）：设备在下次联网时即可继续使用。",
        ),
        (
            both("It was revoked by mistake.", "误撤销。"),
            both("The matter was settled with the customer.", "问题已与客户解决。"),
        ),
        also={"already": both("It is not revoked.", "未被撤销。")},
    ),
    "release_place": ActionWords(
        both("Release its place", "释放名额"),
        both(
            "Release the place of {device} on {code}: another device can take it, and this one stops at its next "
            "check-in.",
            "释放设备 {device} 在 {code} 上的名额：另一台设备可以使用；该设备下次联网时停止。",
        ),
        (
            both("The machine was replaced.", "设备已更换。"),
            both("The machine is broken or lost.", "设备损坏或丢失。"),
            both("Its user has left the company.", "员工已离职。"),
        ),
        also={"already": both("{device} holds no place.", "设备 {device} 未占用名额。")},
    ),
    "extend_grace": ActionWords(
        both("Extend the grace", "延长宽限期"),
        both(
            "Let {code} be used after its end until {until}. A freeze, a revocation or a release still counts.",
            "{code} 到期后仍可使用至 {until}；冻结、撤销和退还不受影响。",
        ),
        (
            both("The renewal is on its way.", "续费订单处理中。"),
            both("The marketplace is out of order.", "云商店故障。"),
        ),
        also={
            "ends": both("Take the grace of {code} away.", "取消 {code} 的宽限期。"),
            "already": both("Its grace already ends then.", "宽限期已是该时间。"),
            "none": both("It has no grace.", "没有宽限期。"),
            "shortens": both("This shortens its grace, which ends on {before}.", "这会缩短宽限期：原为 {before}。"),
        },
    ),
    "set_maintenance": ActionWords(
        both("Set the end of maintenance", "设置维护截止"),
        both(
            "Let {code} use versions that are published until {until}.",
            "{code} 可使用 {until} 之前发布的版本。",
        ),
        (both("Maintenance was bought.", "已购买维护服务。"), both("As the contract says.", "合同约定。")),
        also={
            "product": both(
                "Leave the end of the maintenance of {code} to its product.", "{code} 的维护截止日期改由产品决定。"
            ),
            "already": both("Its maintenance already ends then.", "维护截止日期已是如此。"),
            "before": both("Until now it ends on {before}.", "此前为 {before}。"),
        },
    ),
    "reissue": ActionWords(
        both("Reissue", "重新签发"),
        both(
            "Reissue {code} for {devices}: the licenses they hold go onto the revocation list, they get new ones the "
            "next time they ask, and keep their places.",
            "为 {code} 的 {devices}重新签发：现有许可证列入撤销清单，设备下次请求时得到新的，名额不变。",
        ),
        (
            both("The license file leaked.", "许可证文件外泄。"),
            both("The license on the device is damaged.", "许可证损坏。"),
        ),
        also={"one": both("device {device}", "设备 {device} ")},
    ),
    "add_note": ActionWords(
        both("Add a note", "添加备注"),
        both(
            "Add a note to the timeline of {code}; the license stays as it is.",
            "在 {code} 的时间线上添加备注，不改变许可证。",
        ),
        (both("The customer called.", "客户来电。"),),
    ),
}
DEVICES = Noun("{count} device", "{count} devices", "{count} 台设备")
NO_CHANGE = both("No change needed for {code}. {why}", "{code} 无需更改：{why}")
NOTHING_DONE = both("No change needed.", "无需更改。")
IMPOSSIBLE = both("{why}", "不可执行：{why}")
RELEASED = both("The license is released; nothing brings it back.", "许可证已退还，无法恢复。")
