"""What each staff action says, and what the audit calls everything that was done. Pure.

The order of the actions is the one in which pages offer them.
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
    "restore_place": ActionWords(
        both("Give its place back", "恢复名额"),
        both(
            "Give {device} its place on {code} back: it works again with the license for which it asks next.",
            "恢复设备 {device} 在 {code} 上的名额：该设备下次请求许可证后即可继续使用。",
        ),
        (
            both("It was released by mistake.", "误释放。"),
            both("The machine is in use after all.", "设备仍在使用。"),
        ),
        also={
            "already": both("{device} holds a place already.", "设备 {device} 已占用名额。"),
            "full": both("Every place is taken: release another device first.", "名额已满，请先释放另一台设备。"),
        },
    ),
    "release_unseen": ActionWords(
        both("Release those long unseen", "释放长期未出现的设备"),
        both(
            "Release the places of {devices} of {code} that were not seen for as long as the policy says: {names}. They "
            "stop at their next check-in.",
            "释放 {code} 的 {devices}名额（按策略长期未出现）：{names}；这些设备下次联网时停止。",
        ),
        (
            both("The machines are out of use.", "设备已停用。"),
            both("The customer needs the places.", "客户需要这些名额。"),
        ),
        also={
            "never": both(
                "The policy of its product says no number of days (moves.unseen_days).",
                "商品策略未规定天数（moves.unseen_days）。",
            ),
            "none": both("No device was unseen for so long.", "没有长期未出现的设备。"),
        },
    ),
    "free_seat": ActionWords(
        both("Free this seat", "释放席位"),
        both(
            "Free seat {seat} of {code}: another program can take it, and the one that holds it stops when its time "
            "is over.",
            "释放 {code} 的席位 {seat}：其他程序可以使用；当前占用的程序到时停止。",
        ),
        (
            both("The program hangs.", "程序无响应。"),
            both("The machine is lost or broken.", "设备丢失或损坏。"),
            both("Its user is away.", "使用者不在。"),
        ),
        also={
            "already": both("The seat is free already.", "该席位已释放。"),
            "borrowed": both(
                "It is borrowed: its program works offline until {until}, so there may be one more until then.",
                "该席位已借出：其程序可离线使用至 {until}，在此之前可能多出一个。",
            ),
        },
    ),
    "extend": ActionWords(
        both("Extend", "续期"),
        both(
            "Let {code} end on {until}. Devices get it with the license for which they ask next.",
            "{code} 的到期时间改为 {until}；设备下次请求许可证时生效。",
        ),
        (
            both("The customer has renewed.", "客户已续费。"),
            both("It was agreed with sales.", "已与销售约定。"),
        ),
        also={
            "already": both("It ends then already.", "到期时间已是如此。"),
            "endless": both("It never ends.", "该许可证永久有效。"),
            "before": both("Until now it ends on {before}.", "此前为 {before}。"),
            "ended": both("It ended on {before}, and can be used again.", "已于 {before} 到期，续期后可继续使用。"),
        },
    ),
    "set_terms": ActionWords(
        both("Change the terms", "更改条款"),
        both(
            "Change {code}: {changes}. Devices get it with the license for which they ask next.",
            "更改 {code}：{changes}。设备下次请求许可证时生效。",
        ),
        (
            both("The contract was changed.", "合同变更。"),
            both("It was entered wrong.", "录入有误。"),
        ),
        also={
            "already": both("Its terms are these already.", "条款已是如此。"),
            "end": both("end from {before} to {after}", "到期时间由 {before} 改为 {after}"),
            "places": both("places from {before} to {after}", "名额由 {before} 改为 {after}"),
            "features": both("features from {before} to {after}", "功能由 {before} 改为 {after}"),
            "customer": both("customer from {before} to {after}", "客户由 {before} 改为 {after}"),
            "product": both("product from {before} to {after}", "商品由 {before} 改为 {after}"),
            "never": both("never", "永久"),
            "as_bought": both("what was bought", "按购买数量"),
            "of_product": both("those of the product", "按商品"),
            "none": both("none", "无"),
            "ends_now": both("It has ended then: devices stop.", "届时已到期，设备停止使用。"),
            "overfull": both(
                "{taken} devices hold one of {places} places: they keep working, and new ones get none.",
                "{taken} 台设备占用 {places} 个名额：原设备可继续使用，新设备没有名额。",
            ),
            "calls_back": both(
                "What devices hold is called back; one that never asks needs a new file.",
                "设备现有的许可证将被收回；从不联网的设备需要新的许可证文件。",
            ),
        },
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
    "clock_reset": ActionWords(
        both("Reset its clock", "重置时钟记录"),
        both(
            "Reset what {device} of {code} remembers of the time. It takes effect at its next check-in, or with the "
            "file that can be downloaded then.",
            "重置 {code} 的设备 {device} 所记录的时间：下次联网时生效；离线设备请下载重置文件。",
        ),
        (
            both("The computer's clock was wrong and is right again.", "电脑时钟曾有误，现已校正。"),
            both("The battery of the computer's clock was replaced.", "已更换主板电池。"),
        ),
    ),
    "bless": ActionWords(
        both("Let this copy work", "放行此副本"),
        both(
            "Let the copy {copy} of {device} on {code} work. Other copies stop at their next check-in where the policy "
            "refuses copies; the line on the desk goes away.",
            "放行 {code} 的设备 {device} 的副本 {copy}。若策略拒绝副本，其他副本在下次联网时停用；工作台上的提醒随之消失。",
        ),
        (
            both("The customer says that this is the machine in use.", "客户确认这是在用的机器。"),
            both("The other copy was deleted.", "另一份副本已删除。"),
        ),
        also={
            "already": both("This copy may work already.", "此副本已放行。"),
            "unknown": both("Of this device there is no proven copy with this name.", "该设备没有此名称的已确认副本。"),
        },
    ),
    "unbless": ActionWords(
        both("Take this copy's permission back", "取消放行此副本"),
        both(
            "Treat the copy {copy} of {device} on {code} as any other copy again.",
            "取消放行 {code} 的设备 {device} 的副本 {copy}，按普通副本处理。",
        ),
        (
            both("The wrong copy was chosen.", "选错了副本。"),
            both("It is used on two machines again.", "又在两台机器上使用。"),
        ),
        also={"already": both("This copy has no permission of its own.", "此副本未被放行。")},
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

AUDITED: Mapping[str, Sentence] = {
    "LICENSE_ADDED": both("License added by hand", "手工添加许可证"),
    "LICENSE_ACTIVATED": both("License activated", "许可证已激活"),
    "LICENSE_RESERVED": both("License created, not confirmed yet", "许可证已创建，等待确认"),
    "LICENSE_PROVISIONAL": both("Provisional until the marketplace confirms", "临时使用，等待云商店确认"),
    "LICENSE_REFUSED": both("Not confirmed by the marketplace", "云商店未确认"),
    "LICENSE_CHANGED": both("License changed", "许可证内容变更"),
    "LICENSE_FROZEN": both("Frozen", "已冻结"),
    "LICENSE_UNFROZEN": both("Unfrozen", "已解冻"),
    "LICENSE_RELEASED": both("Released to the marketplace", "已退还云商店"),
    "LICENSE_REVOKED": both("Revoked", "已撤销"),
    "LICENSE_REINSTATED": both("Reinstated", "已恢复"),
    "LICENSE_ISSUED": both("Issued to a known device", "向已知设备签发许可证"),
    "SEAT_BEYOND": both("Seat beyond what was bought", "超出购买数量的席位"),
    "SEAT_BORROWED": both("Seat borrowed", "席位已借出"),
    "SEAT_FREED": both("Seat freed by staff", "客服释放席位"),
    "LICENSE_REISSUED": both("Reissue requested", "要求重新签发"),
    "LICENSE_DOWNLOADED": both("License file downloaded", "下载许可证文件"),
    "GRACE_CHANGED": both("Grace changed", "宽限期变更"),
    "MAINTENANCE_CHANGED": both("End of maintenance changed", "维护截止日期变更"),
    "NOTE_ADDED": both("Note added", "添加备注"),
    "DEVICE_ACTIVATED": both("New device activated", "新设备激活"),
    "DEVICE_RETURNED": both("Device took its place again", "设备重新占用名额"),
    "DEVICE_RELEASED": both("Place of a device released", "设备名额已释放"),
    "CLOCK_RESET": both("Clock of a device reset", "设备时钟记录已重置"),
    "DEVICE_MANY_TEXTS": both("Several machines may share this place", "可能有多台机器共用此名额"),
    "DEVICE_PART_LEARNED": both("Device bound to a new part", "设备已绑定新部件"),
    "DEVICE_CLONED": both("Two copies of a machine are in use", "同一台机器有两份副本在使用"),
    "COPY_BLESSED": both("A copy of a machine may work", "已放行机器副本"),
    "COPY_UNBLESSED": both("A copy of a machine may not work any more", "已取消放行机器副本"),
    "DEVICE_BOUND_AGAIN": both("Device bound by the newer rule", "设备已按新规则重新绑定"),
    "REVOCATIONS_MOVED": both("Revocation list moved", "撤销清单已迁移"),
    "PRODUCT_CHANGED": both("Product changed", "产品变更"),
    "POLICY_CHANGED": both("Policy changed", "策略变更"),
    "RELEASE_PUBLISHED": both("Version published", "版本已发布"),
    "RELEASE_CHANGED": both("Share of a version changed", "版本灰度变更"),
    "RELEASE_WITHDRAWN": both("Version withdrawn", "版本已撤回"),
    "DELIVERY_PARKED": both("Delivery refused and parked", "上报被拒，已搁置"),
    "DELIVERY_RETRIED": both("Delivery retried", "重新上报"),
    "DELIVERY_DROPPED": both("Delivery given up", "放弃上报"),
    "MARKETPLACE_PAUSED": both("Calls to the marketplace paused", "暂停调用云商店"),
    "MARKETPLACE_RESUMED": both("Calls to the marketplace resumed", "恢复调用云商店"),
    "RECONCILIATION_STARTED": both("Reconciliation started", "对账已开始"),
    "RECONCILIATION_STOPPED": both("Reconciliation stopped", "对账已停止"),
    "DIFFERENCE_REPAIRED": both("Difference from the marketplace repaired", "与云商店的差异已修复"),
    "DIFFERENCE_DISMISSED": both("Difference from the marketplace dismissed", "与云商店的差异已忽略"),
    "BULK_REQUESTED": both("Approval of a bulk job requested", "批量操作提交审批"),
    "BULK_STARTED": both("Bulk job started", "批量操作已开始"),
    "BULK_APPROVED": both("Bulk job approved", "批量操作已批准"),
    "BULK_REJECTED": both("Bulk job rejected", "批量操作已驳回"),
    "BULK_STOPPED": both("Bulk job stopped", "批量操作已停止"),
    "BULK_FINISHED": both("Bulk job finished", "批量操作已完成"),
    "KEY_MADE": both("Signing key created", "签名密钥已创建"),
    "KEY_RETIRED": both("Signing key retired", "签名密钥已停用"),
    "KEY_PROTECTED": both("Private key encrypted on disk", "私钥已在磁盘上加密"),
    "RESEALED": both("Database sealed as it is", "数据库已按现状重新封存"),
    "SETUP_LINK_MADE": both("Set-up link created", "初始设置链接已创建"),
    "ACCOUNT_ADDED": both("Account added", "账号已添加"),
    "ACCOUNT_CHANGED": both("Account changed", "账号已修改"),
    "ACCOUNT_DISABLED": both("Account disabled", "账号已停用"),
    "ACCOUNT_ENABLED": both("Account enabled", "账号已启用"),
    "PASSWORD_CHANGED": both("Password changed", "密码已修改"),
    "PASSWORD_RESET": both("Temporary password given", "密码已重置"),
    "SECOND_FACTOR_SET": both("Second factor set up", "两步验证已设置"),
    "RECOVERY_CODES_MADE": both("Recovery codes created", "恢复码已生成"),
    "RECOVERY_CODE_USED": both("Recovery code used", "恢复码已使用"),
    "SIGNED_IN": both("Signed in", "登录"),
    "SIGNED_OUT": both("Signed out", "退出"),
    "SIGN_IN_FAILED": both("Sign-in failed", "登录失败"),
    "SIGN_IN_LOCKED": both("Sign-in locked", "登录已锁定"),
    "SESSIONS_ENDED": both("Sessions ended", "会话已结束"),
    "TOKEN_MADE": both("API token created", "API 令牌已创建"),
    "TOKEN_REVOKED": both("API token revoked", "API 令牌已撤销"),
}
